"""DKMS: which module version was added, built and installed for which kernel."""

from __future__ import annotations

from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.stack.version import DriverVersion, KernelRelease, find_driver_version

_TREE: Final = "/var/lib/dkms"
_LINE: Final = regex(
    r"^(?P<module>nvidia[\w-]{0,30})[/,] ?(?P<version>\d[\w.+~-]{1,40})"
    r"(?:, (?P<kernel>\d[\w.+~-]{1,80}), (?P<machine>\w{3,12}))?: (?P<state>added|built|installed)\b"
)


class DkmsState(Enum):
    """How far a module came."""

    ADDED = "added"
    BUILT = "built"
    INSTALLED = "installed"


@dataclass(frozen=True, slots=True)
class DkmsModule:
    """One NVIDIA module version in one state.

    Attributes:
        name: `nvidia`, `nvidia-open`, `nvidia-current`.
        version: the driver's version; `None` where it cannot be read from the name.
        kernel: for which kernel; `None` for one that was only added.
        state: how far it came.
        has_failed_log: whether a make.log of an unfinished build lies there.
    """

    name: str
    version: DriverVersion | None
    kernel: KernelRelease | None
    state: DkmsState
    has_failed_log: bool = False


def probe_dkms(machine: Machine) -> Reading[tuple[DkmsModule, ...]]:
    """Read DKMS's own tree: it says the same as `dkms status` and needs no command."""
    names = machine.list_folder(_TREE)
    if not isinstance(names, Known):
        return names
    found: list[DkmsModule] = []
    for name in names.value:
        if name.startswith("nvidia"):
            found.extend(_probe_module(machine, name))
    return Known(tuple(found), _TREE)


def parse_dkms_status(lines: Lines) -> tuple[DkmsModule, ...]:
    """NVIDIA's lines of `dkms status`, old and new form.

    Raw lines: `nvidia/570.169, 6.8.0-60-generic, x86_64: installed`,
    `nvidia, 396.45, 4.17.11, x86_64: built`.
    """
    found = []
    for line in lines.with_anchor("nvidia"):
        match = _LINE.match(line.text.strip())
        if match is not None:
            kernel = KernelRelease(match["kernel"]) if match["kernel"] else None
            version = find_driver_version(match["version"])
            found.append(DkmsModule(match["module"], version, kernel, DkmsState(match["state"])))
    return tuple(found)


def recognise_dkms(lines: Lines) -> Reading[tuple[DkmsModule, ...]]:
    """What `dkms status` printed in a paste."""
    found = parse_dkms_status(lines)
    return Known(found, f"{lines.lines[0].source}, dkms status") if found else NOT_LOOKED


def _probe_module(machine: Machine, name: str) -> list[DkmsModule]:
    """Tree: NAME/VERSION/KERNEL/ARCH/module, and a link NAME/kernel-KERNEL-ARCH where it is installed."""
    content = machine.list_folder(f"{_TREE}/{name}")
    children = content.value if isinstance(content, Known) else ()
    installed = {child.removeprefix("kernel-") for child in children if child.startswith("kernel-")}
    found = []
    for child in children:
        if not child[:1].isdigit():
            continue
        inner = machine.list_folder(f"{_TREE}/{name}/{child}")
        folders = inner.value if isinstance(inner, Known) else ()
        failed = isinstance(machine.stat(f"{_TREE}/{name}/{child}/build/make.log"), Known)
        kernels = [folder for folder in folders if folder[:1].isdigit()]
        version = find_driver_version(child)
        if not kernels:
            found.append(DkmsModule(name, version, None, DkmsState.ADDED, failed))
        for kernel in kernels:
            is_installed = any(item.startswith(f"{kernel}-") for item in installed)
            state = DkmsState.INSTALLED if is_installed else DkmsState.BUILT
            found.append(DkmsModule(name, version, KernelRelease(kernel), state, failed))
    return found
