"""The driver's libraries on the disk, and which of them the loader takes."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass
from bringup.stack.links import follow_link
from bringup.stack.loader import Loader, find_library
from bringup.stack.version import DriverVersion, find_driver_version

NVML: Final = "libnvidia-ml.so.1"
CUDA: Final = "libcuda.so.1"

_FILE: Final = regex(r"(libnvidia-ml|libcuda)\.so\.(\d{3}\.[\d.]*\d)")
_OTHER_FOLDERS: Final = ("/usr/local/lib", "/usr/local/lib64", "/usr/lib/nvidia", "/run/opengl-driver/lib")
_PARENTS: Final = ("/usr/lib/x86_64-linux-gnu/nvidia", "/usr/lib/aarch64-linux-gnu/nvidia")
"""Debian keeps each driver in a folder of its own here and picks one by /etc/alternatives."""


class Place(Enum):
    """What kind of folder a library lies in."""

    DRIVER = "driver"
    COMPATIBILITY = "forward compatibility package"
    STUB = "stub of the toolkit"
    WSL = "passed in by Windows"


@dataclass(frozen=True, slots=True)
class LibraryVersion:
    """One driver library on the disk.

    Attributes:
        version: of its file name.
        path: where it lies; empty when only a program told its version.
        is_picked: whether the loader takes this one for its name.
        name: `libnvidia-ml` or `libcuda`.
        is_searched: whether the loader looks into its folder at all.
    """

    version: DriverVersion
    path: str = ""
    is_picked: bool = True
    name: str = "libnvidia-ml"
    is_searched: bool = True


@dataclass(frozen=True, slots=True)
class PickedLibrary:
    """What the loader takes for a name.

    Attributes:
        path: the first place where it finds the name.
        file: the file behind all links; absent where a link leads nowhere.
        version: of the file's name; `None` where that says none.
    """

    path: str
    file: Reading[str]
    version: DriverVersion | None

    @property
    def place(self) -> Place:
        """What kind of folder it is in."""
        target = self.file.value if isinstance(self.file, Known) else self.path
        return max((place_of(self.path), place_of(target)), key=lambda place: place is not Place.DRIVER)


def place_of(path: str) -> Place:
    """What kind of folder a library lies in, by its path."""
    if re.search(r"/stubs/", path):
        return Place.STUB
    if re.search(r"/(?:compat|cuda-compat(?:-[\d-]+)?)/", path):
        return Place.COMPATIBILITY
    return Place.WSL if path.startswith(("/usr/lib/wsl/", "/mnt/c/")) else Place.DRIVER


def probe_picked(machine: Machine, loader: Loader, name: str) -> Reading[PickedLibrary]:
    """What the loader takes for `libcuda.so.1`; absent where it finds nothing of the name."""
    path = find_library(machine, loader, name)
    if not isinstance(path, Known):
        return path
    file = follow_link(machine, path.value)
    shown = file.value if isinstance(file, Known) else file.source
    return Known(PickedLibrary(path.value, file, find_driver_version(shown.rpartition("/")[2])), path.value)


def probe_libraries(
    machine: Machine, loader: Loader, picked: tuple[Reading[PickedLibrary], ...]
) -> Reading[tuple[LibraryVersion, ...]]:
    """Files of NVML and libcuda with a version in their name, the picked ones first.

    Compatibility packages, stubs and what Windows passes in are left out: they are no driver of this system.
    """
    files = {p.value.file.value for p in picked if isinstance(p, Known) and isinstance(p.value.file, Known)}
    folders = [folder for folder in loader.folders if place_of(folder + "/") is Place.DRIVER]
    searched = set(folders)
    problem: Unreadable | None = None
    found: dict[str, LibraryVersion] = {}
    for folder in dict.fromkeys((*folders, *_OTHER_FOLDERS, *_debian_folders(machine))):
        names = machine.list_folder(folder)
        if isinstance(names, Unreadable):
            problem = names if folder in searched else problem
        for name in names.value if isinstance(names, Known) else ():
            library = _library(folder, name, files, is_searched=folder in searched)
            if library is not None:
                _keep(found, library)
    if not found:
        return problem or Absent(NVML)
    ordered = tuple(sorted(found.values(), key=lambda one: (not one.is_picked, one.name != "libnvidia-ml")))
    return Known(ordered, ordered[0].path)


def _library(folder: str, name: str, files: set[str], *, is_searched: bool) -> LibraryVersion | None:
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    version = find_driver_version(match[2])
    if version is None:
        return None
    path = f"{folder}/{name}"
    is_picked = path in files or _merged(path) in {_merged(file) for file in files}
    return LibraryVersion(version, path, is_picked, match[1], is_searched)


def _keep(found: dict[str, LibraryVersion], library: LibraryVersion) -> None:
    """/lib is a link to /usr/lib on every system of today: one file counts once."""
    key = _merged(library.path)
    if key not in found or library.is_picked:
        found[key] = library


def _merged(path: str) -> str:
    return f"/usr{path}" if path.startswith(("/lib/", "/lib64/")) else path


def _debian_folders(machine: Machine) -> list[str]:
    folders = []
    for parent in _PARENTS:
        names = machine.list_folder(parent)
        folders += [f"{parent}/{name}" for name in names.value] if isinstance(names, Known) else []
    return folders
