"""Who holds the memory of a card that a model was to have: by the engine's log, and beside a failed load."""

from __future__ import annotations

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


def by_failed_load(scene: Scene) -> Evidence | None:
    """Processes on a card beside an allocation on it that failed.

    Every process counts here: an engine that was not ended properly holds its share too.
    """
    cards = scene.stack.nvml.cards
    if not isinstance(cards, Known) or not _failed(scene):
        return None
    for card in cards.value:
        held = _held(card)
        if isinstance(card.memory, Known) and held:
            most = max(_GIB, card.memory.value.total_bytes * 0.1)
            process, used = max(held, key=lambda pair: pair[1])
            if sum(used for _, used in held) > most:
                return Evidence(
                    saw=f"{process.name or 'a process'} ({process.process_id}) holds {used / _GIB:.1f} GiB"
                    f" of card {card.index}, and a load failed for want of it",
                    expected="the card's memory free for the model",
                    sources=(cards.source,),
                    strength=9,
                )
    return None


def _held(card: Card) -> list[tuple[GpuProcess, int]]:
    processes = card.processes.value if isinstance(card.processes, Known) else ()
    return [(one, one.used_bytes.value) for one in processes if isinstance(one.used_bytes, Known)]


def _failed(scene: Scene) -> bool:
    failure = deadly_allocation(scene)
    return failure is not None and failure.place is Place.GPU


def _taken_bytes(device: LogDevice) -> int | None:
    if device.total_bytes is None or device.free_bytes is None:
        return None
    shared = any(word in device.description.lower() for word in _SHARED) or device.name.lower() == "metal"
    return None if shared else device.total_bytes - device.free_bytes
