"""Read the journal: what waits is taken up and damage mended first, and a lock is read past."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from bringup.actions.journal.mending import check_place, is_damaged_at_a_glance, mend
from bringup.errors import BringupError
from bringup.machine import files, process
from bringup.machine.folders import Folders

if TYPE_CHECKING:
    from bringup.journal.store import Journal
    from bringup.journal.trouble import JournalTrouble
T = TypeVar("T")

_COPY_LIMIT_BYTES: Final = 512 * 1024**2
HELD: Final = "another program holds the journal; this is what stood in it before"


def with_journal(place: Folders, read: Callable[[Journal], T]) -> tuple[T | None, str]:
    """Read something from the journal, mended first where that is needed.

    Returns:
        What was read, `None` where there is no journal yet; and a warning, empty where all went well.

    Raises:
        JournalTrouble: it cannot be read.
    """
    from bringup.journal.trouble import JournalTrouble, Kind

    check_place(place)
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
