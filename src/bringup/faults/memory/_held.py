"""Which programs hold the memory of a card, as the running driver tells."""

from __future__ import annotations

from bringup.faults._fault import Evidence
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.nvml import Card, GpuProcess
from bringup.units import GIB

_HELD_SHARE = 0.4
"""Less than this of a card in foreign hands leaves room for the model that it was bought for."""


def judge_holders(scene: Scene) -> Evidence | None:
    """Programs that are no engine and no desktop hold a large part of a card.

    Asked of a running driver only: in a paste nobody knows which process is the engine that is asked about,
    and in a container the numbers are those of the host.
    """
    cards = scene.stack.nvml.cards
    for card in cards.value if isinstance(cards, Known) else ():
        evidence = _judge(scene, card)
        if evidence is not None:
            return evidence
    return None


def _judge(scene: Scene, card: Card) -> Evidence | None:
    if not isinstance(card.memory, Known) or not isinstance(card.processes, Known):
        return None
    if not card.processes.source.startswith("NVML") or scene.stack.container.is_inside:
        return None
    engines = scene.stack.runtime.engines
    known = {engine.process_id for engine in engines.value} if isinstance(engines, Known) else set()
    others = [
        process
        for process in card.processes.value
        if not process.is_graphics and process.process_id not in known and _used(process)
    ]
    held = sum(_used(process) for process in others)
    if held < 2 * GIB or held < _HELD_SHARE * card.memory.value.total_bytes:
        return None
    largest = max(others, key=_used)
    name = f"{largest.name} " if largest.name else ""
    return Evidence(
        saw=f"{name}(process {largest.process_id}) holds {_gib(_used(largest))} GiB; "
        f"{_gib(card.memory.value.free_bytes)} of {_gib(card.memory.value.total_bytes)} GiB are free",
        expected="the card's memory free for the model",
        sources=(card.processes.source, card.memory.source),
        strength=6,
    )


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / GIB:.1f}"


def _used(process: GpuProcess) -> int:
    return process.used_bytes.value if isinstance(process.used_bytes, Known) else 0
