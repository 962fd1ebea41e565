"""Check the journal's file, whatever state it is in; nothing is mended by that."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.errors import CannotTell
from bringup.machine import files, paths
from bringup.machine.folders import Folders


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
        CannotTell: there is no journal yet.
    """
    from bringup.journal.store import read_journal
    from bringup.journal.trouble import JournalTrouble
    from bringup.journal.verify import Verified, verify

    path = place.journal_file
    if not files.size_bytes(path):
        raise CannotTell(
            "there is no journal yet", hint="It begins with the next bringup doctor, run or pull."
        )
    try:
        with read_journal(path) as journal:
            found = verify(journal)
            if not found.problems and not journal.is_whole():
                problems = ("SQLite finds the file damaged",)
                found = Verified(found.n_entries, found.head, problems, found.lost, found.forgotten)
    except JournalTrouble as trouble:
        found = Verified(0, "", (f"{trouble.message} ({trouble.detail})",), (), ())
    beside = files.list_names(paths.dirname(path))
    aside = tuple(name for name in beside if name.startswith("journal.damaged-") and name.endswith(".sqlite"))
    waiting = len(files.list_names(place.journal_waiting))
    return Checked(
        path, found.n_entries, found.head, found.problems, found.lost, found.forgotten, aside, waiting
    )
