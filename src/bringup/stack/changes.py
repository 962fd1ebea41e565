"""Who changed the driver's packages and when: the logs of apt, dpkg, dnf, pacman and zypper.

Only packages of the driver and of kernels are kept; the newest change stands last.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import Absent, Known, Reading, Unreadable

_LOG_LIMIT_BYTES: Final = 8 * 1024**2
_CHANGE_LIMIT: Final = 400
_RELEVANT: Final = re.compile(
    r"^(?:lib)?(?:nvidia|cuda-drivers|cuda-compat|xserver-xorg-video-nvidia|akmod-nvidia|kmod-nvidia|linux-(?:image|"
    r"modules|headers|objects)|kernel(?:-core|-devel|-modules)?(?:-\d|$)|linux(?:-lts|-zen|-hardened)?$)"
)


class Author(Enum):
    """Who made a change."""

    UNATTENDED = "unattended"
    BY_HAND = "by hand"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PackageChange:
    """One package that changed.

    Attributes:
        when: local time as the log writes it, `2025-07-14 06:32:11`.
        action: `upgrade`, `install`, `remove`, `downgrade`.
        package: its name without architecture.
        old: version before; empty for an install.
        new: version after; empty for a removal.
        author: unattended, by hand, or unknown.
        command: what was run, where the log keeps it.
    """

    when: str
    action: str
    package: str
    old: str
    new: str
    author: Author = Author.UNKNOWN
    command: str = ""

    @property
    def is_driver(self) -> bool:
        """Whether this is a package of the NVIDIA driver (not of a kernel)."""
        return "nvidia" in self.package or self.package.startswith("cuda-")


def probe_changes(machine: Machine) -> Reading[tuple[PackageChange, ...]]:
    """Changes of driver and kernel packages, oldest first, from the logs that are there."""
    found: list[PackageChange] = []
    sources = []
    problem: Unreadable | None = None
    for paths, parse in (
        (_rotated("/var/log/apt/history.log"), parse_apt_history),
        (("/var/log/dpkg.log.2.gz", "/var/log/dpkg.log.1", "/var/log/dpkg.log"), parse_dpkg_log),
        (("/var/log/dnf.rpm.log", "/var/log/dnf.rpm.log.1"), parse_dnf_log),
        (("/var/log/pacman.log",), parse_pacman_log),
        (("/var/log/zypp/history",), parse_zypp_history),
    ):
        for path in paths:
            text = _read_log(machine, path)
            if isinstance(text, Known):
                found.extend(parse(text.value))
                sources.append(path)
            elif isinstance(text, Unreadable):
                problem = text
    if not sources:
        return problem or Absent("package logs")
    ordered = sorted(_told_once(found), key=lambda change: change.when)[-_CHANGE_LIMIT:]
    return Known(tuple(ordered), ", ".join(sources[:3]))


def _told_once(changes: list[PackageChange]) -> list[PackageChange]:
    """Without what dpkg tells a second time: apt's own record stands first and says who did it."""
    seen: dict[tuple[str, str, str], PackageChange] = {}
    for change in changes:
        seen.setdefault((change.package, change.old, change.new), change)
    return list(seen.values())


def parse_apt_history(text: str) -> tuple[PackageChange, ...]:
    """Apt's history.log, one paragraph a run.

    Raw lines: `Start-Date: 2025-07-14  06:32:11`, `Commandline: /usr/bin/unattended-upgrade`,
    `Upgrade: libnvidia-compute-570:amd64 (570.169-0ubuntu1, 570.172.08-0ubuntu1), ...`.
    """
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Z][\w-]+): (.*)$", paragraph, flags=re.MULTILINE))
        when = " ".join(fields.get("Start-Date", "").split())
        if not when:
            continue
        command = fields.get("Commandline", "")
        author = _author(command, fields.get("Requested-By", ""))
        for action in ("Install", "Upgrade", "Downgrade", "Remove", "Purge"):
            for name, versions in re.findall(r"([^\s,:()]+)(?::\w+)? \(([^()]*)\)", fields.get(action, "")):
                old, new = _versions(action, versions)
                if _RELEVANT.match(name):
                    found.append(PackageChange(when, action.lower(), name, old, new, author, command[:200]))
    return tuple(found)


def parse_dpkg_log(text: str) -> tuple[PackageChange, ...]:
    """dpkg.log, which also knows what was installed past apt.

    Raw line: `2025-07-14 06:32:11 upgrade libnvidia-compute-570:amd64 570.169-0ubuntu1 570.172.08-0ubuntu1`.
    """
    found = []
    pattern = (
        r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (upgrade|install|remove|purge) ([^\s:]+)(?::\w+)? (\S+) (\S+)$"
    )
    for when, action, name, old, new in re.findall(pattern, text, flags=re.MULTILINE):
        if _RELEVANT.match(name):
            versions = [version if version != "<none>" else "" for version in (old, new)]
            found.append(PackageChange(when, action, name, versions[0], versions[1]))
    return tuple(found)


def parse_dnf_log(text: str) -> tuple[PackageChange, ...]:
    """dnf.rpm.log.

    Raw line: `2025-07-14T06:12:34+0200 SUBDEBUG Upgrade: nvidia-driver-3:570.172.08-1.fc41.x86_64`.
    """
    found = []
    pattern = (
        r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\S* \w+ (Upgrade|Installed|Erase|Downgrade): "
        r"([\w.+-]+?)-(?:\d+:)?(\d[\w.~^]*-[\w.~^]+)\.\w+$"
    )
    actions = {"Upgrade": "upgrade", "Installed": "install", "Erase": "remove", "Downgrade": "downgrade"}
    for day, clock, action, name, version in re.findall(pattern, text, flags=re.MULTILINE):
        if _RELEVANT.match(name):
            old, new = (version, "") if action == "Erase" else ("", version)
            found.append(PackageChange(f"{day} {clock}", actions[action], name, old, new))
    return tuple(found)


def parse_pacman_log(text: str) -> tuple[PackageChange, ...]:
    """pacman.log.

    Raw line: `[2025-07-14T06:12:34+0200] [ALPM] upgraded nvidia-utils (570.169-1 -> 575.64.03-1)`.
    """
    found = []
    pattern = (
        r"^\[(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)\S*\] \[ALPM\] (upgraded|installed|removed|downgraded) "
        r"(\S+) \(([^()]*)\)$"
    )
    actions = {"upgraded": "upgrade", "installed": "install", "removed": "remove", "downgraded": "downgrade"}
    for day, clock, action, name, versions in re.findall(pattern, text, flags=re.MULTILINE):
        if _RELEVANT.match(name):
            old, _, new = versions.partition(" -> ")
            if action in ("installed", "removed"):
                old, new = ("", versions) if action == "installed" else (versions, "")
            found.append(PackageChange(f"{day} {clock}", actions[action], name, old, new, Author.BY_HAND))
    return tuple(found)


def parse_zypp_history(text: str) -> tuple[PackageChange, ...]:
    """Zypp's history.

    Raw line: `2025-07-14 06:12:34|install|nvidia-compute-G06|570.172.08-lp156.1|x86_64|root@host|...`.
    """
    found = []
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) > 4 and parts[1] in ("install", "remove ", "remove") and _RELEVANT.match(parts[2]):
            is_install = parts[1] == "install"
            old, new = ("", parts[3]) if is_install else (parts[3], "")
            found.append(PackageChange(parts[0], parts[1].strip(), parts[2], old, new))
    return tuple(found)


def _author(command: str, requested_by: str) -> Author:
    if "unattended-upgrade" in command or "apt.systemd.daily" in command:
        return Author.UNATTENDED
    if requested_by or command:
        return Author.BY_HAND
    return Author.UNKNOWN


def _versions(action: str, text: str) -> tuple[str, str]:
    words = [word.strip() for word in text.split(",") if word.strip() not in ("automatic",)]
    if action in ("Upgrade", "Downgrade") and len(words) >= 2:
        return words[0], words[1]
    first = words[0] if words else ""
    return (first, "") if action in ("Remove", "Purge") else ("", first)


def _rotated(path: str) -> tuple[str, ...]:
    """Oldest first: the last months are enough."""
    return (*(f"{path}.{number}.gz" for number in (3, 2, 1)), path)


def _read_log(machine: Machine, path: str) -> Reading[str]:
    data = machine.read(path)
    if not isinstance(data, Known):
        return data
    raw = data.value
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = zlib.decompressobj(31).decompress(raw, _LOG_LIMIT_BYTES)
        except zlib.error as problem:
            return Unreadable(path, f"damaged gzip: {problem}")
    return Known(raw[-_LOG_LIMIT_BYTES:].decode("utf-8", "replace"), path)
