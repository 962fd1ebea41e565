"""What we tell the keeper, and what it tells us: plain records over pipes, one JSON object a line.

The first line may be an `EarlyJob`: a process to start that then waits for its work. The next one, or the
first where there is no early one, is the `KeeperJob`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

from bringup.machine.process import ProcessIdentity
from bringup.reading import parse_json
from bringup.records import dataclass, fields

LOG_LIMIT_BYTES: Final = 16 * 1024**2
STOP_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class EarlyJob:
    """A process to start before it is known what it shall do: it waits for that at its stdin.

    Attributes:
        argv: the engine's program and arguments.
        environment: its whole environment.
        parent_pid: who gave the job.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    parent_pid: int

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps({"is_early": True, **asdict(self)}).encode() + b"\n"

    def suits(self, job: KeeperJob) -> bool:
        """Whether what was started early is what the job asks for."""
        return (self.argv, self.environment) == (job.argv, job.environment)


@dataclass(frozen=True, slots=True)
class KeeperJob:
    """One engine to start and to keep.

    Attributes:
        argv: the engine's program and arguments.
        environment: its whole environment.
        stdin: text that it can read (parameters of the embedded engine).
        log_path: where its output goes.
        log_limit_bytes: size at which the log is turned over to `log_path.1`.
        data_limit_bytes: bound of its private memory, `None` for no bound.
        parent_pid: who gave the job; when that process ends, so does the engine.
        stop_timeout_s: how long it may take to end after SIGTERM before SIGKILL.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    stdin: str
    log_path: str
    parent_pid: int
    data_limit_bytes: int | None = None
    log_limit_bytes: int = LOG_LIMIT_BYTES
    stop_timeout_s: float = STOP_TIMEOUT_S

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read_job(line: bytes) -> KeeperJob | EarlyJob:
    """The job of a line.

    Raises:
        ValueError: it is none.
    """
    given = parse_json(line)
    if not isinstance(given, dict):
        raise ValueError("a job is a JSON object")
    kind = EarlyJob if given.get("is_early") else KeeperJob
    known = {field.name for field in fields(kind)}
    return kind(**{**{k: v for k, v in given.items() if k in known}, "argv": tuple(given["argv"])})


@dataclass(frozen=True, slots=True)
class Started:
    """The engine's process exists."""

    identity: ProcessIdentity


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The engine's program could not be run, or its log not be written; `why` is the system's word."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The engine's process is gone.

    Attributes:
        exit_code: what it exited with, `None` when a signal ended it.
        signal_number: the signal.
        was_asked: we had sent SIGTERM before it ended.
        was_killed: it did not end in time and we sent SIGKILL.
        cpu_s: CPU time that it used.
        peak_bytes: most RAM that it had at once.
    """

    exit_code: int | None
    signal_number: int | None
    was_asked: bool = False
    was_killed: bool = False
    cpu_s: float = 0.0
    peak_bytes: int = 0


Event = Started | NotStarted | Ended


def event_line(event: Event) -> bytes:
    """One line of JSON."""
    return json.dumps({"event": type(event).__name__, **asdict(event)}).encode() + b"\n"


def read_event(line: bytes) -> Event:
    """The event of a line.

    Raises:
        ValueError: it is none.
    """
    given = parse_json(line)
    name = given.pop("event", "") if isinstance(given, dict) else ""
    if name == "Started":
        return Started(ProcessIdentity(**given["identity"]))
    if name == "NotStarted":
        return NotStarted(**given)
    if name == "Ended":
        return Ended(**given)
    raise ValueError(f"no event: {line[:80]!r}")
