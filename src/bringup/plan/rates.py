"""What each device can do at most: cards by their sheets, main memory by a probe, its data, or assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from bringup.plan.card_names import find_card
from bringup.plan.cards import Card, Family
from bringup.plan.request import CPU, Device, DeviceKind
from bringup.plan.work import Backend, SpeedDevice
from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.records import dataclass

ASSUMED_RAM_BYTES_PER_S: Final = 50e9
"""Two channels of DDR4-3200, the slower of the usual desktops: for a machine of which nothing is known."""
ASSUMED_CORES: Final = 8
_CLOCK_HZ: Final = 4.0e9
_FLOPS_PER_CLOCK: Final = 32
"""Two fused multiply-adds of eight f32 each, as AVX2 and NEON processors do in a clock."""

_LANE_BYTES_PER_S: Final = {1: 0.25e9, 2: 0.5e9, 3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.563e9}
"""What a PCIe lane carries one way, by generation: the transfers of the standard less its line code."""

_WHOLE: Final = 0.98
"""Sheets round: a slot with this share of the sheet's link gives all of it."""
_PCIE_MOST_BYTES_PER_S: Final = 130e9

USABLE_SHARE: Final = 0.963
"""Of the memory on a card's sheet, what an engine sees of it: public logs show 7,895 of 8,192 MiB and
11.7 of 12 GiB; the lower share is taken."""

_BACKENDS: Final = {
    DeviceKind.CUDA: Backend.CUDA,
    DeviceKind.ROCM: Backend.ROCM,
    DeviceKind.METAL: Backend.METAL,
    DeviceKind.VULKAN: Backend.VULKAN,
}


class Origin(Enum):
    """How the bandwidth of main memory is known."""

    MEASURED = "measured on this machine"
    MODULES = "from the memory modules' data"
    GIVEN = "as given"
    ASSUMED = "assumed: two channels of DDR4-3200; measure it for a better figure"


MEASURED_SHARE: Final = 0.8
"""What a program can read of what the modules' sheet says: a measurement is divided by it."""


@dataclass(frozen=True, slots=True)
class HostRates:
    """Main memory and processor of a machine.

    Attributes:
        bandwidth_bytes_per_s: of main memory, all channels together, as its modules' sheet would say.
        origin: where that is from.
        n_cores: physical cores; they set how fast the processor computes.
        day: of the measurement; empty for none.
    """

    bandwidth_bytes_per_s: float = ASSUMED_RAM_BYTES_PER_S
    origin: Origin = Origin.ASSUMED
    n_cores: int = ASSUMED_CORES
    day: str = ""

    @property
    def flops(self) -> float:
        """Operations a second of the vector units: `cores x clock x operations per clock`."""
        return self.n_cores * _CLOCK_HZ * _FLOPS_PER_CLOCK


def host_rates(
    *,
    measured: Reading[float] = NOT_LOOKED,
    modules: Reading[float] = NOT_LOOKED,
    n_cores: int = ASSUMED_CORES,
    day: str = "",
) -> HostRates:
    """The best that is known of main memory: a measurement, else the modules' data, else an assumption.

    Args:
        measured: bytes a second, see `stack.memory_rate.measure_memory`.
        modules: bytes a second, see `stack.memory_rate.probe_modules`.
        n_cores: physical cores that the engine may use.
        day: of the measurement.
    """
    if isinstance(measured, Known):
        return HostRates(measured.value / MEASURED_SHARE, Origin.MEASURED, n_cores, day)
    if isinstance(modules, Known):
        return HostRates(modules.value, Origin.MODULES, n_cores)
    return HostRates(n_cores=n_cores)


def planned_device(card: Card, index: int) -> Device:
    """A card that is not here, as if it were and nobody else used it.

    The driver keeps some of the memory for itself; see `USABLE_SHARE`.
    """
    kind = kind_of(card)
    numbers = [int(part) for part in card.compute_capability.split(".")] if card.compute_capability else []
    return Device(
        name=f"{kind.value}{index}",
        kind=kind,
        total_bytes=card.memory_bytes,
        free_bytes=int(card.memory_bytes * USABLE_SHARE),
        title=card.name,
        compute_capability=(numbers[0], numbers[1]) if numbers else None,
    )


def kind_of(card: Card) -> DeviceKind:
    """The backend that drives a card: that of its maker, and Vulkan for Intel's."""
    if card.compute_capability:
        return DeviceKind.CUDA
    if card.family is Family.APPLE:
        return DeviceKind.METAL
    return DeviceKind.VULKAN if card.family is Family.INTEL else DeviceKind.ROCM


def speed_devices(
    devices: Sequence[Device], host: HostRates, *, links_bytes_per_s: Mapping[str, float] | None = None
) -> tuple[SpeedDevice, ...]:
    """The rates of devices; a card that is not listed is left out, for nothing is known of its speed.

    Args:
        devices: cards; main memory may be among them or not, it is always in the answer.
        host: its rates.
        links_bytes_per_s: by the cards' names, what their slots carry, where it is less than the sheet's.
    """
    found = []
    for device in devices:
        card = None if device.kind is DeviceKind.CPU else find_card(device.title, device.total_bytes)
        if card is not None:
            slot = (links_bytes_per_s or {}).get(device.name)
            found.append(card_rates(card, device.name, _BACKENDS[device.kind], slot_bytes_per_s=slot))
    return (*found, host_device(host))


def pcie_bytes_per_s(generation: int, n_lanes: int) -> float | None:
    """What a PCIe link carries one way; `None` for one that is none."""
    lane = _LANE_BYTES_PER_S.get(generation)
    return lane * n_lanes if lane and 1 <= n_lanes <= 32 else None


def card_rates(
    card: Card, name: str, backend: Backend, *, slot_bytes_per_s: float | None = None
) -> SpeedDevice:
    """A card under the name that llama.cpp gives it; a slow slot holds its link back."""
    link = card.link_bytes_per_s
    # A link faster than any PCIe slot goes another way.
    is_slow = slot_bytes_per_s is not None and slot_bytes_per_s < _WHOLE * link < _PCIE_MOST_BYTES_PER_S
    if slot_bytes_per_s is not None and is_slow:
        link = slot_bytes_per_s
    slow = f", its slot {link / 1e9:,.0f} GB/s" if is_slow else ""
    return SpeedDevice(
        name=name,
        family=card.family,
        backend=backend,
        bandwidth_bytes_per_s=card.bandwidth_bytes_per_s,
        flops=card.flops,
        link_bytes_per_s=link,
        source=f"{card.name}: {card.bandwidth_bytes_per_s / 1e9:,.0f} GB/s, data sheet{slow}",
        card=card.name,
        watts=card.watts,
    )


def host_device(host: HostRates) -> SpeedDevice:
    """The processor with main memory."""
    return SpeedDevice(
        name=CPU,
        family=Family.CPU,
        backend=Backend.CPU,
        bandwidth_bytes_per_s=host.bandwidth_bytes_per_s,
        flops=host.flops,
        source=f"main memory: {host.bandwidth_bytes_per_s / 1e9:,.0f} GB/s, {host.origin.value}",
    )
