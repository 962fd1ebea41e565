"""Packages of the driver, their states, and what an NVIDIA installer (.run) left."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.stack.version import DriverVersion, find_driver_version

_STATUS: Final = "/var/lib/dpkg/status"
_STATUS_LIMIT_BYTES: Final = 64 * 1024**2
_RPM: Final = (
    "rpm", "-qa", "--queryformat", "%{NAME}\t%{VERSION}-%{RELEASE}\n",
    "*nvidia*", "cuda-drivers*", "cuda-compat*", "libcuda*",
)  # fmt: skip
_NAME: Final = regex(
    r"(?:lib|xserver-xorg-video-|linux-(?:modules|objects|signatures)-|akmod-|kmod-|x11-video-)?nvidia[\w.+-]*"
    r"|cuda-(?:drivers|compat)[\w.+-]*|libcuda\d*|libnv(?:idia|cuvid|ml)[\w.+-]*|lib\w{1,20}-nvidia\w{0,4}"
)
_NOT_DRIVER: Final = regex(
    r"nvidia-(?:container|cuda-(?:toolkit|dev|doc|gdb)|docker|cudnn|profiler|visual|vaapi)"
    r"|libnvidia-container"
)
_INSTALLER_LOG: Final = "/var/log/nvidia-installer.log"
_UNINSTALLERS: Final = ("/usr/bin/nvidia-uninstall", "/usr/bin/nvidia-installer")


class PackageState(Enum):
    """What the package manager says of a package."""

    INSTALLED = "installed"
    REMOVED = "removed, its settings are left"
    UNPACKED = "unpacked, not configured"
    HALF_CONFIGURED = "half-configured"
    HALF_INSTALLED = "half-installed"
    WAITING = "waiting for triggers"


_BROKEN: Final = (PackageState.UNPACKED, PackageState.HALF_CONFIGURED, PackageState.HALF_INSTALLED)
_STATES: Final = {
    "installed": PackageState.INSTALLED,
    "config-files": PackageState.REMOVED,
    "unpacked": PackageState.UNPACKED,
    "half-configured": PackageState.HALF_CONFIGURED,
    "half-installed": PackageState.HALF_INSTALLED,
    "triggers-awaited": PackageState.WAITING,
    "triggers-pending": PackageState.WAITING,
}


_LISTED: Final = regex(
    r"[ih]i\s{1,8}(?:libnvidia-compute-\d{3}\S{0,20}|libnvidia-ml1\S{0,10}|libcuda1\S{0,10}|nvidia-smi"
    r"|nvidia-utils-\d{3}\S{0,20})\s{1,80}(\d{3}\S{1,60})\s"
    r"|(?:nvidia-driver-(?:NVML|cuda|cuda-libs)|xorg-x11-drv-nvidia-cuda(?:-libs)?"
    r"|nvidia-compute(?:-utils)?-G0\d)-(?:\d:)?(\d{3}\.[\d.]{1,12})-"
    r"|nvidia-utils (\d{3}\.[\d.]{1,12})-\d"
)
"""A row of `dpkg -l`, `rpm -qa` or `pacman -Q` for a package that holds what programs load."""


@dataclass(frozen=True, slots=True)
class DriverPackage:
    """One package of the driver.

    Attributes:
        name: without architecture.
        version: as the package manager writes it.
        state: what it says of it.
        is_held: whether somebody told it to leave this version alone.
    """

    name: str
    version: str
    state: PackageState = PackageState.INSTALLED
    is_held: bool = False

    @property
    def is_broken(self) -> bool:
        """Whether a change of it was begun and not finished."""
        return self.state in _BROKEN

    @property
    def driver_version(self) -> DriverVersion | None:
        """The driver version in its version."""
        return find_driver_version(self.version)


@dataclass(frozen=True, slots=True)
class Runfile:
    """A driver that NVIDIA's installer (.run) put there.

    Attributes:
        version: of the last run in the installer's log; `None` where the log is gone.
        uninstaller: what takes it away again.
    """

    version: DriverVersion | None
    uninstaller: str


def probe_packages(machine: Machine) -> Reading[tuple[DriverPackage, ...]]:
    """The driver's packages by name, from the package manager that is there; an empty tuple for none."""
    status = convert(machine.read_text(_STATUS, limit_bytes=_STATUS_LIMIT_BYTES), parse_dpkg_status)
    if not isinstance(status, Absent):
        return status
    local = convert(machine.list_folder("/var/lib/pacman/local"), parse_pacman_folders)
    if not isinstance(local, Absent):
        return local
    for folder in ("/usr/lib/sysimage/rpm", "/var/lib/rpm"):
        if isinstance(machine.stat(folder), Known):
            printed = machine.run(_RPM, timeout_s=5.0)
            return convert(printed, lambda result: parse_rpm_list(result.stdout))
    return Absent("dpkg, pacman and rpm")


def probe_runfile(machine: Machine) -> Reading[Runfile]:
    """Whether NVIDIA's installer has a driver here; absent without its uninstaller.

    Debian's and Ubuntu's packages carry neither program; the log alone may be of an old, removed driver.
    """
    problem: Unreadable | None = None
    for path in _UNINSTALLERS:
        found = machine.stat(path)
        if isinstance(found, Known):
            log = machine.read_text(_INSTALLER_LOG)
            version = parse_installer_log(log.value) if isinstance(log, Known) else None
            return Known(Runfile(version, path), path)
        problem = found if isinstance(found, Unreadable) else problem
    return problem or Absent(_UNINSTALLERS[0])


def parse_dpkg_status(text: str) -> tuple[DriverPackage, ...]:
    """Driver packages of dpkg's status file.

    Raw lines: `Package: libnvidia-compute-570`, `Status: install ok half-configured`,
    `Version: 570.172.08-0ubuntu0.24.04.1`.
    """
    found = []
    for match in re.finditer(r"^Package: (\S{2,100})$", text, flags=re.MULTILINE):
        name = match[1]
        if not is_driver_package(name):
            continue
        end = text.find("\n\n", match.end())
        paragraph = text[match.end() : end if end >= 0 else len(text)]
        status = re.search(r"^Status: (\S+) \S+ (\S+)$", paragraph, flags=re.MULTILINE)
        version = re.search(r"^Version: (\S+)$", paragraph, flags=re.MULTILINE)
        state = _STATES.get(status[2]) if status is not None else None
        if status is not None and state is not None:
            found.append(DriverPackage(name, version[1] if version else "", state, status[1] == "hold"))
    return tuple(sorted(found, key=lambda package: package.name))


def parse_pacman_folders(names: tuple[str, ...]) -> tuple[DriverPackage, ...]:
    """Driver packages of the folder names below /var/lib/pacman/local.

    Raw name: `nvidia-utils-575.64.03-1`.
    """
    found = []
    for name in names:
        match = re.fullmatch(r"(\S+?)-([^-]+-[^-]+)", name)
        if match is not None and is_driver_package(match[1]):
            found.append(DriverPackage(match[1], match[2]))
    return tuple(found)


def parse_rpm_list(text: str) -> tuple[DriverPackage, ...]:
    """Driver packages of rpm's answer.

    Raw line: `nvidia-driver` TAB `570.172.08-1.fc41`.
    """
    rows = (line.partition("\t") for line in text.splitlines())
    found = [DriverPackage(name, version) for name, tab, version in rows if tab and is_driver_package(name)]
    return tuple(sorted(found, key=lambda package: package.name))


def parse_installer_log(text: str) -> DriverVersion | None:
    """The driver's version in NVIDIA's installer log; the log holds the last run only.

    Raw line: `installer version: 570.169`.
    """
    match = re.search(r"^\s*installer version: (\S+)", text, flags=re.MULTILINE)
    return find_driver_version(match[1]) if match is not None else None


def is_driver_package(name: str) -> bool:
    """Whether a package belongs to the driver, not to the toolkit or to containers."""
    return _NAME.fullmatch(name) is not None and _NOT_DRIVER.match(name) is None


def recognise_library_version(lines: Lines) -> Reading[DriverVersion]:
    """The version of the packages that hold NVML and libcuda, in a list of packages that somebody pasted.

    Not looked at where no such row stands, or where rows name more than one version.

    Raw line: `ii  nvidia-smi     525.85.12-1  amd64        NVIDIA System Management Interface`.
    """
    rows = [
        (line, version)
        for anchor in ("nvidia", "libcuda1")
        for line in lines.with_anchor(anchor)
        if (row := _LISTED.match(line.text)) is not None
        and (version := find_driver_version(row[1] or row[2] or row[3])) is not None
    ]
    if not rows or any(not version.fits(rows[0][1]) for _, version in rows):
        return NOT_LOOKED
    line, version = rows[-1]
    return Known(version, f"{line.source}, line {line.number}")
