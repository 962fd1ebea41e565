"""A damaged journal: set aside, never deleted; what can be read of it is carried over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bringup.machine import clock, files, locks, paths, process
from bringup.machine.folders import Folders
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.journal.salvage import Salvaged
    from bringup.journal.store import Journal

_QUICK_BYTES: Final = 2 * 1024**2
"""A larger file is mended by `bringup log`, which may take its time, and not by the command that meets it."""

_LIMIT_BYTES: Final = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a damaged journal: where it lies now, and how much of it could be read."""

    aside: str
    n_carried: int
    n_lost: int

    @property
    def words(self) -> str:
        """One sentence for the user."""
        lost = f", {self.n_lost} could not be read" if self.n_lost else ""
        return (
            f"the journal's file was damaged: it is set aside as {self.aside};"
            f" {self.n_carried} entries were carried over{lost}"
        )


def mend(place: Folders, *, is_patient: bool) -> Mended | None:
    """Set a damaged journal aside and carry over what can be read.

    Returns `None` where it is too large for a command that is not patient, another command is at it, or it
    is sound by now.

    Raises:
        JournalTrouble, FileTrouble: it could not be done; the damaged file is where it was.
    """
    path = place.journal_file
    if not is_patient and files.size_bytes(path) > _QUICK_BYTES:
        return None
    lease = locks.try_lease(f"{path}.mending")
    if isinstance(lease, locks.Holder):
        return None
    with lease:
        return _mend(path) if is_damaged(path) else None


def check_place(place: Folders) -> None:
    """Refuse what is no file under the journal's name: opened, a pipe would wait and a folder read as empty.

    Raises:
        JournalTrouble: it is none.
    """
    if why := files.why_no_file(place.journal_file):
        from bringup.journal.trouble import JournalTrouble, Kind

        kind = Kind.READ_ONLY if why.startswith("cannot") else Kind.NO_FILE
        raise JournalTrouble(kind, f"{place.journal_file} {why}")


def is_damaged_at_a_glance(path: str) -> bool:
    """Whether the file cannot even be opened as a journal."""
    from bringup.journal.store import read_journal
    from bringup.journal.trouble import JournalTrouble, Kind

    if not files.size_bytes(path):
        return False
    try:
        read_journal(path).close()
    except JournalTrouble as trouble:
        return trouble.kind is Kind.DAMAGED
    return False


def is_damaged(path: str) -> bool:
    """Whether SQLite itself finds the file damaged; reads all of it."""
    from bringup.journal.store import read_journal
    from bringup.journal.trouble import JournalTrouble, Kind

    try:
        with read_journal(path) as journal:
            return not journal.is_whole()
    except JournalTrouble as trouble:
        return trouble.kind is Kind.DAMAGED


def _mend(path: str) -> Mended:
    from bringup.journal.salvage import salvage
    from bringup.journal.store import held_still, open_journal

    stamp = "".join(filter(str.isdigit, clock.local_time_text(clock.wall_s())))
    aside = f"{path.removesuffix('.sqlite')}.damaged-{stamp}-{process.random_bytes(2).hex()}.sqlite"
    fresh = f"{path}.mended"
    with held_still(path) as highest:
        found = salvage(files.read_small(path, limit_bytes=_LIMIT_BYTES) or b"")
        for leftover in (fresh, f"{fresh}-journal"):
            files.remove(leftover)
        files.create_once(fresh, b"")
        with open_journal(fresh) as journal:
            mended = _carry(journal, found, highest, aside)
        files.remove(f"{fresh}-journal")
        files.link(path, aside)
        if files.size_bytes(f"{path}-journal"):
            files.rename(f"{path}-journal", f"{aside}-journal")
        files.rename(fresh, path)
    return mended


def _carry(journal: Journal, found: Salvaged, highest: int, aside: str) -> Mended:
    from bringup.actions.journal.moment import now
    from bringup.journal.entry import Draft, Kind

    numbers = [header.seq for header in found.headers]
    top = max([highest, *numbers], default=0)
    journal.carry_over(found.headers, found.bodies, highest=top)
    lost = gaps(numbers, top)
    with_body = {body.seq for body in found.bodies}
    forgotten = {entry.data.get("seq") for entry in journal.entries(kinds=(Kind.FORGOTTEN,))}
    bare = [number for number in numbers if number not in with_body and number not in forgotten]
    n_lost = sum(last - first + 1 for first, last in lost)
    mended = Mended(paths.basename(aside), len(numbers), n_lost)
    data = {"aside": mended.aside, "carried": len(numbers), "lost": lost, "lost_bodies": bare}
    journal.append([Draft(Kind.MENDED, "journal", mended.words, data, now(), process.random_bytes(16))])
    return mended


def gaps(numbers: list[int], top: int) -> list[list[int]]:
    """Ranges between 1 and `top` that are not among the sorted numbers, ends included."""
    found = []
    expected = 1
    for number in [*numbers, top + 1]:
        if number > expected:
            found.append([expected, number - 1])
        expected = number + 1
    return found
