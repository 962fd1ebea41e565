"""What every `bringup log` command does first: take over fixes, judge old states by the rules of now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from bringup.actions.journal.fix_record import Attempt, FixRecord, Outcome
from bringup.actions.journal.reading import is_held, with_journal
from bringup.actions.journal.writing import Note, record
from bringup.actions.log.standing import rejudge
from bringup.actions.running.engine_ends import note_ends
from bringup.errors import CannotTell
from bringup.journal.entry import Entry, Kind
from bringup.machine.folders import Folders

if TYPE_CHECKING:
    from bringup.journal.store import Journal

T = TypeVar("T")


def read_log(place: Folders, read: Callable[[Journal], T]) -> tuple[T, str]:
    """Read something from the journal, brought up to date before; and a warning.

    Raises:
        CannotTell: there is no journal yet.
        JournalTrouble: it cannot be read.
    """
    warning = bring_up_to_date(place)
    found, later = with_journal(place, read)
    if found is None:
        raise CannotTell(
            "there is no journal yet", hint="It begins with the next bringup doctor, run, serve or pull."
        )
    return found, warning or later


def bring_up_to_date(place: Folders) -> str:
    """Take over the fixes and judge states anew where the rules have changed; a warning for the user.

    Raises:
        JournalTrouble: the journal cannot be read.
    """
    if is_held(place):
        return ""  # it can wait for the next command; who reads now says that it is held
    warnings = take_over_fixes(place), note_ends(place)
    rejudge(place)
    return next(filter(None, warnings), "")


def take_over_fixes(place: Folders) -> str:
    """Write the steps that `bringup fix` took into the journal, each once; a warning where that failed."""
    attempts = FixRecord(place).read().attempts
    if not attempts:
        return ""
    known, _ = with_journal(
        place, lambda journal: {entry.data.get("attempt") for entry in journal.entries(kinds=(Kind.FIX,))}
    )
    fresh = [one for one in attempts if one.outcome is not Outcome.RUNNING and one.key not in (known or ())]
    return record(*(fix_note(attempt) for attempt in fresh), ours=place)


def fix_note(attempt: Attempt) -> Note:
    """One step of a fix, as it is kept."""
    how = {
        True: "the fault was gone after it",
        False: "the fault was still there after it",
        None: "nobody looked whether the fault was gone",
    }[attempt.fault_gone]
    ended = "its end was not seen" if attempt.exit_code is None else f"exit code {attempt.exit_code}"
    data = {
        "attempt": attempt.key,
        "fault": attempt.fault_id,
        "step": attempt.step,
        "command": attempt.command,
        "began_s": attempt.began_s,
        "ended_s": attempt.ended_s,
        "exit_code": attempt.exit_code,
        "fault_gone": attempt.fault_gone,
        "outcome": attempt.outcome.value,
    }
    text = f"step {attempt.step}: {attempt.command} ({ended}; {how})"
    return Note(Kind.FIX, attempt.fault_id, text, data)


def get_entry(place: Folders, seq: int) -> tuple[Entry | None, str]:
    """One entry, `None` where there is none of that number; and a warning.

    Raises:
        CannotTell: there is no journal yet.
        JournalTrouble: it cannot be read.
    """
    found, warning = read_log(place, lambda journal: (journal.entry(seq),))
    return found[0], warning


def search(place: Folders, words: tuple[str, ...], *, last: int) -> tuple[list[Entry], str]:
    """The newest entries that hold every word; and a warning.

    Raises:
        CannotTell, JournalTrouble: as `get_entry`.
    """
    found, warning = read_log(place, lambda journal: journal.search(words, last=last + 200))
    shown = [entry for entry in found if entry.kind is not Kind.JUDGED]
    return shown[-last:], warning
