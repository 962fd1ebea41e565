"""A damaged journal: set aside, never deleted; what can be read of it is carried over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from bringup.errors import BringupError
from bringup.machine import clock, files, locks, paths, process
from bringup.machine.folders import Folders
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.journal.salvage import Salvaged
    from bringup.journal.store import Journal
    from bringup.journal.trouble import JournalTrouble

T = TypeVar("T")

_QUICK_BYTES: Final = 2 * 1024**2
"""A larger file is mended by `bringup log`, which may take its time, and not by the command that meets it."""

_LIMIT_BYTES: Final = 4 * 1024**3
_COPY_LIMIT_BYTES: Final = 512 * 1024**2
HELD: Final = "another program holds the journal; this is what stood in it before"


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


def with_journal(place: Folders, read: Callable[[Journal], T]) -> tuple[T | None, str]:
    """Read something from the journal, mended first where that is needed.

    Returns:
        What was read, `None` where there is no journal yet; and a warning, empty where all went well.

    Raises:
        JournalTrouble: it cannot be read.
    """
    from bringup.journal.trouble import JournalTrouble, Kind

    if is_held(place):
        return _read_while_held(place, read)
    warning = take_up(place)
    if files.size_bytes(place.journal_file) == 0:
        return None, warning
    try:
        return _read(place, read), warning
    except JournalTrouble as trouble:
        if trouble.kind is not Kind.DAMAGED:
            raise
    mended = mend(place, is_patient=True)
    if mended is not None:
        warning = " ".join((mended.words, take_up(place))).strip()
    return _read(place, read), warning


def with_journal_if_it_can_be_read(place: Folders, read: Callable[[Journal], T]) -> tuple[T | None, str]:
    """The same for a command that has an answer without the journal: the trouble is only a warning."""
    from bringup.journal.trouble import JournalTrouble

    try:
        return with_journal(place, read)
    except JournalTrouble as trouble:
        return None, f"{trouble.message}; what it knows of this is left out"


def take_up(place: Folders) -> str:
    """Store what was put aside, and bring the file up to date; a warning where that cannot be done now.

    Raises:
        JournalTrouble: another program holds it.
    """
    from bringup.actions.journal.writing import is_kept, store
    from bringup.journal.schema import NEWEST
    from bringup.journal.store import read_journal
    from bringup.journal.trouble import JournalTrouble, Kind

    try:
        if not is_kept(place):
            return ""
        if files.list_names(place.journal_waiting) and not is_damaged_at_a_glance(place.journal_file):
            return store(place, [])
        if files.size_bytes(place.journal_file):
            # A file that cannot be opened at all is mended below.
            with read_journal(place.journal_file) as journal:
                there = journal.schema()
            return store(place, []) if there != NEWEST else ""
    except JournalTrouble as trouble:
        if trouble.kind is Kind.DAMAGED:
            mended = mend(place, is_patient=True)
            return "" if mended is None else " ".join((mended.words, store(place, []))).strip()
        if trouble.kind is Kind.BUSY:
            raise  # who reads next would wait as long again
        return trouble.message
    except BringupError as problem:
        return problem.message
    return ""


def _read_while_held(place: Folders, read: Callable[[Journal], T]) -> tuple[T, str]:
    from bringup.journal.trouble import JournalTrouble, Kind

    held = JournalTrouble(Kind.BUSY, "it waited for a moment")
    try:
        return read_past_the_lock(place, read, held), HELD
    except JournalTrouble:
        return _read(place, read), ""


def read_past_the_lock(place: Folders, read: Callable[[Journal], T], trouble: JournalTrouble) -> T:
    """What the journal holds while another program keeps it for itself: a copy of the whole file is read.

    Not while a write is half done: what would take it back lies beside the file then. And not where another
    thread of ours could be writing: closing a file takes away every lock that the process has on it.

    Raises:
        JournalTrouble: the one that led here.
    """
    from bringup.journal.store import read_copy
    from bringup.journal.trouble import JournalTrouble

    before = files.mark_of_file(place.journal_file)
    if not process.is_single_threaded() or files.size_bytes(f"{place.journal_file}-journal"):
        raise trouble
    try:
        data = files.read_small(place.journal_file, limit_bytes=_COPY_LIMIT_BYTES) or b""
        if files.mark_of_file(place.journal_file) != before:
            raise trouble
        with read_copy(data) as journal:
            return read(journal)
    except JournalTrouble:
        raise trouble from None


def is_held(place: Folders) -> bool:
    """Whether another program keeps the journal for itself in this moment."""
    from bringup.journal.store import read_journal
    from bringup.journal.trouble import JournalTrouble, Kind

    if not files.size_bytes(place.journal_file):
        return False
    try:
        read_journal(place.journal_file, is_hurried=True).close()
    except JournalTrouble as trouble:
        return trouble.kind is Kind.BUSY
    return False


def _read(place: Folders, read: Callable[[Journal], T]) -> T:
    from bringup.journal.store import read_journal

    with read_journal(place.journal_file) as journal:
        return read(journal)


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
    from bringup.actions.journal.writing import now
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
