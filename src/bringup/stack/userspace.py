"""Facts of the layer: userspace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable
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


_FOLDERS: Final = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")


def probe_userspace(machine: Machine) -> Userspace:
    """Look for NVML libraries in the loader's standard folders; the first one found is taken as picked."""
    found: list[LibraryVersion] = []
    problem: Unreadable | None = None
    for folder in _FOLDERS:
        names = machine.list_folder(folder)
        if isinstance(names, Unreadable):
            problem = names
        for name in names.value if isinstance(names, Known) else ():
            match = re.fullmatch(r"libnvidia-ml\.so\.(\d{3}\.[\d.]+)", name)
            if match is not None:
                version = parse_driver_version(match.group(1))
                found.append(LibraryVersion(version, f"{folder}/{name}", is_picked=not found))
    if not found:
        return Userspace(problem or Absent("libnvidia-ml.so.1"))
    return Userspace(Known(tuple(found), found[0].path))


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
