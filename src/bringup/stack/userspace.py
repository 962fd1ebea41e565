"""Facts of the layer: userspace."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.stack.lines import Lines
from bringup.stack.version import DriverVersion, parse_driver_version


@dataclass(frozen=True, slots=True)
class LibraryVersion:
    """One driver library on the disk.

    Attributes:
        version: of its file name.
        path: where it lies; empty when only a program told its version.
        is_picked: whether the loader takes this one.
    """

    version: DriverVersion
    path: str = ""
    is_picked: bool = True


@dataclass(frozen=True, slots=True)
class Userspace:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks."""

    driver_library_versions: Reading[tuple[LibraryVersion, ...]] = NOT_LOOKED


def recognise(lines: Lines) -> Userspace:
    """What pasted lines say of this layer.

    Raw line: `NVML library version: 570.172`.
    """
    hit = lines.last(r"NVML library version: (?:\d{2}\.)?(\d{3}\.[\d.]+)", anchor="nvml library version:")
    if hit is None:
        return Userspace()
    line, match = hit
    version = LibraryVersion(parse_driver_version(match.group(1)))
    return Userspace(driver_library_versions=Known((version,), f"{line.source}, line {line.number}"))
