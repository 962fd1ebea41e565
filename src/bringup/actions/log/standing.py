"""How the machine stood at each kept state, by the newest rules that judged it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bringup.journal.entry import Kind, Moment
from bringup.machine import clock
from bringup.machine.folders import Folders
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.journal.entry import Entry
    from bringup.journal.store import Journal

_REJUDGE_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class StoodFault:
    """A fault that was there. `is_root` tells a cause from what follows of one."""

    id: str
    is_root: bool
    layer: str
    title: str
    saw: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One kept state and what is made of it.

    Attributes:
        seq: number of the state's entry.
        moment: when.
        verdict: `healthy`, `faults` or `cannot-tell`; empty where nobody judged it.
        faults: roots first.
        rules: what judged it.
        unseen: layers of which something that would decide could not be seen.
    """

    seq: int
    moment: Moment
    verdict: str
    faults: tuple[StoodFault, ...]
    rules: str
    unseen: tuple[str, ...] = ()

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the faults."""
        return frozenset(fault.id for fault in self.faults)

    @property
    def roots(self) -> tuple[StoodFault, ...]:
        """The causes among them."""
        return tuple(fault for fault in self.faults if fault.is_root)


@dataclass(frozen=True, slots=True)
class Episode:
    """One time that a fault was there: from the state that first had it to the one that no longer did.

    Attributes:
        fault: as it was first seen.
        opened: the first state with it.
        closed: the first state without it; `None` while it is there.
        before: the last state without it before; `None` where it was there from the first look on.
    """

    fault: StoodFault
    opened: Standing
    closed: Standing | None
    before: Standing | None


def standings(journal: Journal) -> tuple[Standing, ...]:
    """Every kept state with the newest judgement of it, oldest first.

    Raises:
        JournalTrouble: the journal cannot be read.
    """
    judged = {entry.subject: entry for entry in journal.entries(kinds=(Kind.JUDGED,))}
    states = journal.entries(kinds=(Kind.STATE,), with_bodies=False)
    return tuple(_standing(entry, judged.get(entry.subject.partition(" ")[2])) for entry in states)


def _standing(state: Entry, judged: Entry | None) -> Standing:
    data: Any = {} if judged is None else judged.data
    faults = tuple(
        StoodFault(
            str(fault.get("id", "")),
            fault.get("role") == "root",
            str(fault.get("layer", "")),
            str(fault.get("title", "")),
            str(fault.get("saw", "")),
        )
        for fault in data.get("faults", ())
    )
    return Standing(
        state.seq,
        state.moment,
        str(data.get("verdict", "")),
        faults,
        str(data.get("rules", "")),
        tuple(map(str, data.get("unseen", ()))),
    )


def episodes(stood: tuple[Standing, ...]) -> tuple[Episode, ...]:
    """Each time that a fault was there, in the order in which they began.

    Where its layer could not be seen, a fault that was there is neither seen again nor gone.
    """
    found: list[Episode] = []
    is_open: dict[str, int] = {}
    for number, standing in enumerate(stood):
        before = stood[number - 1] if number else None
        for key in [key for key in is_open if key not in standing.ids]:
            if found[is_open[key]].fault.layer in standing.unseen:
                continue
            at = is_open.pop(key)
            found[at] = Episode(found[at].fault, found[at].opened, standing, found[at].before)
        for fault in standing.faults:
            if fault.id not in is_open:
                is_open[fault.id] = len(found)
                found.append(Episode(fault, standing, None, before))
    return tuple(found)


def count_old_rules(stood: tuple[Standing, ...]) -> int:
    """How many kept states were judged by other rules than those of now."""
    from bringup.actions.log.state_record import rules_mark

    rules = rules_mark()
    return sum(one.rules not in ("", rules) for one in stood)


def rejudge(place: Folders) -> int:
    """Judge kept states by the rules of now, the newest first and for a moment only; how many are left.

    The rest stays judged by the rules of then until the next time.

    Raises:
        JournalTrouble: the journal cannot be read.
    """
    from bringup.actions.journal.reading import with_journal
    from bringup.actions.journal.writing import store
    from bringup.actions.log.state_record import judged_draft, rules_mark

    rules = rules_mark()
    stood, _ = with_journal(place, standings)
    waiting = [one for one in reversed(stood or ()) if one.rules != rules]
    started_s = clock.monotonic_s()
    drafts = []
    while waiting and clock.monotonic_s() - started_s < _REJUDGE_S:
        seq = waiting.pop(0).seq
        found, _ = with_journal(place, lambda journal, seq=seq: _judge_again(journal, seq))  # type: ignore[misc]
        if found is not None:
            state_id, verdict, moment = found
            drafts.append(judged_draft(state_id, verdict, moment))
    if drafts:
        store(place, drafts)
    return len(waiting)


def _judge_again(journal: Journal, seq: int) -> tuple[str, dict[str, Any], Moment] | None:
    from bringup.actions.diagnosis.doctor import examine
    from bringup.actions.journal.moment import now
    from bringup.actions.log.machine_state import recording_of, snapshot_at
    from bringup.actions.log.state_record import verdict_data
    from bringup.machine.recorded import RecordedMachine

    snapshot = snapshot_at(journal, seq)
    entry = journal.entry(seq)
    if snapshot is None or entry is None:
        return None
    machine = RecordedMachine.from_recording(recording_of(snapshot))
    examination = examine(machine, subject="a kept state")
    return entry.subject.partition(" ")[2], verdict_data(examination), now()
