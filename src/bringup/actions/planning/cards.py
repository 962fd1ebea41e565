"""The cards of this machine, as the driver tells them, or as the PCI bus does where no driver answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bringup.actions.planning.place import Holder, Place, reserved_bytes
from bringup.machine.protocol import Machine
from bringup.plan.card_names import find_card
from bringup.plan.cards import cards_with_id
from bringup.plan.rates import pcie_bytes_per_s, planned_device
from bringup.plan.request import Device, DeviceKind
from bringup.reading import Known, Unreadable
from bringup.records import replace
from bringup.units import GIB

if TYPE_CHECKING:
    from bringup.stack.nvml import Card, Nvml
    from bringup.stack.pci import PciDevice, PcieLink

_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"

_GENERATIONS: Final = {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}
"""PCIe generations by their transfers in GT/s."""


def with_cards(machine: Machine, place: Place, nvml: Nvml, *, expects_driver: bool) -> Place:
    """The place with the cards that the driver tells.

    Args:
        machine: that is looked at.
        place: its main memory.
        nvml: what the driver said.
        expects_driver: where no driver answers, plan for the cards on the bus as they will be.
    """
    if not isinstance(nvml.cards, Known):
        return _without_driver(machine, place, nvml, expects_driver=expects_driver)
    chosen, said = _visible(machine, nvml.cards.value)
    bus = _Bus(machine)
    cards: list[Device] = []
    holders: list[Holder] = []
    links: dict[str, float] = {}
    is_wsl = bool(chosen) and _is_wsl(machine)
    for card in chosen:
        device = _device(card, len(cards), bus, is_wsl=is_wsl)
        if device is None:
            said.append(f"Card {card.index} is left out: {_trouble(card)}. See bringup doctor.")
            continue
        cards.append(device)
        if (link := _link_bytes_per_s(card, bus)) is not None:
            links[device.name] = link
        holders += _holders(card, device.name)
    if len({card.title for card in cards}) > 1:
        said.append(
            "The cards differ: CUDA counts the fastest first, the driver by address; "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID makes them agree."
        )
    return replace(
        place,
        devices=(*cards, *place.devices),
        holders=tuple(sorted(holders, key=lambda one: -(one.used_bytes or 0))),
        warnings=(*place.warnings, *said),
        links_bytes_per_s=links,
    )


class _Bus:
    """The PCI bus, looked at only where the driver leaves something open."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._devices: tuple[PciDevice, ...] | None = None

    @property
    def nvidia(self) -> tuple[PciDevice, ...]:
        """NVIDIA's devices, by address."""
        if self._devices is None:
            from bringup.stack.hardware import probe_hardware

            self._devices = probe_hardware(self._machine).nvidia_devices
        return self._devices

    def device_of(self, card: Card) -> PciDevice | None:
        """A card that the driver tells; it writes the domain with eight digits, the kernel with four."""
        if not isinstance(card.bus_address, Known):
            return None
        address = card.bus_address.value.lower()
        return next((one for one in self.nvidia if address.endswith(one.address)), None)


def _without_driver(machine: Machine, place: Place, nvml: Nvml, *, expects_driver: bool) -> Place:
    """The cards on the bus as they will be, else none, with the reason."""
    bus = _Bus(machine)
    why = _why_no_driver(nvml, bus)
    if not why:
        return place
    cards: list[Device] = []
    said: list[str] = []
    links: dict[str, float] = {}
    for found in bus.nvidia if expects_driver else ():
        listed = cards_with_id(found.vendor_id, found.device_id) if found.device_id is not None else ()
        if not listed:
            continue
        device = planned_device(listed[0], len(cards))
        cards.append(device)
        said += _alike([f"{one.name} ({one.memory_bytes / GIB:g} GiB)" for one in listed])
        if (link := _slot_bytes_per_s(found)) is not None:
            links[device.name] = link
    if not cards:
        return replace(
            place, warnings=(*place.warnings, f"Planned without a card: {why}. See bringup doctor.")
        )
    names = ", ".join(card.title for card in cards)
    said.insert(
        0,
        f"Driver not loaded: the plan is for {names} as it will be, with nothing else on it. "
        f"Now {why}. See bringup doctor.",
    )
    return replace(
        place,
        devices=(*cards, *place.devices),
        warnings=(*place.warnings, *said),
        links_bytes_per_s=links,
    )


def _alike(titles: list[str]) -> list[str]:
    if len(titles) < 2:
        return []
    return [f"The card's id stands for {' and '.join(titles)}: the smaller is taken. Name yours with --gpu."]


def _why_no_driver(nvml: Nvml, bus: _Bus) -> str:
    """Empty where there surely is no NVIDIA card."""
    if isinstance(nvml.error, Known):
        return f"the driver does not start ({nvml.error.value.words})"
    if isinstance(nvml.error, Unreadable):
        return f"the driver could not be asked ({nvml.error.why})"
    if bus.nvidia:
        return f"{bus.nvidia[0].name or 'an NVIDIA card'} is there, but no driver for it"
    return ""


def _link_bytes_per_s(card: Card, bus: _Bus) -> float | None:
    """What card and slot can carry at most: an idle card lowers its link, and raises it under load."""
    generation, lanes = card.link_generation_most, card.link_width_most_lanes
    if isinstance(generation, Known) and isinstance(lanes, Known):
        return pcie_bytes_per_s(generation.value, lanes.value)
    found = bus.device_of(card)
    return None if found is None else _slot_bytes_per_s(found)


def _slot_bytes_per_s(found: PciDevice) -> float | None:
    """The same from sysfs: the slower of the card's and its port's speed, the lanes that were agreed on."""
    if not isinstance(found.link_most, Known):
        return None
    ends: list[PcieLink] = [found.link_most.value]
    if isinstance(found.slot_most, Known):
        ends.append(found.slot_most.value)
    lanes = min(end.width_lanes for end in ends)
    if isinstance(found.link_now, Known):  # the width stays when a card idles, the speed does not
        lanes = min(lanes, found.link_now.value.width_lanes)
    generation = _GENERATIONS.get(min(end.speed_gt_s for end in ends))
    return None if generation is None else pcie_bytes_per_s(generation, lanes)


def _visible(machine: Machine, cards: tuple[Card, ...]) -> tuple[list[Card], list[str]]:
    """The cards that CUDA would see: an engine inherits the variable as we do."""
    said = machine.environment(_VISIBLE)
    if not isinstance(said, Known):
        return list(cards), []
    words = [word.strip() for word in said.value.split(",")]
    by_index = {str(card.index): card for card in cards}
    if not all(word in by_index for word in words if word):
        return list(cards), [f"{_VISIBLE}={said.value} names cards in a way that is not followed here."]
    chosen = [by_index[word] for word in words if word]
    return chosen, [f"{_VISIBLE}={said.value} hides {len(cards) - len(chosen)} of {len(cards)} cards."]


def _is_wsl(machine: Machine) -> bool:
    from bringup.stack.container import Wsl, probe_wsl  # for cards that there are only

    found = probe_wsl(machine)
    return isinstance(found, Known) and found.value is not Wsl.NONE


def _device(card: Card, index: int, bus: _Bus, *, is_wsl: bool) -> Device | None:
    if not isinstance(card.memory, Known) or isinstance(card.trouble, Known):
        return None
    memory = card.memory.value
    capability = card.compute_capability
    known = capability.value if isinstance(capability, Known) else None
    # Windows' driver calls free what it keeps: a run ended with 350 MiB of an RTX 3070 said to be left.
    kept = reserved_bytes(memory.total_bytes, known) if is_wsl else 0
    name = card.name.value if isinstance(card.name, Known) else ""
    return Device(
        f"CUDA{index}",
        DeviceKind.CUDA,
        memory.total_bytes,
        max(0, memory.free_bytes - kept),
        _title(card, name, memory.total_bytes, bus),
        known,
    )


def _title(card: Card, name: str, total_bytes: int, bus: _Bus) -> str:
    """The driver's name, or that of the card whose PCI id it has where its name is not listed."""
    if name and find_card(name, total_bytes) is not None:
        return name
    found = bus.device_of(card)
    if found is not None and found.device_id is not None:
        listed = cards_with_id(found.vendor_id, found.device_id)
        if listed:  # of several sizes the nearest
            return min(listed, key=lambda one: abs(one.memory_bytes - total_bytes)).name
    return name or "a card without a name"


def _trouble(card: Card) -> str:
    if isinstance(card.trouble, Known):
        return card.trouble.value.words
    return "it does not tell its memory (it may share the machine's)"


def _holders(card: Card, device: str) -> list[Holder]:
    processes = card.processes.value if isinstance(card.processes, Known) else ()
    return [
        Holder(
            device,
            process.process_id,
            process.name,
            process.used_bytes.value if isinstance(process.used_bytes, Known) else None,
            process.is_graphics,
        )
        for process in processes
    ]
