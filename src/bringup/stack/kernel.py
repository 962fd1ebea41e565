"""Facts of the layer: kernel and the driver's modules."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.changes import probe_changes
from bringup.stack.device_files import (
    DeviceFile,
    Holder,
    OwnGroups,
    parse_own_groups,
    probe_device_files,
    probe_holders,
)
from bringup.stack.distribution import Distribution, probe_distribution, recognise_distribution
from bringup.stack.dkms import DkmsModule, probe_dkms, recognise_dkms
from bringup.stack.installed_kernels import InstalledKernel, probe_kernels
from bringup.stack.kernel_log import KernelLog, probe_log_text, recognise_log
from bringup.stack.lines import Lines
from bringup.stack.module_settings import ModuleSetting, probe_settings
from bringup.stack.next_kernel import NextKernel, probe_next_kernel
from bringup.stack.package_change import PackageChange
from bringup.stack.raw_text import split_lines
from bringup.stack.typed import find_typed
from bringup.stack.version import (
    DriverVersion,
    KernelRelease,
    find_driver_version,
    parse_driver_version,
)

_SECURE_BOOT: Final = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@dataclass(frozen=True, slots=True)
class LoadedDriver:
    """The NVIDIA module in the running kernel. `is_open`: which flavour."""

    version: DriverVersion
    is_open: bool


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """One line of /proc/modules: a name (`nvidia_uvm`) and how many hold it."""

    name: str
    users: int


@dataclass(frozen=True, slots=True)
class DiskModule:
    """What modinfo printed in a paste of the module on the disk; `None` for what it did not show."""

    version: DriverVersion | None
    is_open: bool | None = None


@dataclass(frozen=True, slots=True)
class Kernel:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        release: of the running kernel.
        secure_boot: whether the firmware says it is on.
        lockdown: `none`, `integrity` or `confidentiality`.
        taint: the kernel's taint bits.
        modules: loaded modules; from a paste only those of NVIDIA and nouveau.
        loaded_driver: the NVIDIA module in the kernel; absent when none is loaded.
        disk_module: in a paste, what modinfo said; on a machine see `kernels`.
        kernels: installed kernels with the NVIDIA modules of each.
        next_kernel: what the next start takes.
        changes: of driver and kernel packages, newest last.
        own_groups: user and groups of whoever looks.
        holders: processes with the GPU's files open; looked up only where an upgrade waits.
    """

    distribution: Reading[Distribution] = NOT_LOOKED
    release: Reading[KernelRelease] = NOT_LOOKED
    command_line: Reading[str] = NOT_LOOKED
    secure_boot: Reading[bool] = NOT_LOOKED
    lockdown: Reading[str] = NOT_LOOKED
    taint: Reading[int] = NOT_LOOKED
    modules: Reading[tuple[LoadedModule, ...]] = NOT_LOOKED
    loaded_driver: Reading[LoadedDriver] = NOT_LOOKED
    disk_module: Reading[DiskModule] = NOT_LOOKED
    kernels: Reading[tuple[InstalledKernel, ...]] = NOT_LOOKED
    next_kernel: Reading[NextKernel] = NOT_LOOKED
    dkms: Reading[tuple[DkmsModule, ...]] = NOT_LOOKED
    settings: Reading[tuple[ModuleSetting, ...]] = NOT_LOOKED
    device_files: Reading[tuple[DeviceFile, ...]] = NOT_LOOKED
    holders: Reading[tuple[Holder, ...]] = NOT_LOOKED
    changes: Reading[tuple[PackageChange, ...]] = NOT_LOOKED
    own_groups: Reading[OwnGroups] = NOT_LOOKED
    log: Reading[KernelLog] = NOT_LOOKED
    log_text: Reading[str] = NOT_LOOKED

    @property
    def running(self) -> InstalledKernel | None:
        """The installed kernel that runs now; `None` when it is not known or its folder is gone."""
        if not isinstance(self.kernels, Known) or not isinstance(self.release, Known):
            return None
        return next((k for k in self.kernels.value if k.release == self.release.value), None)

    @property
    def coming(self) -> InstalledKernel | None:
        """The installed kernel that the next start takes; `None` when it is not known."""
        if not isinstance(self.kernels, Known) or not isinstance(self.next_kernel, Known):
            return None
        return next((k for k in self.kernels.value if k.release == self.next_kernel.value.release), None)


def probe_kernel(machine: Machine) -> Kernel:
    """Look at the kernel and the driver's modules: files, and one command for the kernel's messages."""
    kernels = probe_kernels(machine)
    driver = probe_loaded_driver(machine)
    log_text = probe_log_text(machine)
    log: Reading[KernelLog] = log_text if isinstance(log_text, (Absent, Unreadable)) else NOT_LOOKED
    if isinstance(log_text, Known):
        found = recognise_log(split_lines(log_text.value, source=log_text.source))
        log = found if isinstance(found, Known) else Known(KernelLog(), log_text.source)
    return Kernel(
        distribution=probe_distribution(machine),
        release=probe_release(machine),
        command_line=convert(machine.read_text("/proc/cmdline"), str.strip),
        secure_boot=probe_secure_boot(machine),
        lockdown=convert(machine.read_text("/sys/kernel/security/lockdown"), parse_lockdown),
        taint=convert(machine.read_text("/proc/sys/kernel/tainted"), int),
        modules=convert(machine.read_text("/proc/modules"), parse_modules),
        loaded_driver=driver,
        kernels=kernels,
        next_kernel=probe_next_kernel(machine, kernels),
        dkms=probe_dkms(machine),
        settings=probe_settings(machine),
        device_files=probe_device_files(machine),
        holders=probe_holders(machine) if upgrade_waits(machine, driver, kernels) else NOT_LOOKED,
        changes=probe_changes(machine),
        own_groups=convert(machine.read_text("/proc/self/status"), parse_own_groups),
        log=log,
        log_text=log_text,
    )


def probe_release(machine: Machine) -> Reading[KernelRelease]:
    """The running kernel's release, from /proc."""
    reading = convert(machine.read_text("/proc/sys/kernel/osrelease"), _release)
    if isinstance(reading, Known):
        return reading
    other = convert(machine.read_text("/proc/version"), parse_version_line)
    return other if isinstance(other, Known) else reading


def parse_version_line(text: str) -> KernelRelease:
    """The release in /proc/version.

    Raw line: `Linux version 6.8.0-60-generic (buildd@lcy02) (gcc 13.3.0) #63-Ubuntu SMP`.

    Raises:
        ValueError: there is no such line.
    """
    match = re.match(r"Linux version (\S+)", text)
    if match is None:
        raise ValueError("no kernel version line")
    return KernelRelease(match.group(1))


_LIBRARY_FOLDERS: Final = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
)


def upgrade_waits(
    machine: Machine, driver: Reading[LoadedDriver], kernels: Reading[tuple[InstalledKernel, ...]]
) -> bool:
    """Whether a driver of another version than the loaded one lies on the disk, as library or as module.

    Only then somebody has to know who holds the GPU: it takes a look at the open files of every process.
    """
    if not isinstance(driver, Known):
        return False
    loaded = driver.value.version
    names = [
        name
        for folder in _LIBRARY_FOLDERS
        if isinstance(content := machine.list_folder(folder), Known)
        for name in content.value
        if name.startswith("libnvidia-ml.so.")
    ]
    versions = [version for name in names if (version := find_driver_version(name)) is not None]
    for kernel in kernels.value if isinstance(kernels, Known) else ():
        infos = [module.info.value for module in kernel.modules if isinstance(module.info, Known)]
        versions.extend(info.version for info in infos if info.version is not None)
    return any(not version.fits(loaded) for version in versions)


def probe_loaded_driver(machine: Machine) -> Reading[LoadedDriver]:
    """/proc/driver/nvidia/version; absent when no NVIDIA module is loaded."""
    return convert(machine.read_text("/proc/driver/nvidia/version"), parse_loaded_driver)


def probe_secure_boot(machine: Machine) -> Reading[bool]:
    """The SecureBoot variable of the firmware; a machine without EFI has none and is off."""
    data = machine.read(_SECURE_BOOT)
    if isinstance(data, Absent):
        return Known(value=False, source=data.source)
    return convert(data, parse_secure_boot)


def parse_secure_boot(data: bytes) -> bool:
    """Four bytes of attributes, then one byte: 1 is on.

    Raises:
        ValueError: it is shorter.
    """
    if len(data) < 5:
        raise ValueError(f"{len(data)} bytes")
    return data[4] == 1


def parse_loaded_driver(text: str) -> LoadedDriver:
    """The version line of /proc/driver/nvidia/version, also as the kernel prints it while loading.

    Raw line: `NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.169  Thu Jun 12 2025`; the open flavour
    says `NVIDIA UNIX Open Kernel Module for x86_64  570.169`.

    Raises:
        ValueError: there is no such line.
    """
    match = re.search(r"NVIDIA (?:UNIX|Linux) .{0,20}?(Open )?Kernel Module(?: for \w+)?\s+(\d[\d.]+)", text)
    if match is None:
        raise ValueError("no line that names the module")
    return LoadedDriver(parse_driver_version(match.group(2)), is_open=match.group(1) is not None)


def parse_lockdown(text: str) -> str:
    """The chosen word.

    Raw line: `none [integrity] confidentiality`.

    Raises:
        ValueError: no word is chosen.
    """
    match = re.search(r"\[(\w+)\]", text)
    if match is None:
        raise ValueError("no chosen word")
    return match.group(1)


def parse_modules(text: str) -> tuple[LoadedModule, ...]:
    """/proc/modules, or lsmod.

    Raw line: `nvidia_uvm 4956160 0 - Live 0x0000000000000000 (POE)`.
    """
    pattern = r"^([a-z0-9_]{2,60})\s+\d+\s+(-?\d+)"
    return tuple(
        LoadedModule(name, int(users)) for name, users in re.findall(pattern, text, flags=re.MULTILINE)
    )


def recognise(lines: Lines) -> Kernel:
    """What pasted lines say of this layer."""
    return Kernel(
        release=_recognise_release(lines),
        distribution=recognise_distribution(lines),
        secure_boot=_recognise_secure_boot(lines),
        modules=_recognise_modules(lines),
        loaded_driver=_recognise_loaded(lines),
        disk_module=_recognise_disk_module(lines),
        dkms=recognise_dkms(lines),
        log=recognise_log(lines),
    )


def _release(text: str) -> KernelRelease:
    return KernelRelease(text.strip())


def _recognise_release(lines: Lines) -> Reading[KernelRelease]:
    hit = lines.last(r"^Linux \S+ (\d[\w.+~-]+) (?:#|\()", anchor="linux ")
    if hit is not None:
        return Known(KernelRelease(hit[1].group(1)), f"{hit[0].source}, line {hit[0].number}")
    for typed in find_typed(lines):
        if (
            typed.command == "uname -r"
            and typed.output
            and re.fullmatch(r"\d[\w.+~-]+", typed.output[0].text.strip())
        ):
            line = typed.output[0]
            return Known(KernelRelease(line.text.strip()), f"{line.source}, line {line.number}")
    return _recognise_bare_release(lines)


def _recognise_bare_release(lines: Lines) -> Reading[KernelRelease]:
    """`uname -r` on a line of its own, without a prompt, and the release on the next."""
    if not lines.has("uname -r"):
        return NOT_LOOKED
    for line, following in pairwise(lines.lines):
        if line.text.strip() == "uname -r" and re.fullmatch(r"\d\.\d[\w.+~-]+", following.text.strip()):
            release = KernelRelease(following.text.strip())
            return Known(release, f"{following.source}, line {following.number}")
    return NOT_LOOKED


def _recognise_secure_boot(lines: Lines) -> Reading[bool]:
    hit = lines.last(r"(?i)secure ?boot:?\s{0,3}(?:is )?(enabled|disabled)", anchor="boot")
    if hit is None:
        return NOT_LOOKED
    return Known(hit[1].group(1).lower() == "enabled", f"{hit[0].source}, line {hit[0].number}")


def _recognise_modules(lines: Lines) -> Reading[tuple[LoadedModule, ...]]:
    """Rows of lsmod; a search for nvidia that printed nothing is a known absence."""
    rows: list[LoadedModule] = []
    for anchor in ("nvidia", "nouveau"):
        rows.extend(parse_modules("\n".join(line.text for line in lines.with_anchor(anchor))))
    searches = [t for t in find_typed(lines) if re.match(r"lsmod\b.*nvidia", t.command)]
    if rows or (searches and not searches[-1].output):
        return Known(tuple(rows), f"{lines.lines[0].source}, lsmod")
    return NOT_LOOKED


def _recognise_loaded(lines: Lines) -> Reading[LoadedDriver]:
    hit = lines.last(r"NVRM version: .*Kernel Module.*", anchor="nvrm version:")
    hit = hit or lines.last(r"NVRM: loading NVIDIA .*Kernel Module.*", anchor="nvrm: loading")
    if hit is None:
        return NOT_LOOKED
    return convert(Known(hit[0].text, f"{hit[0].source}, line {hit[0].number}"), parse_loaded_driver)


def _recognise_disk_module(lines: Lines) -> Reading[DiskModule]:
    """modinfo: `version:        595.80` below a filename that names nvidia, or `modinfo -F version`."""
    for typed in reversed(find_typed(lines)):
        if (
            re.match(r"modinfo\b.*-F ?version.*nvidia|modinfo\b.*nvidia.*-F ?version", typed.command)
            and typed.output
        ):
            return convert(Known(typed.output[0].text, f"{typed.line.source}, modinfo"), _disk_module)
    if not lines.has_any("nvidia.ko", "modinfo nvidia", "modinfo -k"):
        return NOT_LOOKED
    version = lines.last(r"^\s{0,8}version:\s{1,20}(\d{2,4}\.[\d.]+)\s*$", anchor="version:")
    licence = lines.last(r"^\s{0,8}license:\s{1,20}(.{2,20})$", anchor="license:")
    hit = version or licence
    if hit is None:
        return NOT_LOOKED
    module = DiskModule(
        find_driver_version(version[1].group(1)) if version else None,
        licence[1].group(1).strip() != "NVIDIA" if licence else None,
    )
    return Known(module, f"{hit[0].source}, line {hit[0].number}")


def _disk_module(text: str) -> DiskModule:
    return DiskModule(parse_driver_version(text))
