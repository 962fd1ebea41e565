"""The embedded engine's process, started before it is known what it shall run.

A Python and llama.cpp's library take as long to load as a plan takes to be made; with two processors both
are done at once. The process waits behind a keeper as any engine runs behind one, so every promise on orphans
holds from its first moment. It is ended where it turns out not to be wanted. An engine that is to go on in
the background waits behind its supervisor, which is told its job later. Of an external engine only the keeper
can wait; meanwhile the program is asked for its options.
"""

from __future__ import annotations

import contextlib
import json
from threading import Thread
from typing import TYPE_CHECKING, Final, Self

from bringup.engine.build import EngineBuild, EngineKind, embedded_argv, read_options
from bringup.engine.job import EarlyJob
from bringup.engine.keeping import KeeperLink
from bringup.errors import EngineError
from bringup.machine.process import DEVNULL, PIPE, end_child, own_pid, python_argv, spawn

if TYPE_CHECKING:
    from bringup.engine.help_text import HelpText
    from bringup.machine.process import Child

_SUPERVISOR: Final = "bringup.engine.supervisor"
_DISMISS_S: Final = 2.0


class WaitingEngine:
    """One process that waits. Use it as a context manager: leaving the block ends it, unless it was taken."""

    def __init__(self, environment: dict[str, str], *, program: str | None = None) -> None:
        """Start it with the whole environment of the engine to come; `program` is an external one's."""
        self._link: KeeperLink | None = KeeperLink(environment)
        self._options = OptionsAhead(program, environment) if program is not None else None
        if self._options is None:
            self._link.give(EarlyJob(embedded_argv(), environment, own_pid()))

    @property
    def program(self) -> str | None:
        """The external engine that it waits for; `None` where it is the embedded one."""
        return self._options.program if self._options is not None else None

    def options_of(self, build: EngineBuild) -> HelpText | None:
        """What a program said of its options, waited for; `None` where another was asked or it said none."""
        ahead = self._options
        return ahead.result() if ahead is not None and ahead.program == build.path else None

    def take(self) -> KeeperLink | None:
        """Its keeper, which wants the job now; `None` when it was taken or is gone."""
        link, self._link = self._link, None
        if link is not None and not link.is_keeping:
            link.close()
            return None
        return link

    def close(self) -> None:
        """End it; what was taken goes on."""
        link, self._link = self._link, None
        if link is not None:
            link.dismiss()

    def __enter__(self) -> Self:
        """The process itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


class OptionsAhead:
    """A program's options, asked for while other things are done."""

    def __init__(self, program: str, environment: dict[str, str]) -> None:
        """Ask now; nobody waits for an answer that is not wanted."""
        self.program = program
        self._environment = environment
        self._found: HelpText | None = None
        self._thread = Thread(target=self._ask, name="options", daemon=True)
        self._thread.start()

    def result(self) -> HelpText | None:
        """What it said; `None` where it does not run or prints no help: who asks again is told why."""
        self._thread.join()
        return self._found

    def _ask(self) -> None:
        build = EngineBuild(EngineKind.EXTERNAL, self.program, "", "")
        with contextlib.suppress(EngineError):
            self._found = read_options(build, environment=self._environment)


class WaitingSupervisor:
    """A supervisor that has an engine's process wait already. It ends both where it is told no job."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Start it with the whole environment of the engine to come."""
        self._process: Child | None = spawn_supervisor(environment)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(early_line(environment))
            self._process.stdin.flush()

    def take(self) -> Child | None:
        """The process, which wants its job now; `None` when it was taken or is gone."""
        taken, self._process = self._process, None
        if taken is not None and taken.poll() is not None:
            _close(taken)
            return None
        return taken

    def close(self) -> None:
        """End it, and what waits behind it; what was taken goes on."""
        left, self._process = self._process, None
        if left is not None:
            _close(left)
            end_child(left, timeout_s=_DISMISS_S)

    def __enter__(self) -> Self:
        """The process itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


def spawn_supervisor(environment: dict[str, str]) -> Child:
    """A supervisor that waits for a line at its stdin."""
    return spawn(
        python_argv(_SUPERVISOR),
        environment=environment,
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=DEVNULL,
        new_session=True,
    )


def early_line(environment: dict[str, str]) -> bytes:
    """What tells a supervisor to have an engine's process wait; another line with its job follows."""
    return json.dumps({"early": environment}).encode() + b"\n"


def _close(process: Child) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
