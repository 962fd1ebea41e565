"""Runs and setups that ended without a word: a kill or a power cut; written down when somebody next looks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from bringup.errors import BringupError
from bringup.machine import clock, files, locks, paths, process

if TYPE_CHECKING:
    from bringup.actions.journal.writing import Note
    from bringup.journal.entry import Entry
    from bringup.machine.folders import Folders

_LOOKED_AT: Final = 100
"""How many of the newest entries of runs and setups are looked at: older ones were, when they were new."""


def own_mark() -> dict[str, Any]:
    """What an entry that is written at a start keeps, so that later anybody can see whether we still live."""
    own = process.identity_of(process.own_pid())
    return {} if own is None else {"holder": [own.pid, own.start_ticks]}


def note_silent_ends(ours: Folders) -> str:
    """Write an end for each start whose process is gone; a warning where that could not be written down.

    Raises:
        BringupError: the journal cannot be read now.
    """
    from bringup.actions.journal.writing import is_kept, record

    if not is_kept(ours) or not files.size_bytes(ours.journal_file) or not _gone(ours):
        return ""
    lease = locks.try_lease(paths.join(ours.state, "ends.lock"))
    if isinstance(lease, locks.Holder):
        return ""  # another command writes them down in this moment
    with lease:
        return record(*map(end_note, _gone(ours)), ours=ours)


def _gone(ours: Folders) -> list[Entry]:
    from bringup.journal.entry import Kind
    from bringup.journal.store import read_journal

    with read_journal(ours.journal_file, is_hurried=True) as journal:
        entries = journal.entries(kinds=(Kind.RUN, Kind.SETUP), last=_LOOKED_AT)
    return [entry for entry in unclosed(entries) if not is_alive(entry)]


def unclosed(entries: Iterable[Entry]) -> list[Entry]:
    """Starts that tell whose they are, and of which no end is written down."""
    started: dict[str, Entry] = {}
    for entry in entries:
        run = str(entry.data.get("run", ""))
        if entry.data.get("phase") != "started":
            started.pop(run, None)
        elif run and entry.data.get("holder"):
            started[run] = entry
    return list(started.values())


_NO_REBOOT: Final = "its program was killed, crashed or lost its terminal"


def end_note(start: Entry) -> Note:
    """The end of a start of which nobody said how it came."""
    from bringup.actions.journal.moment import now
    from bringup.actions.journal.writing import Note

    moment = now()
    is_other_boot = bool(start.moment.boot) and start.moment.boot != moment.boot
    why = "the machine was started again" if is_other_boot else _NO_REBOOT
    how = f"ended without a word: {why}"
    began, noticed = (clock.local_time_text(at_s)[:16] for at_s in (start.moment.at_s, moment.at_s))
    data = {key: value for key, value in start.data.items() if key != "holder"}
    data |= {"phase": "ended", "how": how, "is_good": False, "reference": "", "is_noticed_later": True}
    text = f"{start.subject}: {how}; it had begun {began} (noticed at {noticed})"
    return Note(start.kind, start.subject, text, data, is_redacted=True)


def is_alive(start: Entry) -> bool:
    """Whether the process that wrote this start still lives; one that does not tell is taken for gone."""
    from bringup.actions.journal.moment import now

    try:
        pid, start_ticks = map(int, start.data.get("holder", ()))
    except (TypeError, ValueError):
        return False
    found = process.identity_of(pid)
    return found is not None and found.start_ticks == start_ticks and start.moment.boot == now().boot


def note_quietly(ours: Folders) -> str:
    """The same beside other commands: a journal that cannot be read now is somebody else's trouble."""
    try:
        return note_silent_ends(ours)
    except BringupError:
        return ""
