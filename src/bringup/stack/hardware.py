"""Facts of the layer: hardware. The processor, PCI display devices and disks; main memory is in `memory`."""

from __future__ import annotations

from dataclasses import field

from bringup.machine.protocol import DiskSpace, Machine
from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.stack.pci import PciDevice, probe_pci, recognise_pci
from bringup.stack.processor import Processor, probe_processor

_DISK_PATHS = ("/", "/boot", "/home", "/tmp", "/var")


@dataclass(frozen=True, slots=True)
class Hardware:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        processor: its name, cores, instructions and memory nodes.
        pci_devices: display devices and accelerators, by address.
        disks: path and the space of the file system that holds it.
    """

    processor: Processor = field(default_factory=Processor)
    pci_devices: Reading[tuple[PciDevice, ...]] = NOT_LOOKED
    disks: tuple[tuple[str, Reading[DiskSpace]], ...] = ()

    @property
    def nvidia_devices(self) -> tuple[PciDevice, ...]:
        """The NVIDIA devices that were seen; empty also when nobody could look."""
        devices = self.pci_devices
        return tuple(d for d in devices.value if d.is_nvidia) if isinstance(devices, Known) else ()


def probe_hardware(machine: Machine) -> Hardware:
    """Look at the processor, the bus and the disks: files only, no command."""
    return Hardware(
        processor=probe_processor(machine),
        pci_devices=probe_pci(machine),
        disks=tuple((path, machine.disk_space(path)) for path in _DISK_PATHS),
    )


def recognise(lines: Lines) -> Hardware:
    """What pasted lines say of this layer: lspci's listing."""
    return Hardware(pci_devices=recognise_pci(lines))
