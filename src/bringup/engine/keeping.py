"""Our end of the pipes to a keeper."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from bringup.engine.job import EarlyJob, Event, KeeperJob, read_event
from bringup.machine import child as hands
from bringup.machine.process import DEVNULL, PIPE, end_child, identity_of, python_argv, spawn

if TYPE_CHECKING:
    from bringup.machine.process import ProcessIdentity

_KEEPER: Final = "bringup.engine.keeper"
_EVENTS_LIMIT_BYTES: Final = 1024**2
_DISMISS_S: Final = 1.0


class KeeperLink:
    """A started keeper. Closing the link, or our death, makes it end its engine."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Start a keeper, with an engine's environment; a crash of it is seen as its end."""
        self._process = spawn(
            python_argv(_KEEPER),
            environment=environment,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout
        self.identity: ProcessIdentity | None = identity_of(self._process.pid)
        self._rest = b""
        self._is_closed = False
        self.is_over = False

    @property
    def is_keeping(self) -> bool:
        """Whether the keeper's process still lives."""
        return self._process.poll() is None

    def give(self, job: EarlyJob | KeeperJob) -> None:
        """Hand it a job."""
        with contextlib.suppress(OSError):
            self._stdin.write(job.to_line())
            self._stdin.flush()

    def events(self) -> tuple[Event, ...]:
        """Events that came since the last call; does not wait."""
        found: list[Event] = []
        while not self.is_over and hands.wait_readable((self._stdout.fileno(),), 0):
            data = hands.read_descriptor(self._stdout.fileno())
            if not data or len(self._rest) > _EVENTS_LIMIT_BYTES:
                self.is_over = True
                self._process.wait()
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            found += [read_event(line) for line in lines if line]
        return tuple(found)

    def wait_event(self, timeout_s: float) -> None:
        """Wait until an event can be read, at most so long."""
        if not self.is_over:
            hands.wait_readable((self._stdout.fileno(),), timeout_s)

    def ask_to_stop(self, timeout_s: float) -> None:
        """Ask for SIGTERM now and SIGKILL after `timeout_s`."""
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(f"{timeout_s}\n".encode())
            self._stdin.flush()

    def dismiss(self) -> None:
        """End a keeper that has no job yet, and what it started early."""
        end_child(self._process, timeout_s=_DISMISS_S)
        self.close()

    def kill(self) -> None:
        """Kill the keeper; the kernel then kills the engine."""
        end_child(self._process, timeout_s=0)
        self.is_over = True

    def close(self) -> None:
        """Let go of an ended keeper."""
        if self._is_closed:
            return
        self._is_closed = True
        for end in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                end.close()
        self._process.wait()
        self.is_over = True
