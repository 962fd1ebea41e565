"""PCI display devices: from sysfs, or from what lspci prints."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.gpu_generations import Generation, find_generation
from bringup.stack.lines import Line, Lines
from bringup.stack.typed import find_typed

NVIDIA_VENDOR: Final = 0x10DE
_DEVICES: Final = "/sys/bus/pci/devices"
_ID_FILES: Final = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids")
_UNSET_FLAG: Final = 0x20000000
"""IORESOURCE_UNSET of the kernel: a region without an address."""


@dataclass(frozen=True, slots=True)
class PcieLink:
    """Speed in GT/s (giga transfers a second and lane) and number of lanes."""

    speed_gt_s: float
    width_lanes: int


@dataclass(frozen=True, slots=True)
class PciDevice:
    """One display device (PCI class 03) or one of NVIDIA's accelerators.

    Attributes:
        address: `0000:01:00.0`; the domain is left out where lspci left it out.
        vendor_id: 0x10de is NVIDIA.
        device_id: which chip; `None` where a listing shows names only.
        name: as pci.ids or lspci has it; may be empty.
        vendor: who made it, as pci.ids has it; may be empty.
        regions_bytes: sizes of its memory windows (BARs) by number; 0 for one that is not there.
        driver: the kernel driver that holds it; absent when none does.
        link_now: as negotiated at this moment; an idle card lowers the speed, not the width.
        link_most: what the card can do.
        slot_most: what the port above it can do.
        unassigned_regions: numbers of the memory windows (BARs) that have no address.
        answers: whether its configuration space can be read; all ones mean that it is off or dead.
    """

    address: str
    vendor_id: int
    device_id: int | None = None
    name: str = ""
    vendor: str = ""
    driver: Reading[str] = NOT_LOOKED
    link_now: Reading[PcieLink] = NOT_LOOKED
    link_most: Reading[PcieLink] = NOT_LOOKED
    slot_most: Reading[PcieLink] = NOT_LOOKED
    regions_bytes: Reading[tuple[int, ...]] = NOT_LOOKED
    unassigned_regions: Reading[tuple[int, ...]] = NOT_LOOKED
    power_state: Reading[str] = NOT_LOOKED
    answers: Reading[bool] = NOT_LOOKED

    @property
    def is_nvidia(self) -> bool:
        """Whether NVIDIA made it."""
        return self.vendor_id == NVIDIA_VENDOR

    @property
    def generation(self) -> Generation | None:
        """Its GPU generation; `None` for an unknown chip or another maker."""
        return find_generation(self.device_id) if self.is_nvidia and self.device_id is not None else None


def probe_pci(machine: Machine) -> Reading[tuple[PciDevice, ...]]:
    """Every display device and NVIDIA accelerator on the bus, by address."""
    names = machine.list_folder(_DEVICES)
    if not isinstance(names, Known):
        return names
    found = []
    for address in names.value:
        folder = f"{_DEVICES}/{address}"
        code = convert(machine.read_text(f"{folder}/class"), _hexadecimal)
        if isinstance(code, Known) and _is_display(code.value):
            device = _probe_device(machine, address, folder)
            if device is not None:
                found.append(device)
    return Known(tuple(found), _DEVICES)


def parse_resources(text: str) -> tuple[int, ...]:
    """Numbers of the memory regions without an address, from sysfs's `resource`.

    Raw line: `0x0000004000000000 0x00000043ffffffff 0x000000000014220c`.
    """
    result = []
    for number, line in enumerate(text.splitlines()[:6]):
        start, end, flags = (int(word, 16) for word in line.split())
        is_memory = bool(flags & 0x200)
        if is_memory and (flags & _UNSET_FLAG or (start == 0 and end != 0)):
            result.append(number)
    return tuple(result)


def parse_region_sizes(text: str) -> tuple[int, ...]:
    """Bytes of each of the six memory regions in sysfs's `resource`; 0 for none, or one of ports.

    Raw line: `0x0000004000000000 0x00000043ffffffff 0x000000000014220c` (16 GiB).
    """
    sizes = []
    for line in text.splitlines()[:6]:
        start, end, flags = (int(word, 16) for word in line.split())
        sizes.append(end - start + 1 if flags & 0x200 and end > start else 0)
    return tuple(sizes)


def parse_speed(text: str) -> float:
    """GT/s of sysfs's `current_link_speed`.

    Raw line: `16.0 GT/s PCIe`.

    Raises:
        ValueError: it does not begin with a number.
    """
    return float(text.strip().partition(" ")[0])


def find_vendor(pci_ids: str, vendor_id: int) -> str:
    """Name of a maker in the text of pci.ids; empty when it is not listed.

    Raw line: `10de  NVIDIA Corporation`.
    """
    found = re.search(rf"^{vendor_id:04x}  (.+)$", pci_ids, flags=re.MULTILINE)
    return found[1].strip() if found is not None else ""


def find_name(pci_ids: str, vendor_id: int, device_id: int) -> str:
    """Name of a device in the text of pci.ids; empty when it is not listed.

    Raw lines: `10de  NVIDIA Corporation`, then `<tab>2208  GA102 [GeForce RTX 3080 Ti]`.
    """
    start = pci_ids.find(f"\n{vendor_id:04x}  ")
    if start < 0:
        return ""
    end = re.compile(r"\n[0-9a-fC]").search(pci_ids, start + 1)
    block = pci_ids[start : end.start() if end else len(pci_ids)]
    match = re.search(rf"\n\t{device_id:04x}  (.+)", block)
    return match.group(1).strip() if match else ""


def recognise_pci(lines: Lines) -> Reading[tuple[PciDevice, ...]]:
    """Display devices that lspci listed in a paste, the last listing of each address.

    A search for NVIDIA that was typed and printed nothing is a known empty bus.
    """
    parsed = parse_lspci(lines)
    searches = [typed for typed in find_typed(lines) if _is_nvidia_search(typed.command)]
    if searches and not searches[-1].output:
        return Known((), f"{searches[-1].line.source}, line {searches[-1].line.number}")
    if not parsed:
        return NOT_LOOKED
    return Known(tuple(parsed), f"{lines.lines[0].source}, lspci")


_LSPCI: Final = regex(
    r"^\s{0,8}(?P<address>(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) "
    r"(?P<kind>VGA compatible controller|3D controller|Display controller|\"?0?30[0-2])[^:]{0,30}: "
    r"(?P<name>.{0,200})$",
    re.IGNORECASE,
)
_ADDRESS_WITHIN: Final = 16
"""An address' first colon stands among these characters."""


@dataclass
class _Section:
    """One device of a listing while its detail lines are read."""

    address: str
    name: str
    details: list[Line] = field(default_factory=list)


def parse_lspci(lines: Lines) -> list[PciDevice]:
    """Display devices of lspci, with the details that stand below each (-k, -v).

    Raw line: `01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA102 [10de:2208] (rev a1)`.
    """
    sections: dict[str, _Section] = {}
    current: _Section | None = None
    for line in lines.lines:
        match = _LSPCI.match(line.text) if ":" in line.text[:_ADDRESS_WITHIN] else None
        if match is not None:
            current = _Section(match["address"], match["name"])
            sections[current.address] = current
        elif current is None:
            continue
        elif re.match(r"^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] ", line.text):
            current = None
        elif len(current.details) < 200:
            current.details.append(line)
    return [_from_section(section) for section in sections.values()]


def _from_section(section: _Section) -> PciDevice:
    ids = re.search(r"\[([0-9a-f]{4}):([0-9a-f]{4})\]", section.name)
    ids = ids or re.match(r"([0-9a-f]{4}):([0-9a-f]{4})\b", section.name)
    vendor = int(ids.group(1), 16) if ids else (NVIDIA_VENDOR if "nvidia" in section.name.lower() else 0)
    unnamed = re.search(r"NVIDIA Corporation Device ([0-9a-f]{4})", section.name)
    device = int(ids.group(2), 16) if ids else int(unnamed.group(1), 16) if unnamed else None
    details = Lines(tuple(section.details))
    driver: Reading[str] = NOT_LOOKED
    hit = details.search(r"Kernel driver in use: (\S+)", anchor="kernel driver in use:")
    if hit is not None:
        driver = Known(hit[1].group(1), f"{hit[0].source}, line {hit[0].number}")
    elif details.has("kernel modules:"):
        driver = Absent("lspci -k")
    answers: Reading[bool] = Known(value=False, source="lspci") if "(rev ff)" in section.name else NOT_LOOKED
    return PciDevice(
        address=section.address,
        vendor_id=vendor,
        device_id=device,
        name=re.sub(
            r" ?(?:\[[0-9a-f]{4}:[0-9a-f]{4}\]|\(rev \w\w\)|\(prog-if[^)]{0,80}\))", "", section.name
        ).strip(),
        driver=driver,
        link_now=_lspci_link(details, "LnkSta:"),
        link_most=_lspci_link(details, "LnkCap:"),
        answers=answers,
    )


def _lspci_link(details: Lines, key: str) -> Reading[PcieLink]:
    """Raw line: `LnkSta: Speed 2.5GT/s (downgraded), Width x16`."""
    hit = details.search(rf"{key}.{{0,60}}?Speed ([\d.]+)GT/s.{{0,30}}?Width x(\d+)", anchor=key.lower())
    if hit is None:
        return NOT_LOOKED
    return Known(
        PcieLink(float(hit[1].group(1)), int(hit[1].group(2))), f"{hit[0].source}, line {hit[0].number}"
    )


def _is_nvidia_search(command: str) -> bool:
    return bool(re.match(r"lspci\b(?=.*(?:nvidia|10de))", command, re.IGNORECASE)) and "-v " not in command


def _is_display(code: int) -> bool:
    return code >> 16 == 0x03 or code >> 16 == 0x12


def _hexadecimal(text: str) -> int:
    return int(text.strip(), 16)


def _probe_device(machine: Machine, address: str, folder: str) -> PciDevice | None:
    vendor = convert(machine.read_text(f"{folder}/vendor"), _hexadecimal)
    device = convert(machine.read_text(f"{folder}/device"), _hexadecimal)
    if not isinstance(vendor, Known) or not isinstance(device, Known):
        return None
    if vendor.value == 0xFFFF:
        return None
    own = machine.stat(folder)
    target = own.value.link_target if isinstance(own, Known) else None
    return PciDevice(
        address=address,
        vendor_id=vendor.value,
        device_id=device.value,
        name=_named(machine, vendor.value, device.value),
        vendor=_named(machine, vendor.value, None),
        driver=_read_driver(machine, folder),
        link_now=_read_link(machine, folder, "current"),
        link_most=_read_link(machine, folder, "max"),
        slot_most=_read_slot(machine, target),
        regions_bytes=convert(machine.read_text(f"{folder}/resource"), parse_region_sizes),
        unassigned_regions=convert(machine.read_text(f"{folder}/resource"), parse_resources),
        power_state=convert(machine.read_text(f"{folder}/power_state"), str.strip),
        answers=_read_answers(machine, folder),
    )


def _named(machine: Machine, vendor_id: int, device_id: int | None) -> str:
    for path in _ID_FILES:
        text = machine.read_text(path)
        if isinstance(text, Known) and device_id is None:
            return find_vendor(text.value, vendor_id)
        if isinstance(text, Known) and device_id is not None:
            return find_name(text.value, vendor_id, device_id)
    return ""


def _read_driver(machine: Machine, folder: str) -> Reading[str]:
    link = machine.stat(f"{folder}/driver")
    if not isinstance(link, Known):
        return link
    if link.value.link_target is None:
        return Unreadable(link.source, "not a link")
    return Known(link.value.link_target.rsplit("/", 1)[-1], link.source)


def _read_link(machine: Machine, folder: str, which: str) -> Reading[PcieLink]:
    speed = convert(machine.read_text(f"{folder}/{which}_link_speed"), parse_speed)
    width = convert(machine.read_text(f"{folder}/{which}_link_width"), int)
    if isinstance(speed, Known) and isinstance(width, Known):
        return Known(PcieLink(speed.value, width.value), f"{folder}/{which}_link_width")
    return speed if not isinstance(speed, Known) else width  # type: ignore[return-value]


def _read_slot(machine: Machine, target: str | None) -> Reading[PcieLink]:
    """The port above: the folder before the device's own in its real path."""
    parent = target.rstrip("/").rsplit("/", 2)[-2] if target and target.count("/") >= 2 else ""
    if not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", parent):
        return Absent("no port above")
    return _read_link(machine, f"{_DEVICES}/{parent}", "max")


def _read_answers(machine: Machine, folder: str) -> Reading[bool]:
    """Whether the first bytes of the configuration space are not all ones."""
    return convert(machine.read(f"{folder}/config"), lambda data: data[:4] != b"\xff\xff\xff\xff")
