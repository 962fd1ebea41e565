"""CDI specifications: which files of the host a container gets for a GPU, and which are gone."""

from __future__ import annotations

from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass
from bringup.stack.version import DriverVersion, find_driver_version

_FOLDERS: Final = ("/etc/cdi", "/var/run/cdi", "/run/cdi")
_HOST_PATH: Final = regex(r"(?<![A-Za-z])(?:hostPath|path)\"?\s{0,8}:\s{0,8}\"?(/[^\s\",}]{1,300})")
_FILE_LIMIT: Final = 400


@dataclass(frozen=True, slots=True)
class CdiSpecification:
    """One specification of NVIDIA devices.

    Attributes:
        path: where it lies.
        versions: driver versions in the names of its files; one in a healthy specification.
        missing: files of the host that it names and that are not there.
    """

    path: str
    versions: tuple[DriverVersion, ...]
    missing: tuple[str, ...]


def probe_cdi(machine: Machine) -> Reading[tuple[CdiSpecification, ...]]:
    """Specifications that name NVIDIA; absent when there is none."""
    found: dict[str, CdiSpecification] = {}
    problem: Unreadable | None = None
    for folder in _FOLDERS:
        names = machine.list_folder(folder)
        problem = names if isinstance(names, Unreadable) and folder == _FOLDERS[0] else problem
        for name in names.value if isinstance(names, Known) else ():
            if name.endswith((".yaml", ".yml", ".json")) and name not in found:
                text = machine.read_text(f"{folder}/{name}")
                if isinstance(text, Known) and "nvidia.com/" in text.value:
                    found[name] = _look_at(machine, f"{folder}/{name}", parse_host_paths(text.value))
    if not found:
        return problem or Absent(_FOLDERS[0])
    return Known(tuple(found.values()), ", ".join(one.path for one in found.values()))


def parse_host_paths(text: str) -> tuple[str, ...]:
    """Paths of the host in a specification, YAML or JSON, each once.

    Raw lines: `- hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.570.169` and `- path: /dev/nvidia0`.
    """
    return tuple(dict.fromkeys(match[1] for match in _HOST_PATH.finditer(text)))


def _look_at(machine: Machine, path: str, files: tuple[str, ...]) -> CdiSpecification:
    missing = [file for file in files[:_FILE_LIMIT] if isinstance(machine.stat(file), Absent)]
    versions = {
        version
        for file in files
        if (version := find_driver_version(file.rpartition(".so.")[2])) is not None and ".so." in file
    }
    return CdiSpecification(path, tuple(sorted(versions)), tuple(missing))
