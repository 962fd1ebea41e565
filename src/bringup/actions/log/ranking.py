"""What can be the cause of a fault, the likeliest first: what happened, and which facts differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bringup.actions.log.change_words import fold_changes
from bringup.actions.log.standing import StoodFault
from bringup.actions.log.state_record import layer_of_fact
from bringup.actions.log.timeline import LAYERS, Item
from bringup.records import dataclass

_TOUCHES: Final = 60
"""The score of an event that touches the layer that is broken."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that is different, and how far it can be the cause.

    Attributes:
        rank: from 1, the likeliest first.
        text: what is different.
        reason: why it stands at this rank.
        at_s: when, Unix time; `None` where only the difference is known.
        who: who did it, where that is known.
        layers: layers that it touches.
        seq: number of its entry; 0 for none.
    """

    rank: int
    text: str
    reason: str
    at_s: float | None
    who: str
    layers: tuple[str, ...]
    seq: int = 0


def rank(
    events: Sequence[Item],
    changes: Sequence[tuple[str, Any, Any]],
    roots: tuple[StoodFault, ...],
    layers: tuple[str, ...],
    *,
    first_seen_s: float | None,
) -> tuple[Suspect, ...]:
    """Everything that is different, what can be the cause first; of equals the newest."""
    scored = []
    for item in events:
        score, reason = _score_event(item, roots, layers, first_seen_s)
        suspect = Suspect(0, item.text, reason, item.at_s, item.who, item.layers, item.seq)
        scored.append((score, item.at_s, suspect))
    for change in fold_changes(changes):
        score, reason = _score_fact(change.name, change.new, roots, layers)
        layer = layer_of_fact(change.name)
        scored.append((score, 0.0, Suspect(0, change.words, reason, None, "", (layer,))))
    scored.sort(key=lambda one: (-one[0], -one[1], one[2].text))
    return tuple(
        Suspect(number, one.text, one.reason, one.at_s, one.who, one.layers, one.seq)
        for number, (_, _, one) in enumerate(scored, start=1)
    )


def rank_events(events: Sequence[Item], fault: StoodFault) -> list[Item]:
    """Events that can have brought a fault, the likeliest first: what it names, what touches its layer."""
    scored = [(_score_event(item, (fault,), (fault.layer,), None)[0], item) for item in events]
    likely = [one for one in scored if one[0] >= _TOUCHES]
    return [item for _, item in sorted(likely, key=lambda one: (-one[0], -one[1].at_s))]


def _score_event(
    item: Item, roots: tuple[StoodFault, ...], layers: tuple[str, ...], first_seen_s: float | None
) -> tuple[int, str]:
    if first_seen_s is not None and item.at_s > first_seen_s:
        return -50, "it came after the fault was first seen"
    for root in roots:
        if item.package and (item.package in root.saw or (item.new and _upstream(item.new) in root.saw)):
            return 100, f"the evidence of {root.id} names it"
    if item.kind == "boot":
        return 15, "a restart loads what was installed before it"
    return _score_layers(item.layers, layers, base=20)


def _score_fact(
    name: str, new: Sequence[Any] | None, roots: tuple[StoodFault, ...], layers: tuple[str, ...]
) -> tuple[int, str]:
    value = "" if not new else str(new[1])
    for root in roots:
        if value and len(value) > 3 and value in root.saw:
            return 45, f"the evidence of {root.id} names it"
    return _score_layers((layer_of_fact(name),), layers, base=0)


def _score_layers(touched: tuple[str, ...], broken: tuple[str, ...], *, base: int) -> tuple[int, str]:
    common = [layer for layer in touched if layer in broken]
    if common:
        return base + 40, f"it touches {common[0]}, the layer that is broken"
    order = {layer: number for number, layer in enumerate(LAYERS)}
    if any(order.get(one, 99) < order.get(other, -1) for one in touched for other in broken):
        return base + 20, f"it touches {touched[0]}, which lies below and can break what stands on it"
    if not broken:
        return base + 10, f"it touches {', '.join(touched) or 'nothing that is judged'}"
    return base, f"it touches {', '.join(touched)}, which stands above: it can hardly be the cause"


def _upstream(version: str) -> str:
    """`570.172.08-0ubuntu0.24.04.1` -> `570.172.08`."""
    return version.partition(":")[2].partition("-")[0] or version.partition("-")[0]
