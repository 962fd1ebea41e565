"""Why an engine says nothing: looked at while nothing comes from it, told once.

A process that was stopped (Ctrl-Z, SIGSTOP, a freezer) and one that waits for ever look the same from the
outside: a connection on which nothing comes. Neither is ended for it, since it may go on.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from bringup.machine import clock, process
from bringup.machine.process import ProcessIdentity
from bringup.records import dataclass

_LOOK_S: Final = 1.0
_IDLE_S: Final = 30.0
_STEP_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence is borne before somebody looks, and how long an engine may compute nothing in it."""

    look_s: float = _LOOK_S
    idle_s: float = _IDLE_S


class StillWatch:
    """What is seen of a process from look to look."""

    def __init__(self, engine: ProcessIdentity | None, *, idle_s: float = _IDLE_S) -> None:
        """`None` is an engine whose process is not known: nothing is said of it."""
        self._engine = engine
        self._idle_s = idle_s
        self._cpu_s = -1.0
        self._worked_s = clock.monotonic_s()
        self._said = ""

    def heard(self) -> None:
        """Something came from it."""
        self._worked_s = clock.monotonic_s()

    def look(self, *, is_busy: bool = True) -> str:
        """What there is to say now and was not said before; `is_busy` where it has something to compute."""
        found = self._found(is_busy=is_busy)
        if found == self._said:
            return ""
        was_said, self._said = self._said, found
        return found or ("The engine goes on." if was_said else "")

    def _found(self, *, is_busy: bool) -> str:
        if self._engine is None or not process.is_alive(self._engine):
            return ""
        pid = self._engine.pid
        if process.is_stopped(pid):
            return f"The engine's process {pid} is stopped. What lets it go on: kill -CONT {pid}"
        cpu_s, now_s = process.work_of(pid).cpu_s, clock.monotonic_s()
        if not is_busy or cpu_s - self._cpu_s >= _STEP_S:
            self._cpu_s, self._worked_s = cpu_s, now_s
        if now_s - self._worked_s < self._idle_s:
            return ""
        return f"The engine's process {pid} has used no processor for {self._idle_s:.0f} s and says nothing."


class SilenceWatch:
    """Looks at an engine in the background while it should answer. Use it as a context manager."""

    def __init__(
        self, engine: ProcessIdentity | None, tell: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        """`tell` is called from another thread, and only while nothing comes."""
        self._patience = patience or Patience()
        self._still = StillWatch(engine, idle_s=self._patience.idle_s)
        self._tell = tell
        self._heard_s = clock.monotonic_s()
        self._is_over = Event()
        self._thread = Thread(target=self._run, name="silence", daemon=True)

    def heard(self) -> None:
        """A piece of the answer came."""
        self._heard_s = clock.monotonic_s()
        self._still.heard()

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(self._patience.look_s):
            if clock.monotonic_s() - self._heard_s >= self._patience.look_s and (said := self._still.look()):
                self._tell(said)
