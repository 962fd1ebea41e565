"""What happened on this machine, in one line of time: our own entries and what the system wrote down."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.journal.silent_ends import is_alive
from bringup.actions.log.standing import Episode, Standing, count_old_rules, episodes, standings
from bringup.errors import WrongUse
from bringup.journal.entry import Kind
from bringup.machine import clock, folders, process
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.records import dataclass, replace

if TYPE_CHECKING:
    from bringup.journal.entry import Entry
    from bringup.journal.store import Journal
    from bringup.stack.outside import OutsideEvent

_SPANS_S: Final = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_NOT_SHOWN: Final = (Kind.JUDGED,)
LAYERS: Final = (
    *("hardware", "kernel", "container", "userspace", "toolkit", "build"),
    *("model", "memory", "context", "runtime"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happened.

    Attributes:
        at_s: Unix time as the machine believed it then.
        seq: number of its entry; 0 for what the system wrote and we did not.
        kind: `state`, `run`, `fault-opened`, `package`, `boot`, ...
        text: what, possibly several lines.
        layers: layers of the stack that it belongs to or can touch.
        who: who did it; empty where nothing tells.
        source: where it stands; empty for our own entries.
        is_clock_set: the clock was set back before this.
        package: of a package change: its name.
        new: of a package change: the version after.
    """

    at_s: float
    seq: int
    kind: str
    text: str
    layers: tuple[str, ...] = ()
    who: str = ""
    source: str = ""
    is_clock_set: bool = False
    package: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Items, oldest first.

    `unseen` says what could not be looked at, `n_left_out` how many items are older, `n_old_rules` how many
    kept states were judged by other rules than those of now.
    """

    items: tuple[Item, ...]
    unseen: tuple[tuple[str, str], ...] = ()
    n_left_out: int = 0
    warning: str = ""
    n_old_rules: int = 0


def parse_since(text: str, *, now_s: float) -> float:
    """Unix time meant by `7d`, `90m`, `2026-11-01`, `2026-11-01 06:41`, `today` or `yesterday`.

    Raises:
        WrongUse: none of these.
    """
    typed = text.strip().lower()
    match = re.fullmatch(r"(\d{1,6})\s*([mhdwy])", typed)
    if match is not None:
        return now_s - int(match[1]) * _SPANS_S[match[2]]
    midnight_s = clock.local_unix_s(clock.local_time_text(now_s)[:10], form="%Y-%m-%d")
    if typed in ("today", "yesterday"):
        return midnight_s - (86400 if typed == "yesterday" else 0)
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return clock.local_unix_s(text.strip(), form=form)
        except (ValueError, OverflowError):
            continue
    raise WrongUse(f"{text!r} is no moment", hint="Say 7d, 12h, yesterday, 2026-11-01 or '2026-11-01 06:41'.")


def read_timeline(
    place: Folders, machine: Machine | None, *, since_s: float | None, layer: str | None, last: int
) -> Timeline:
    """The newest items, oldest first.

    Args:
        place: our folders.
        machine: whose own logs are merged in; `None` for none.
        since_s: Unix time before which nothing is told; `None` for no such limit.
        layer: only what belongs to this layer.
        last: so many at most.

    Raises:
        JournalTrouble: the journal cannot be read, where there is a file that is not being written.
    """
    from bringup.actions.journal.reading import with_journal
    from bringup.journal.trouble import JournalTrouble
    from bringup.journal.trouble import Kind as Trouble

    def read(journal: Journal) -> tuple[list[Item], int]:
        stood = standings(journal)
        return _journal_items(journal, stood, last=_enough(last, layer)), count_old_rules(stood)

    try:
        found, warning = with_journal(place, read)
    except JournalTrouble as trouble:
        if trouble.kind not in (Trouble.BUSY, Trouble.NO_FILE, Trouble.READ_ONLY):
            raise
        middle = " in the middle of a write" if trouble.kind is Trouble.BUSY else f" ({trouble.detail})"
        found, warning = None, f"{trouble.message}{middle}; what stands in it is left out"
    own, n_old_rules = found or ([], 0)
    outside, unseen = outside_items(machine) if machine is not None else ([], ())
    items = merge(own, outside)
    chosen = [
        item
        for item in items
        if (since_s is None or item.at_s >= since_s) and (layer is None or layer in item.layers)
    ]
    return Timeline(tuple(chosen[-last:]), unseen, max(0, len(chosen) - last), warning, n_old_rules)


def _enough(last: int, layer: str | None) -> int:
    """How many entries are read for so many items: some are told together, some are of another layer."""
    return 2 * last + 50 if layer is None else 100_000


def journal_items(journal: Journal, *, last: int) -> list[Item]:
    """Our own entries as items, with the faults that opened and closed, by number."""
    return _journal_items(journal, standings(journal), last=last)


def _journal_items(journal: Journal, stood: tuple[Standing, ...], *, last: int) -> list[Item]:
    entries = journal.entries(last=last)
    first = entries[0].seq if entries else 0
    items = [item_of(entry) for entry in told_once(entries) if entry.kind not in _NOT_SHOWN]
    items += [item for item in fault_items(episodes(stood)) if item.seq >= first]
    return sorted(items, key=lambda item: item.seq)


def told_once(entries: Sequence[Entry]) -> list[Entry]:
    """Without the start of a run or setup whose end tells it all; a start without an end says so."""
    told = (Kind.RUN, Kind.SETUP)
    ended = {
        entry.data.get("run")
        for entry in entries
        if entry.kind in told and entry.data.get("phase") != "started"
    }
    kept = []
    for entry in entries:
        run = entry.data.get("run") if entry.kind in told else None
        if run is None or entry.data.get("phase") != "started":
            kept.append(entry)
        elif run not in ended:
            how = "it goes on" if is_alive(entry) else "no end of it is written down"
            kept.append(replace(entry, text=f"{entry.text}; {how}"))
    return kept


def item_of(entry: Entry) -> Item:
    """One entry as an item."""
    data: Any = entry.data
    text = "(forgotten on request)" if entry.is_forgotten else entry.text
    item = Item(entry.moment.at_s, entry.seq, entry.kind.value, text, _layers_of(entry))
    if entry.kind in (Kind.CHANGE, Kind.BOOT) and "at_s" in data:
        return replace(
            item,
            at_s=float(data["at_s"]),
            kind=str(data.get("happening", item.kind)),
            who=str(data.get("who", "")),
            source=str(data.get("source", "")),
            package=str(data.get("package", "")),
            new=str(data.get("new", "")),
        )
    return item


_KIND_LAYERS: Final = {
    Kind.RUN: ("runtime",),
    Kind.PULL: ("model",),
    Kind.PLAN: ("memory",),
    Kind.BENCH: ("runtime",),
    Kind.SETUP: ("build",),
    Kind.BOOT: ("kernel", "hardware", "userspace"),
}


def _layers_of(entry: Entry) -> tuple[str, ...]:
    told: Any = entry.data.get("layers")
    if isinstance(told, list):
        return tuple(map(str, told))
    return _KIND_LAYERS.get(entry.kind, ())


def fault_items(found: Sequence[Episode]) -> list[Item]:
    """Faults opened and closed; what follows of another fault is told with it and not alone."""
    items = []
    for episode in found:
        fault = episode.fault
        if not fault.is_root:
            continue
        layers = (fault.layer,)
        opened = episode.opened
        text = f"{fault.title} [{fault.id}]"
        items.append(Item(opened.moment.at_s, opened.seq, "fault-opened", text, layers))
        if episode.closed is not None:
            closed = episode.closed
            items.append(Item(closed.moment.at_s, closed.seq, "fault-closed", text, layers))
    return items


def this_machine() -> Machine:
    """The machine that we run on."""
    from bringup.machine.live import LiveMachine

    return LiveMachine()


def outside_items(machine: Machine) -> tuple[list[Item], tuple[tuple[str, str], ...]]:
    """What the system wrote down itself, by its time; and what could not be looked at."""
    from bringup.machine.live import LiveMachine
    from bringup.stack.outside import probe_outside

    is_ours = isinstance(machine, LiveMachine)
    outside = probe_outside(
        machine,
        package_folders=process.package_folders() if is_ours else (),
        builds_folder=folders.our_folders().builds if is_ours else "",
    )
    items = [outside_item(event) for event in outside.events]
    told = sorted((item for item in items if item is not None), key=lambda item: item.at_s)
    return told, tuple((one.source, one.why) for one in outside.unseen)


def outside_item(event: OutsideEvent) -> Item | None:
    """An event as an item; `None` where its time cannot be made out."""
    at_s = event.at_s if event.at_s is not None else moment_of(event.when, event.offset)
    if at_s is None:
        return None
    return Item(
        at_s,
        0,
        event.happening.value,
        event.what,
        event.layers,
        event.who,
        event.source,
        package=event.package,
        new=event.new,
    )


def moment_of(when: str, offset: str) -> float | None:
    """Unix time of a moment in a log: with its distance from UTC, or by this machine's zone of that day."""
    import calendar
    from datetime import datetime

    form = "%Y-%m-%d %H:%M:%S" if when.count(":") == 2 else "%Y-%m-%d %H:%M"
    try:
        if not offset:
            return clock.local_unix_s(when, form=form)
        naive = datetime.strptime(f"{when}+0000", f"{form}%z")
    except (ValueError, OverflowError):
        return None
    digits = "0000" if offset == "Z" else offset[1:].replace(":", "")
    shift_s = (int(digits[:2]) * 60 + int(digits[2:])) * 60 * (-1 if offset.startswith("-") else 1)
    return calendar.timegm(naive.utctimetuple()) - shift_s


def merge(own: Sequence[Item], outside: Iterable[Item]) -> list[Item]:
    """Own items stay in the order of their numbers; the others stand before the first that is later.

    What we wrote down of the outside ourselves is told once.
    """
    ours = {(round(item.at_s), item.text) for item in own if item.source}
    foreign = [item for item in outside if (round(item.at_s), item.text) not in ours]
    kept = [item for item in own if not item.source]
    foreign = sorted([*foreign, *(item for item in own if item.source)], key=lambda item: item.at_s)
    merged: list[Item] = []
    at = 0
    latest_s = float("-inf")
    for item in kept:
        while at < len(foreign) and foreign[at].at_s <= item.at_s:
            merged.append(foreign[at])
            at += 1
        is_set_back = item.at_s < latest_s - 1
        latest_s = item.at_s
        merged.append(replace(item, is_clock_set=True) if is_set_back else item)
    return merged + foreign[at:]
