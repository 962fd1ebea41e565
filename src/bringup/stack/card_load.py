"""Facts of the layer: nvml, as far as they only matter while one watches: load, fan, traffic of each card."""

from __future__ import annotations

from typing import Any

from bringup.machine.protocol import CommandResult
from bringup.reading import NOT_LOOKED, Reading, parse_json
from bringup.records import dataclass
from bringup.stack.nvml import read_answer
from bringup.units import KIB


@dataclass(frozen=True, slots=True)
class CardLoad:
    """What one card does at this moment; a question that it does not answer is absent.

    Attributes:
        index: NVML's number.
        busy_pct: share of the last moment (a sixth to one second) in which a kernel ran.
        memory_busy_pct: share in which its memory was read or written.
        clock_memory_mhz: of its memory.
        fan_pct: of the fan's full speed.
        traffic_out_bytes_per_s: over PCIe, from the card to main memory.
        traffic_in_bytes_per_s: the other way.
        link_generation_most: the newest PCIe generation that card and slot could use.
    """

    index: int
    busy_pct: Reading[int] = NOT_LOOKED
    memory_busy_pct: Reading[int] = NOT_LOOKED
    clock_memory_mhz: Reading[int] = NOT_LOOKED
    fan_pct: Reading[int] = NOT_LOOKED
    traffic_out_bytes_per_s: Reading[int] = NOT_LOOKED
    traffic_in_bytes_per_s: Reading[int] = NOT_LOOKED
    link_generation_most: Reading[int] = NOT_LOOKED


def parse_loads(result: CommandResult) -> tuple[CardLoad, ...]:
    """The loads in an answer of our process; those that it did not ask for are unreadable.

    Raw piece: `{"index": 0, "utilisation": {"value": [97, 61]}, "fan_pct": {"code": 3, "text": "..."}}`.

    Raises:
        ValueError: not in this form.
    """
    report = parse_json(result.stdout)
    devices = report.get("devices", []) if isinstance(report, dict) else None
    if not isinstance(devices, list):
        raise ValueError("not an answer of ours")
    try:
        return tuple(_load(device) for device in devices)
    except (AttributeError, KeyError, TypeError) as problem:
        raise ValueError(f"not in the expected form: {problem}") from problem


def _load(device: dict[str, Any]) -> CardLoad:
    return CardLoad(
        index=int(device["index"]),
        busy_pct=read_answer(device, "utilisation", lambda value: int(value[0])),
        memory_busy_pct=read_answer(device, "utilisation", lambda value: int(value[1])),
        clock_memory_mhz=read_answer(device, "clock_memory_mhz", int),
        fan_pct=read_answer(device, "fan_pct", int),
        traffic_out_bytes_per_s=read_answer(device, "traffic_out_kib", lambda value: int(value) * KIB),
        traffic_in_bytes_per_s=read_answer(device, "traffic_in_kib", lambda value: int(value) * KIB),
        link_generation_most=read_answer(device, "link_generation_most", int),
    )
