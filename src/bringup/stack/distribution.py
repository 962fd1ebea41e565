"""Which Linux distribution this is, and how it keeps packages."""

from __future__ import annotations

import re
from enum import Enum

from bringup.machine.protocol import Machine
from bringup.reading import Absent, Reading, convert
from bringup.records import dataclass


class PackageFamily(Enum):
    """Families of package tools; one set of commands each."""

    APT = "apt"
    DNF = "dnf"
    PACMAN = "pacman"
    ZYPPER = "zypper"
    NIX = "nix"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Distribution:
    """What os-release says: `id` such as `ubuntu`, `like` its relatives, `version` such as `24.04`."""

    id: str
    name: str
    version: str
    like: tuple[str, ...]

    @property
    def family(self) -> PackageFamily:
        """How packages are kept here."""
        families = {
            PackageFamily.APT: ("debian", "ubuntu"),
            PackageFamily.DNF: ("fedora", "rhel", "centos", "rocky", "almalinux", "ol", "amzn"),
            PackageFamily.PACMAN: ("arch", "manjaro", "cachyos", "endeavouros"),
            PackageFamily.ZYPPER: ("suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles"),
            PackageFamily.NIX: ("nixos",),
        }
        for family, names in families.items():
            if any(name in names for name in (self.id, *self.like)):
                return family
        return PackageFamily.OTHER


def probe_distribution(machine: Machine) -> Reading[Distribution]:
    """Read /etc/os-release, else /usr/lib/os-release."""
    reading = machine.read_text("/etc/os-release")
    if isinstance(reading, Absent):
        reading = machine.read_text("/usr/lib/os-release")
    return convert(reading, parse_os_release)


def parse_os_release(text: str) -> Distribution:
    """Parse os-release.

    Raw line: `PRETTY_NAME="Ubuntu 24.04.2 LTS"`.

    Raises:
        ValueError: it names no id.
    """
    values: dict[str, str] = dict(re.findall(r"^([A-Z_]+)=[\"']?(.*?)[\"']?\s*$", text, flags=re.MULTILINE))
    if not values.get("ID"):
        raise ValueError("no ID line")
    return Distribution(
        id=values["ID"].lower(),
        name=values.get("PRETTY_NAME", values["ID"]),
        version=values.get("VERSION_ID", ""),
        like=tuple(values.get("ID_LIKE", "").lower().split()),
    )
