"""What is different from when it last worked, and which of that can be the cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.log.change_words import fold_changes
from bringup.actions.log.ranking import Suspect, rank
from bringup.actions.log.standing import Standing, StoodFault, episodes, standings
from bringup.actions.log.state_record import state_changes
from bringup.actions.log.timeline import LAYERS, Item, item_of, merge, outside_items, parse_since
from bringup.errors import CannotTell, WrongUse
from bringup.journal.entry import Entry, Kind
from bringup.machine import clock
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.records import dataclass, replace
from bringup.units import parse_whole

if TYPE_CHECKING:
    from bringup.journal.store import Journal

_EVENT_KINDS: Final = frozenset({"package", "kernel", "dkms", "runfile", "pip", "engine", "boot"})
_RUN_FIGURES: Final = ("engine", "engine_build", "n_ctx", "n_slots", "quant", "size_bytes")
_SLOWER: Final = 0.85
"""A run below this share of the speed of the good one is told to be slower."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two moments and what lies between them.

    Attributes:
        then: the earlier state, with its number.
        now: the later one.
        worked: in words, what shows that it worked then; empty for a plain comparison.
        broken: root faults of the later one.
        suspects: the likeliest first.
        changes: every fact that differs: name and words.
        runs: what differs between the good run and the newest one: name, old, new.
        unseen: logs that could not be looked at.
        is_nothing_broken: it was asked since when it is broken, and it works: both states are the same.
    """

    then: Standing
    now: Standing
    worked: str
    broken: tuple[StoodFault, ...]
    suspects: tuple[Suspect, ...]
    changes: tuple[tuple[str, str], ...]
    runs: tuple[tuple[str, str, str], ...] = ()
    unseen: tuple[tuple[str, str], ...] = ()
    is_nothing_broken: bool = False


@dataclass(frozen=True, slots=True)
class _Baseline:
    then: Standing
    worked: str
    runs: tuple[tuple[str, str, str], ...] = ()
    layers: tuple[str, ...] = ()


def since_it_worked(
    journal: Journal,
    what: str | None,
    *,
    outside: Sequence[Item],
    unseen: tuple[tuple[str, str], ...] = (),
    until_s: float | None = None,
) -> Comparison:
    """The difference between the last healthy state, or the last good run of a model, and now.

    Args:
        journal: what was kept; its last state is now.
        what: a model, a fault or a layer; `None` for what is broken now.
        outside: what the system wrote down itself.
        unseen: logs that could not be looked at.
        until_s: Unix time of now; `None` for that of the last state.

    Raises:
        CannotTell: nothing was kept of a time when it worked.
        WrongUse: nothing is known of `what`.
        JournalTrouble: the journal cannot be read.
    """
    stood = standings(journal)
    if not stood:
        raise CannotTell(
            "the journal has not seen this machine yet",
            hint="bringup doctor looks at it and keeps what it saw.",
        )
    now = stood[-1]
    if what in (None, *LAYERS) and not now.roots and now.verdict == "healthy":
        return Comparison(now, now, "it works now", (), (), (), (), unseen, is_nothing_broken=True)
    base = _baseline(journal, stood, what)
    layers = base.layers or tuple(fault.layer for fault in now.roots)
    changes = _fact_changes(journal, base.then, now)
    end_s = now.moment.at_s + 1 if until_s is None else until_s
    between = _events(journal, outside, base.then.moment.at_s, end_s)
    suspects = rank(between, changes, now.roots, layers, first_seen_s=_first_seen_s(stood, now))
    words = tuple((change.name, change.words) for change in fold_changes(changes))
    return Comparison(base.then, now, base.worked, now.roots, suspects, words, base.runs, unseen)


def compare_moments(journal: Journal, first: int, second: int, *, outside: Sequence[Item]) -> Comparison:
    """Two kept states by the numbers of entries: the state at an entry is the last one up to it.

    Raises:
        WrongUse: there is no state up to such an entry.
        JournalTrouble: the journal cannot be read.
    """
    stood = standings(journal)

    def at(seq: int) -> Standing:
        found = [one for one in stood if one.seq <= seq]
        if not found:
            raise WrongUse(
                f"no state of the machine was kept up to entry {seq}",
                hint=f"The first one is entry {stood[0].seq}." if stood else "bringup doctor keeps one.",
            )
        return found[-1]

    then, now = sorted((at(first), at(second)), key=lambda one: one.seq)
    changes = _fact_changes(journal, then, now)
    between = _events(journal, outside, then.moment.at_s, now.moment.at_s + 1)
    layers = tuple(fault.layer for fault in now.roots)
    suspects = rank(between, changes, now.roots, layers, first_seen_s=None)
    words = tuple((change.name, change.words) for change in fold_changes(changes))
    return Comparison(then, now, "", now.roots, suspects, words)


def compare_named(journal: Journal, first: str, second: str, *, outside: Sequence[Item]) -> Comparison:
    """Two kept states by the words that a person types for them.

    Raises:
        WrongUse: such a word is none, or nothing was kept up to then.
        JournalTrouble: the journal cannot be read.
    """
    return compare_moments(journal, _typed(journal, first), _typed(journal, second), outside=outside)


def _events(journal: Journal, outside: Sequence[Item], from_s: float, until_s: float) -> list[Item]:
    """What was done to the machine between two moments, ours and the system's, each once."""
    kept = [item_of(entry) for entry in journal.entries(kinds=(Kind.CHANGE, Kind.BOOT))]
    return [
        item for item in merge(kept, outside) if item.kind in _EVENT_KINDS and from_s <= item.at_s <= until_s
    ]


def _typed(journal: Journal, text: str) -> int:

    if parse_whole(text) is not None or text in ("first", "now", "last"):
        return find_moment(journal, text, at_s=None)
    return find_moment(journal, text, at_s=parse_since(text, now_s=clock.wall_s()))


def find_moment(journal: Journal, text: str, *, at_s: float | None) -> int:
    """Number of the entry that a word means: a number, `first`, `now`, or a moment that was read already.

    Raises:
        WrongUse: nothing was kept up to then.
    """
    entries = journal.entries(kinds=(Kind.STATE,), with_bodies=False)
    number = parse_whole(text)
    if number is not None:
        return number
    if text in ("now", "last") and entries:
        return entries[-1].seq
    if text == "first" and entries:
        return entries[0].seq
    earlier = [entry.seq for entry in entries if at_s is not None and entry.moment.at_s <= at_s]
    if not earlier:
        raise WrongUse(f"no state of the machine was kept up to {text}", hint="bringup log lists what was.")
    return earlier[-1]


def _baseline(journal: Journal, stood: tuple[Standing, ...], what: str | None) -> _Baseline:
    now = stood[-1]
    if what is None:
        return _without(stood, frozenset(fault.id for fault in now.roots), "")
    known = {fault.id for one in stood for fault in one.faults}
    if what in known:
        return _without(stood, frozenset({what}), f"{what} was not there")
    if what in LAYERS:
        ids = frozenset(fault.id for one in stood for fault in one.faults if fault.layer == what)
        return _without(stood, ids, f"nothing was wrong in {what}", layers=(what,))
    return _last_good_run(journal, stood, what)


def _without(
    stood: tuple[Standing, ...], ids: frozenset[str], words: str, *, layers: tuple[str, ...] = ()
) -> _Baseline:
    """The last state without these faults, of the healthy ones where there is one since the last break."""
    now = stood[-1]
    if layers and now.roots and not any(fault.layer in layers for fault in now.faults):
        raise WrongUse(
            f"nothing is wrong in {layers[0]} now",
            context=tuple(f"broken now: {fault.id} in {fault.layer}" for fault in now.roots),
            hint="bringup log since-it-worked, with nothing behind it, is about what is broken now.",
        )
    if not ids:
        raise CannotTell(
            "the doctor finds nothing broken now, but could not see everything",
            hint="Name a model that ran better (bringup log since-it-worked MODEL), or compare two entries:"
            " bringup log compare first now",
        )
    if not layers and not ids & now.ids:
        raise WrongUse(
            f"{', '.join(sorted(ids))} is not there now",
            hint="bringup log shows when it was and when it went.",
        )
    good = [one for one in stood[:-1] if one.verdict and not ids & one.ids]
    if not good:
        raise CannotTell(
            "it was broken in every look that the journal holds",
            context=(f"the first one is entry {stood[0].seq}",),
            hint="What the system's own logs tell is in: bringup log",
        )
    then = good[-1]
    told = words or ("no fault was found" if not then.faults else "the fault of now was not there")
    return _Baseline(then, told, layers=layers)


def _last_good_run(journal: Journal, stood: tuple[Standing, ...], what: str) -> _Baseline:
    """The last good run of a model, and the state of the machine before it."""
    wanted = what.casefold()
    runs = [
        entry
        for entry in ended_runs(journal.entries(kinds=(Kind.RUN,), last=5000))
        if wanted in entry.subject.casefold()
    ]
    if not runs:
        raise WrongUse(
            f"the journal knows no run, fault or layer {what}",
            hint=f"Layers are {', '.join(LAYERS)}; runs are in: bringup log",
        )
    newest = runs[-1]
    good = _better_run(runs, newest)
    if good is None:
        raise CannotTell(
            f"no run of {what} that went well and was better than the last one is in the journal"
        )
    before = [one for one in stood if one.seq <= good.seq] or [stood[0]]
    return _Baseline(
        before[-1],
        f"{good.text} (entry {good.seq})",
        run_differences(good, newest),
        ("runtime", "build", "memory"),
    )


def _better_run(runs: list[Entry], newest: Entry) -> Entry | None:
    good = [run for run in runs[:-1] if run.data.get("is_good")]
    if not newest.data.get("is_good"):
        return good[-1] if good else None
    speed: Any = newest.data.get("predicted_tokens_per_s") or 0
    faster = [run for run in good if speed < _SLOWER * float(run.data.get("predicted_tokens_per_s") or 0)]
    return faster[-1] if faster else (good[-1] if good else None)


def ended_runs(entries: Sequence[Entry]) -> list[Entry]:
    """Ends of runs; those of detached servers with what was written down when they started on that port."""
    started: dict[Any, Mapping[str, Any]] = {}
    found = []
    for entry in entries:
        port = entry.data.get("port")
        if entry.data.get("phase") == "started" and entry.data.get("is_detached"):
            started[port] = entry.data
        elif entry.data.get("phase") in ("ended", "failed"):
            told = started.pop(port, {}) if entry.data.get("is_detached") else {}
            found.append(replace(entry, data={**told, **entry.data}))
    return found


def run_differences(good: Entry, newest: Entry) -> tuple[tuple[str, str, str], ...]:
    """What a run was told and measured, where both are known and differ: name, then, now."""
    pairs = [(name, good.data.get(name), newest.data.get(name)) for name in _RUN_FIGURES]
    pairs = [pair for pair in pairs if pair[1] is not None and pair[2] is not None]
    told: tuple[Mapping[str, Any], ...] = (good.data.get("settings") or {}, newest.data.get("settings") or {})
    if all(told):
        names = sorted((told[0].keys() | told[1].keys()) - {"port", "model_path", "n_ctx"})
        pairs += [(name, told[0].get(name), told[1].get(name)) for name in names]
    measured = ("predicted_tokens_per_s", "prompt_tokens_per_s")
    pairs += [
        (name, good.data.get(name), newest.data.get(name)) for name in measured if newest.data.get(name)
    ]
    pairs += [("how", good.data.get("how"), newest.data.get("how"))]
    return tuple((name, _words(old), _words(new)) for name, old, new in pairs if old != new)


def _words(value: object) -> str:
    if value is None:
        return "not told"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _first_seen_s(stood: tuple[Standing, ...], now: Standing) -> float | None:
    """When the first of the faults of now was first seen in its present episode."""
    ids = {fault.id for fault in now.roots}
    opened = [one.opened.moment.at_s for one in episodes(stood) if one.closed is None and one.fault.id in ids]
    return min(opened, default=None)


def _fact_changes(journal: Journal, then: Standing, now: Standing) -> list[tuple[str, Any, Any]]:
    """Facts that differ between two kept states; read anew where our eyes have changed since."""
    old, old_rules = _facts_at(journal, then.seq)
    new, new_rules = _facts_at(journal, now.seq)
    if old is None or new is None:
        return []
    if old_rules != new_rules:
        old, new = read_again(journal, then.seq) or old, read_again(journal, now.seq) or new
    return state_changes(old, new)


def _facts_at(journal: Journal, seq: int) -> tuple[dict[str, Any] | None, str]:
    from bringup.actions.log.machine_state import facts_of, snapshot_at

    snapshot = snapshot_at(journal, seq)
    entry = journal.entry(seq)
    rules = "" if entry is None else str(entry.data.get("rules", ""))
    return (None if snapshot is None else facts_of(snapshot)), rules


def read_again(journal: Journal, seq: int) -> dict[str, Any] | None:
    """What the looks of now make of the answers that were kept with a state; `None` where there are none.

    Raises:
        JournalTrouble: the journal cannot be read.
    """
    from bringup.actions.log.machine_state import fact_parts, recording_of, snapshot_at
    from bringup.machine.recorded import RecordedMachine
    from bringup.stack.probe import probe_stack

    snapshot = snapshot_at(journal, seq)
    if snapshot is None:
        return None
    return fact_parts(probe_stack(RecordedMachine.from_recording(recording_of(snapshot))).stack)


def look_and_compare(
    place: Folders, machine: Machine, what: str | None, *, is_looking: bool
) -> tuple[Comparison, str]:
    """`since_it_worked` after a fresh look at this machine (or as it was last seen); and a warning.

    Raises:
        CannotTell, WrongUse, JournalTrouble: as `since_it_worked`.
    """
    from bringup.actions.journal.reading import with_journal

    now_s = clock.wall_s()
    if is_looking:
        from bringup.actions.log.kept_look import examine_and_keep

        examine_and_keep(machine, subject="this machine")
    outside, unseen = outside_items(machine)
    found, warning = with_journal(
        place, lambda journal: since_it_worked(journal, what, outside=outside, unseen=unseen, until_s=now_s)
    )
    if found is None:
        raise CannotTell(
            "there is no journal yet", hint="bringup doctor looks at this machine and keeps what it saw."
        )
    return found, warning
