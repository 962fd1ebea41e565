"""Check the journal's file, whatever state it is in; nothing is mended by that."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bringup.errors import CannotTell
from bringup.machine import files, paths
from bringup.machine.folders import Folders
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.journal.store import Journal
    from bringup.journal.verify import Verified


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the journal found.

    Attributes:
        path: its file.
        n_entries: how many entries there are.
        head: hash of the newest one, hexadecimal.
        problems: what is not as it was written, one line each.
        lost: numbers that were lost to damage that was mended.
        forgotten: numbers whose text was forgotten on request.
        aside: damaged files that lie beside it.
        waiting: how many entries wait to be taken up.
    """

    path: str
    n_entries: int
    head: str
    problems: tuple[str, ...]
    lost: tuple[int, ...]
    forgotten: tuple[int, ...]
    aside: tuple[str, ...]
    waiting: int


def check_journal(place: Folders) -> Checked:
    """Read all of it and compare.

    Raises:
        CannotTell: there is no journal yet, or another program holds it in the middle of a write.
    """
    from bringup.actions.journal.reading import read_past_the_lock
    from bringup.journal.store import read_journal
    from bringup.journal.trouble import JournalTrouble, Kind
    from bringup.journal.verify import Verified

    path = place.journal_file
    if not files.size_bytes(path):
        raise CannotTell(
            "there is no journal yet", hint="It begins with the next bringup doctor, run, serve or pull."
        )
    try:
        with read_journal(path) as journal:
            journal.count()  # the first look at the file itself: whether it is held
            found = _check(journal)
    except JournalTrouble as trouble:
        if trouble.kind is Kind.BUSY:
            found = _check_held(partial(read_past_the_lock, place, _check, trouble))
        else:
            found = Verified(0, "", (f"{trouble.message} ({trouble.detail})",), (), ())
    beside = files.list_names(paths.dirname(path))
    aside = tuple(name for name in beside if name.startswith("journal.damaged-") and name.endswith(".sqlite"))
    waiting = len(files.list_names(place.journal_waiting))
    return Checked(
        path, found.n_entries, found.head, found.problems, found.lost, found.forgotten, aside, waiting
    )


def _check(journal: Journal) -> Verified:
    from bringup.journal.verify import Verified, verify

    found = verify(journal)
    if found.problems or journal.is_whole():
        return found
    problems = ("SQLite finds the file damaged",)
    return Verified(found.n_entries, found.head, problems, found.lost, found.forgotten)


def _check_held(read: Callable[[], Verified]) -> Verified:
    from bringup.journal.trouble import JournalTrouble

    try:
        return read()
    except JournalTrouble as trouble:
        raise CannotTell(trouble.message, context=trouble.context, hint="Try again in a moment.") from trouble
