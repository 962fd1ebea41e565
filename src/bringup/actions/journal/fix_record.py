"""What was done to the machine by `bringup fix`: noted before a step begins, and again when it has ended.

One file of lines in the state folder, 0600, that only grows; each line is on the disk before what it
announces happens. So a step whose end nobody saw (a kill, a power cut, a closed terminal) is known at the
next start. Each line carries the attempt that it belongs to, so that another store can take the lines over.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from typing import Any, Final

from bringup.errors import BringupError
from bringup.machine import files
from bringup.machine.appending import append_line
from bringup.machine.clock import wall_s
from bringup.machine.folders import Folders
from bringup.machine.partial import boot_id
from bringup.machine.process import ProcessIdentity, identity_of, is_alive, own_pid
from bringup.reading import parse_json
from bringup.records import dataclass, replace

SCHEMA: Final = 1
_LAST_MOMENT_S: Final = 253_402_300_800.0
_LIMIT_BYTES: Final = 64 * 1024**2


class Outcome(Enum):
    """What is known of how an attempt ended."""

    ENDED = "ended"
    RUNNING = "running"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One step that was begun.

    Attributes:
        key: names it, here and wherever it is taken over to.
        fault_id: whose step it is.
        step: its number in the walk, from 1.
        command: as it ran, quoted; private values redacted.
        looks: commands that show how things stand now.
        restarts: whether it restarts the machine, so that nobody sees it end.
        began_s: Unix time.
        owner: our process that began it.
        process: the command's own process, where it was noted.
        ended_s: Unix time of its end, `None` where nobody saw it.
        exit_code: as the command gave it, or minus its signal.
        fault_gone: what the doctor said after it; `None` where it was not asked, or could not tell.
        is_settled: a person was told that its end is unknown, and said so.
    """

    key: str
    fault_id: str
    step: int
    command: str
    looks: tuple[str, ...]
    restarts: bool
    began_s: float
    owner: ProcessIdentity | None
    process: ProcessIdentity | None = None
    ended_s: float | None = None
    exit_code: int | None = None
    fault_gone: bool | None = None
    is_settled: bool = False

    @property
    def outcome(self) -> Outcome:
        """Ended where somebody saw it; running while the command, or who waits for it, lives."""
        if self.ended_s is not None:
            return Outcome.ENDED
        if any(one is not None and is_alive(one) for one in (self.process, self.owner)):
            return Outcome.RUNNING
        if self.restarts and self.owner is not None and self.owner.boot_id != boot_id():
            return Outcome.ENDED
        return Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Attempts:
    """All that is written down; `problem` says why it, or `damaged` lines of it, cannot be read."""

    attempts: tuple[Attempt, ...] = ()
    damaged_lines: int = 0
    problem: str = ""

    @property
    def unfinished(self) -> tuple[Attempt, ...]:
        """Those whose end is not known and of which nobody was told so yet."""
        return tuple(a for a in self.attempts if a.outcome is not Outcome.ENDED and not a.is_settled)


class FixRecord:
    """The record in one state folder."""

    def __init__(self, folders: Folders) -> None:
        """`folders` are this user's own."""
        self.path = folders.fixes_file

    def begin(
        self, *, fault_id: str, step: int, command: str, looks: tuple[str, ...], restarts: bool
    ) -> Attempt:
        """Note that a step begins; returns when that is on the disk.

        Raises:
            FileTrouble: it cannot be written; then nothing may be run.
        """
        began_s = wall_s()
        attempt = Attempt(
            key=f"{int(began_s * 1e6):x}-{own_pid():x}",
            fault_id=fault_id,
            step=step,
            command=command,
            looks=looks,
            restarts=restarts,
            began_s=began_s,
            owner=identity_of(own_pid()),
        )
        self._write(
            {
                "event": "started",
                "attempt": attempt.key,
                "at_s": attempt.began_s,
                "fault": fault_id,
                "step": step,
                "command": command,
                "looks": list(looks),
                "restarts": restarts,
                "owner": _identity(attempt.owner),
            }
        )
        return attempt

    def note_process(self, attempt: Attempt, process: ProcessIdentity | None) -> None:
        """Note which process it became."""
        self._write({"event": "running", "attempt": attempt.key, "process": _identity(process)})

    def note_end(self, attempt: Attempt, exit_code: int) -> None:
        """Note that it ended; minus the signal's number where one ended it."""
        self._write({"event": "ended", "attempt": attempt.key, "at_s": wall_s(), "exit_code": exit_code})

    def note_verdict(self, attempt: Attempt, *, fault_gone: bool | None) -> None:
        """Note what the doctor said after it."""
        self._write({"event": "judged", "attempt": attempt.key, "at_s": wall_s(), "fault_gone": fault_gone})

    def settle(self, attempt: Attempt) -> None:
        """Note that a person was told that its end is unknown."""
        self._write({"event": "settled", "attempt": attempt.key, "at_s": wall_s()})

    def read(self) -> Attempts:
        """Everything that was noted, oldest first; never raises."""
        try:
            data = files.read_small(self.path, limit_bytes=_LIMIT_BYTES)
        except BringupError as problem:
            return Attempts(problem=problem.message)
        found: dict[str, Attempt] = {}
        damaged = 0
        for line in (data or b"").splitlines():
            if line and not _take(line, found):
                damaged += 1
        return Attempts(tuple(found.values()), damaged)

    def _write(self, row: dict[str, object]) -> None:
        append_line(self.path, json.dumps({"schema": SCHEMA, **row}, ensure_ascii=True).encode())


def _identity(identity: ProcessIdentity | None) -> dict[str, object] | None:
    return None if identity is None else asdict(identity)


def _take(line: bytes, found: dict[str, Attempt]) -> bool:
    """Add what one line says; whether it could be read."""
    try:
        row = parse_json(line)
        key = str(row["attempt"])
        if row["event"] == "started":
            found[key] = _started(key, row)
        elif key in found:
            found[key] = _changed(found[key], row)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return False
    return True


def _started(key: str, row: dict[str, Any]) -> Attempt:
    return Attempt(
        key=key,
        fault_id=str(row["fault"]),
        step=int(row["step"]),
        command=str(row["command"]),
        looks=tuple(map(str, row["looks"])),
        restarts=bool(row["restarts"]),
        began_s=_moment(row["at_s"]),
        owner=_read_identity(row["owner"]),
    )


def _changed(attempt: Attempt, row: dict[str, Any]) -> Attempt:
    """An attempt after a later line; an event of a later release changes nothing."""
    event = row["event"]
    if event == "running":
        return replace(attempt, process=_read_identity(row["process"]))
    if event == "ended":
        return replace(attempt, ended_s=_moment(row["at_s"]), exit_code=int(row["exit_code"]))
    if event == "judged":
        return replace(attempt, fault_gone=row["fault_gone"])
    return replace(attempt, is_settled=True) if event == "settled" else attempt


def _moment(value: object) -> float:
    """Unix time within a calendar's reach.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, (int, float)) or not 0 <= value < _LAST_MOMENT_S:
        raise ValueError("no moment")
    return float(value)


def _read_identity(row: dict[str, Any] | None) -> ProcessIdentity | None:
    if row is None:
        return None
    return ProcessIdentity(int(row["pid"]), int(row["start_ticks"]), str(row["boot_id"]))
