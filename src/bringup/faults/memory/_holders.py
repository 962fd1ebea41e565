"""Who holds the memory of a card: by the engine's log, and by the processes that the driver names."""

from __future__ import annotations

import re

from bringup.faults._fault import Certainty, Evidence
from bringup.faults._scene import Scene
from bringup.faults.memory._out_of_memory import deadly_allocation
from bringup.reading import Known
from bringup.stack.allocations import Place
from bringup.stack.engine_log import LogDevice
from bringup.stack.nvml import Card, GpuProcess

_GIB = 1024**3
_SHARED = ("orin", "gb10", "thor", "xavier", "tegra", "apple", "radeon graphics", "8060s", "780m", "intel")
"""Devices whose memory is the machine's own: there, free against total says nothing."""

_ENGINES = re.compile(r"llama|kobold|lm-?studio|bringup")


def by_log(scene: Scene) -> Evidence | None:
    """Free against total memory before the load."""
    reading = scene.stack.runtime.log
    if not isinstance(reading, Known):
        return None
    log = reading.value
    held = [(device, taken) for device in log.gpu_devices if (taken := _taken_bytes(device)) is not None]
    if not held:
        return None
    device, taken = max(held, key=lambda pair: pair[1])
    partial = log.offload is not None and log.offload.layers < log.offload.total
    share = taken / (device.total_bytes or 1)
    if share < (0.15 if _failed(scene) or partial else 0.3) or taken < 2 * _GIB:
        return None
    total_gib, name = (device.total_bytes or 0) / _GIB, device.description or device.name
    return Evidence(
        saw=f"{taken / _GIB:.1f} of {total_gib:.1f} GiB of {name} were taken before the load",
        expected="less than 1 GiB taken, 2 with a desktop",
        sources=(f"engine log, line {device.line}",),
        certainty=Certainty.SURE if share >= 0.3 else Certainty.LIKELY,
        decides="nvidia-smi",
        strength=9,
    )


def by_cards(scene: Scene) -> Evidence | None:
    """Processes on a card.

    Beside an allocation that failed, every process counts: an engine that was not ended holds its share too.
    Else only this machine's own state counts, and what its engines hold is theirs by right.
    """
    cards, engines = scene.stack.nvml.cards, scene.stack.runtime.engines
    failed = _failed(scene)
    if not isinstance(cards, Known) or not (failed or isinstance(engines, Known)):
        return None
    ours = {engine.process_id for engine in engines.value} if isinstance(engines, Known) else set()
    for card in cards.value:
        held = _held(card, ours=None if failed else ours)
        most = _most_bytes(card, failed=failed)
        if most is not None and sum(used for _, used in held) > most:
            return _evidence(card, held, cards.source, failed=failed)
    return None


def _held(card: Card, *, ours: set[int] | None) -> list[tuple[GpuProcess, int]]:
    """Processes of a card with what they hold; engines are left out unless `ours` is `None`."""
    processes = card.processes.value if isinstance(card.processes, Known) else ()
    return [
        (process, process.used_bytes.value)
        for process in processes
        if isinstance(process.used_bytes, Known) and (ours is None or not _is_engine(process, ours))
    ]


def _most_bytes(card: Card, *, failed: bool) -> float | None:
    """What others may hold: a tenth where a load failed for want of memory, half where all runs."""
    if not isinstance(card.memory, Known):
        return None
    total_bytes = card.memory.value.total_bytes
    return max(_GIB, total_bytes * 0.1) if failed else max(2 * _GIB, total_bytes * 0.5)


def _evidence(card: Card, held: list[tuple[GpuProcess, int]], source: str, *, failed: bool) -> Evidence:
    process, used = max(held, key=lambda pair: pair[1])
    name = process.name or "a process"
    return Evidence(
        saw=f"{name} ({process.process_id}) holds {used / _GIB:.1f} GiB of card {card.index}",
        expected="the card's memory free for the model",
        sources=(source,),
        certainty=Certainty.SURE if failed else Certainty.LIKELY,
        decides="" if failed else "nvidia-smi",
        strength=9 if failed else 5,
    )


def _is_engine(process: GpuProcess, ours: set[int]) -> bool:
    return process.process_id in ours or _ENGINES.search(process.name) is not None


def _failed(scene: Scene) -> bool:
    failure = deadly_allocation(scene)
    return failure is not None and failure.place is Place.GPU


def _taken_bytes(device: LogDevice) -> int | None:
    if device.total_bytes is None or device.free_bytes is None:
        return None
    shared = any(word in device.description.lower() for word in _SHARED) or device.name.lower() == "metal"
    return None if shared else device.total_bytes - device.free_bytes
