"""A fault that was here before: how often, since when, what had changed, and which steps did not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.diagnosis.recurrence import Recurrence, Time, TriedStep
from bringup.actions.log.ranking import rank_events
from bringup.actions.log.standing import Episode, episodes, standings
from bringup.actions.log.state_record import layer_of_fact
from bringup.actions.log.timeline import Item, item_of
from bringup.errors import BringupError
from bringup.journal.entry import Entry, Kind
from bringup.machine import files
from bringup.machine.folders import Folders

if TYPE_CHECKING:
    from bringup.journal.store import Journal

_TOLD_LINES: Final = 2
_LOOKED_AT: Final = 500
"""How many of the newest changes from outside are looked through."""


def recall(place: Folders, fault_ids: Sequence[str]) -> dict[str, Recurrence]:
    """What is known of these faults; nothing where there is no journal, or none that can be read now."""
    from bringup.actions.journal.writing import is_kept
    from bringup.journal.store import read_journal

    if not fault_ids or not is_kept(place) or not files.size_bytes(place.journal_file):
        return {}
    try:
        with read_journal(place.journal_file, is_hurried=True) as journal:
            return recall_from(journal, fault_ids)
    except BringupError:
        return {}


def recall_from(journal: Journal, fault_ids: Sequence[str]) -> dict[str, Recurrence]:
    """The same from an open journal.

    Raises:
        JournalTrouble: it cannot be read.
    """
    told = episodes(standings(journal))
    fixes = journal.entries(kinds=(Kind.FIX,))
    changes = [item_of(entry) for entry in journal.entries(kinds=(Kind.CHANGE,), last=_LOOKED_AT)]
    found = {}
    for fault_id in fault_ids:
        mine = [one for one in told if one.fault.id == fault_id]
        if mine:
            times = tuple(_time(journal, one, changes) for one in mine)
            found[fault_id] = Recurrence(fault_id, times, _tried(fault_id, times, fixes))
    return found


def _time(journal: Journal, episode: Episode, changes: Sequence[Item]) -> Time:
    changed = "" if episode.before is None else "; ".join(_what_changed(journal, episode, changes))
    closed = episode.closed
    return Time(episode.opened.moment.at_s, None if closed is None else closed.moment.at_s, changed)


def _what_changed(journal: Journal, episode: Episode, changes: Sequence[Item]) -> list[str]:
    """What can have brought it: what was done to its layer, else the facts of its layer that differ."""
    from_s = 0.0 if episode.before is None else episode.before.moment.at_s
    until_s = episode.opened.moment.at_s
    between = [item for item in changes if from_s <= item.at_s <= until_s]
    likely = [one for one in rank_events(between, episode.fault) if one.text]
    if likely:
        return [f"{one.text} ({one.who})" if one.who else one.text for one in likely[:_TOLD_LINES]]
    entry = journal.entry(episode.opened.seq)
    lines = (entry.text if entry is not None else "").splitlines()
    # A stable sort: what belongs to the fault's own layer first.
    lines.sort(key=lambda line: layer_of_fact(line) != episode.fault.layer)
    return lines[:_TOLD_LINES]


def _tried(fault_id: str, times: tuple[Time, ...], fixes: Sequence[Entry]) -> tuple[TriedStep, ...]:
    steps = []
    for fix in fixes:
        data: Mapping[str, Any] = fix.data
        if fix.subject != fault_id or not isinstance(data.get("step"), int):
            continue
        at_s = float(data.get("began_s") or fix.moment.at_s)
        came_back = any(time.opened_s > at_s for time in times)
        helped = data.get("fault_gone")
        did_not_hold = helped is False or (helped is not False and came_back)
        steps.append(TriedStep(int(data["step"]), str(data.get("command", "")), at_s, did_not_hold))
    return tuple(steps)
