"""Which Linux distribution this is, and how it keeps packages."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, convert
from bringup.records import dataclass
from bringup.stack.lines import Line, Lines

_NAMED: Final = (
    ("pop!_os", "pop", "Pop!_OS", ("ubuntu", "debian")),
    ("linux mint", "linuxmint", "Linux Mint", ("ubuntu", "debian")),
    ("ubuntu", "ubuntu", "Ubuntu", ("debian",)),
    ("debian", "debian", "Debian", ()),
    ("proxmox", "debian", "Proxmox", ()),
    ("fedora", "fedora", "Fedora", ()),
    ("bazzite", "fedora", "Bazzite", ()),
    ("rocky linux", "rocky", "Rocky Linux", ("rhel", "centos", "fedora")),
    ("almalinux", "almalinux", "AlmaLinux", ("rhel", "centos", "fedora")),
    ("centos", "centos", "CentOS", ("rhel", "fedora")),
    ("red hat enterprise", "rhel", "Red Hat Enterprise Linux", ("fedora",)),
    ("opensuse", "opensuse", "openSUSE", ("suse",)),
    ("arch linux", "arch", "Arch Linux", ()),
    ("manjaro", "manjaro", "Manjaro", ("arch",)),
    ("cachyos", "cachyos", "CachyOS", ("arch",)),
    ("endeavouros", "endeavouros", "EndeavourOS", ("arch",)),
    ("nixos", "nixos", "NixOS", ()),
)
"""What a system calls itself, its id, its name, and its relatives; the narrower name first."""

_HEADS: Final = ("pretty_name=", "description:", "operating system:", "os:", "distro:")

_MARKS: Final = (
    (".fc", r"\d\.fc\d{2}\b", "fedora"),
    (".el", r"\d\.el\d{1,2}(?:_\d{1,2})?\b", "rhel"),
    ("-arch", r"\d-arch\d-\d", "arch"),
    ("==> ", r"^==> (?:dkms|ERROR|WARNING|Starting build)", "arch"),
    ("pacman -", r"\bpacman -[SRQ]", "arch"),
    ("ubuntu", r"\dubuntu\d", "ubuntu"),
    ("ubuntu-drivers", r"\bubuntu-drivers\b", "ubuntu"),
    ("-generic", r"\d-generic\b", "ubuntu"),
    ("~deb", r"~deb\d{1,2}u\d", "debian"),
    ("+deb", r"\+deb\d{1,2}u\d", "debian"),
    ("-pve", r"\d-pve\b", "debian"),
    ("zypper ", r"^(?:>|#|\$| )*(?:sudo )?zypper \w", "opensuse"),
    ("-g0", r"(?i)nvidia-\S{1,30}-g0[4-7]", "opensuse"),
    ("/nix/store/", r"/nix/store/", "nixos"),
    ("nixos-rebuild", r"\bnixos-rebuild\b", "nixos"),
)
"""What only one family's packages, kernels and tools print."""


_POST_CHARACTERS: Final = 60_000
"""In a longer text a distribution's name says little: it is a log, and of many things."""

_ALSO_CALLED: Final = (("archlinux", "arch"), ("tumbleweed", "opensuse"), ("akmod", "fedora"))
"""Further words for a distribution, or of one alone."""


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


def recognise_distribution(lines: Lines) -> Reading[Distribution]:
    """The distribution that a paste comes from: what it calls itself, else marks that are one family's only.

    Not looked at where nothing or more than one family shows: an image and its host may both be in a text.

    Raw line: `Operating System: Ubuntu 22.04 LTS`.
    """
    for head in _HEADS:
        for line in lines.with_anchor(head):
            said = line.text.strip().lower()
            known = next((row for row in _NAMED if said.startswith(head) and row[0] in said), None)
            if known is not None:
                return Known(_distribution(known[1]), f"{line.source}, line {line.number}")
    found: dict[str, Line] = {}
    for anchor, pattern, name in _MARKS:
        mark = lines.first_like(pattern, anchor=anchor)
        if mark is not None:
            found[name] = mark
    if {*found} == {"debian", "ubuntu"}:
        del found["debian"]
    found = found or _in_sentences(lines)
    if len(found) != 1:
        return NOT_LOOKED
    ((name, mark),) = found.items()
    return Known(_distribution(name), f"{mark.source}, line {mark.number}")


def _in_sentences(lines: Lines) -> dict[str, Line]:
    """The distribution that somebody's words name, "on Fedora 43"; empty where they name several families.

    An image's name (`nvidia/cuda:12.4.1-ubuntu22.04`) is no system's.
    """
    if len(lines.whole) > _POST_CHARACTERS:
        return {}
    found: dict[str, Line] = {}
    for word, name in (*((row[0], row[1]) for row in _NAMED), *_ALSO_CALLED):
        line = lines.first_like(rf"(?i)(?<![\w/:.@-]){re.escape(word)}(?![\w/:@]|-\d)", anchor=word)
        if line is not None:
            found.setdefault(name, line)
    if len({_distribution(name).family for name in found}) != 1:
        return {}
    return dict(tuple(found.items())[:1])


def _distribution(name: str) -> Distribution:
    row = next(row for row in _NAMED if row[1] == name)
    return Distribution(id=row[1], name=row[2], version="", like=row[3])
