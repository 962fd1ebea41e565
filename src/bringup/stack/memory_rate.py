"""How fast main memory is: measured on request, else what the firmware says of its modules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bringup.machine.protocol import CommandResult, Machine
from bringup.reading import Absent, Known, Reading, Unreadable, convert, parse_json
from bringup.records import dataclass

MEASURE: Final = ("bringup-memory",)
"""A part of ours that runs in a process of its own; see `machine.memory_child`."""
MODULES: Final = ("dmidecode", "--type", "17")
_MEASURE_TIMEOUT_S: Final = 15.0
_MODULES_TIMEOUT_S: Final = 3.0
_BUS_BYTES: Final = 8
_MOST_BYTES_PER_S: Final = 10e12


@dataclass(frozen=True, slots=True)
class MemoryModule:
    """One module: transfers a second, the width of its bus, and its channel where that is said."""

    transfers_per_s: float
    width_bytes: int
    channel: str


def measure_memory(machine: Machine) -> Reading[float]:
    """Bytes a second that all processors together read; takes about a second and keeps them busy."""
    return convert(machine.run(MEASURE, timeout_s=_MEASURE_TIMEOUT_S), parse_measurement)


def parse_measurement(result: CommandResult) -> float:
    """What our own process printed.

    Raw line: `{"schema": 1, "read_bytes_per_s": 21903869197, "n_threads": 2, "block_bytes": 805306368}`.

    Raises:
        ValueError: it failed, or printed what cannot be.
    """
    if result.exit_code != 0:
        raise ValueError(f"the measurement ended with {result.exit_code}: {result.stderr.strip()[-200:]}")
    report = parse_json(result.stdout)
    rate = report.get("read_bytes_per_s") if isinstance(report, dict) and report.get("schema") == 1 else None
    if not isinstance(rate, int | float) or not 0 < rate < _MOST_BYTES_PER_S:
        raise ValueError("not an answer of ours")
    return float(rate)


def probe_modules(machine: Machine) -> Reading[float]:
    """Bytes a second of all channels by the firmware's list of modules; it needs root as a rule."""
    answer = machine.run(MODULES, timeout_s=_MODULES_TIMEOUT_S)
    if not isinstance(answer, Known):
        return answer
    if answer.value.exit_code != 0 or "Permission denied" in answer.value.stderr:
        why = answer.value.stderr.strip().splitlines()
        return Unreadable(answer.source, why[0][:200] if why else f"exit code {answer.value.exit_code}")
    modules = parse_modules(answer.value.stdout)
    if not modules:
        return Absent(answer.source)
    return Known(bandwidth_bytes_per_s(modules), answer.source)


def parse_modules(text: str) -> tuple[MemoryModule, ...]:
    """Modules that are plugged in.

    Raw lines: `Data Width: 64 bits`, `Size: 16 GB`, `Locator: DIMM_A1`, `Bank Locator: P0 CHANNEL A`,
    `Speed: 3600 MT/s`, `Configured Memory Speed: 3200 MT/s`, each behind a tab.
    """
    found = []
    for record in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^\s+([^:\n]+): (.*)$", record, re.MULTILINE))
        rate = _transfers(fields.get("Configured Memory Speed") or fields.get("Configured Clock Speed", ""))
        rate = rate or _transfers(fields.get("Speed", ""))
        if not rate or not re.match(r"\d", fields.get("Size", "")):
            continue
        width = re.match(r"(\d+) bits", fields.get("Data Width", ""))
        found.append(MemoryModule(rate, int(width[1]) // 8 if width else _BUS_BYTES, _channel(fields)))
    return tuple(found)


def _transfers(text: str) -> float:
    match = re.match(r"(\d+) (?:MT/s|MHz)", text)
    return int(match[1]) * 1e6 if match else 0.0


def _channel(fields: dict[str, str]) -> str:
    """`0A` of `P0 CHANNEL A`, `ChannelA-DIMM0` or `DIMM_A1`: processor and channel; empty if not said."""
    for text in (fields.get("Bank Locator", ""), fields.get("Locator", "")):
        match = re.search(r"channel[\s_-]*([A-Z0-9])", text, re.IGNORECASE) or re.search(
            r"DIMM[\s_-]*([A-Z])\d*\b", text
        )
        if match:
            socket = re.search(r"\b(?:P|CPU|NODE)[\s_]*(\d)", text, re.IGNORECASE)
            return f"{socket[1] if socket else '0'}{match[1].upper()}"
    return ""


def bandwidth_bytes_per_s(modules: Sequence[MemoryModule]) -> float:
    """Channels x the slowest module's transfers x the width of the bus -> bytes a second.

    Where the firmware does not name the channels, two modules or more are taken for two channels.
    """
    named = {module.channel for module in modules if module.channel}
    channels = len(named) or min(len(modules), 2)
    slowest = min(module.transfers_per_s for module in modules)
    return channels * slowest * min(module.width_bytes for module in modules)
