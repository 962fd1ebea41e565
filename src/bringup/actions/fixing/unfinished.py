"""Fixes that were cut short, as each start tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.machine import files
from bringup.machine.clock import local_time_text
from bringup.machine.folders import Folders, our_folders
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.actions.journal.fix_record import Attempt


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A step whose end nobody saw.

    Attributes:
        attempt: as it was noted.
        fault_id: whose step it is.
        began: when, in local time.
        command: as it ran.
        running_as: number of the process that still runs, 0 where none does.
        looks: commands that show how things stand.
    """

    attempt: Attempt
    fault_id: str
    began: str
    command: str
    running_as: int
    looks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnfinishedFixes:
    """Those of this user, and why the record, or a part of it, cannot be read (empty where it can)."""

    fixes: tuple[Unfinished, ...]
    problem: str = ""


def list_unfinished(folders: Folders | None = None) -> UnfinishedFixes:
    """Fixes whose end is unknown and that nobody was asked about yet; never raises."""
    place = folders or our_folders()
    if not files.exists(place.fixes_file):
        return UnfinishedFixes(())
    from bringup.actions.journal.fix_record import FixRecord

    record = FixRecord(place)
    read = record.read()
    problem = read.problem
    if not problem and read.damaged_lines:
        problem = f"{read.damaged_lines} lines of {record.path} cannot be read"
    return UnfinishedFixes(tuple(map(_described, read.unfinished)), problem)


def _described(attempt: Attempt) -> Unfinished:
    from bringup.actions.journal.fix_record import Outcome

    process = attempt.process or attempt.owner
    is_running = attempt.outcome is Outcome.RUNNING and process is not None
    return Unfinished(
        attempt=attempt,
        fault_id=attempt.fault_id,
        began=local_time_text(attempt.began_s),
        command=attempt.command,
        running_as=process.pid if is_running and process is not None else 0,
        looks=(*attempt.looks, "bringup doctor"),
    )
