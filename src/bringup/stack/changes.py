"""Who changed the driver's packages and when: the logs of apt, dpkg, dnf, pacman and zypper.

For the doctor only packages of the driver and of kernels are kept; the newest change stands last. The
journal's timeline asks for more packages and for older logs.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass

_LOG_LIMIT_BYTES: Final = 8 * 1024**2
_CHANGE_LIMIT: Final = 400
_ONE_RUN_S: Final = 2 * 3600
"""Longest that one run of a package tool is taken to last."""
RELEVANT: Final = re.compile(
    r"^(?:lib)?(?:nvidia|cuda-drivers|cuda-compat|xserver-xorg-video-nvidia|akmod-nvidia|kmod-nvidia|linux-(?:image|"
    r"modules|headers|objects)|kernel(?:-core|-devel|-modules)?(?:-\d|$)|linux(?:-lts|-zen|-hardened)?$)"
)


TOLD: Final = re.compile(
    RELEVANT.pattern
    + r"|^(?:lib)?nvidia-container|^cuda-|^libcu(?:da|blas|dnn|fft|rand|sparse|solver)|^libnccl"
    r"|^docker|^containerd|^podman"
    r"|^(?:gcc|g\+\+|clang)(?:-\d+)?$|^libc6$|^glibc$|^dkms$|^llama|^libllama|^ggml|^ollama|^libvulkan|^mesa-vulkan"
    r"|^shim-signed$|^grub-(?:pc|efi-amd64)$|^python3-(?:torch|llama)|^firmware-nvidia|^nvidia-settings$|^systemd$"
)
"""Packages that the timeline tells of: what can touch a layer of the stack."""


class Author(Enum):
    """Who made a change."""

    UNATTENDED = "unattended"
    BY_HAND = "by hand"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PackageChange:
    """One package that changed.

    Attributes:
        when: time as the log writes it, without its zone, `2025-07-14 06:32:11`.
        action: `upgrade`, `install`, `remove`, `downgrade`.
        package: its name without architecture.
        old: version before; empty for an install.
        new: version after; empty for a removal.
        author: unattended, by hand, or unknown.
        command: what was run, where the log keeps it.
        offset: distance from UTC as the log writes it (`+0200`); empty for local time without one.
    """

    when: str
    action: str
    package: str
    old: str
    new: str
    author: Author = Author.UNKNOWN
    command: str = ""
    offset: str = ""

    @property
    def is_driver(self) -> bool:
        """Whether this is a package of the NVIDIA driver (not of a kernel)."""
        return "nvidia" in self.package or self.package.startswith("cuda-")


def probe_changes(machine: Machine) -> Reading[tuple[PackageChange, ...]]:
    """Changes of driver and kernel packages, oldest first, from the logs that are there."""
    return read_changes(machine, _RECENT, RELEVANT, limit=_CHANGE_LIMIT)


def read_changes(
    machine: Machine, logs: tuple[tuple[str, int, str], ...], wanted: re.Pattern[str], *, limit: int
) -> Reading[tuple[PackageChange, ...]]:
    """Changes of the wanted packages, oldest first.

    Args:
        machine: where to look.
        logs: path of each log, how many rotated ones it has, and the ending of their names.
        wanted: matches the names of packages.
        limit: so many of the newest changes at most.
    """
    found: list[PackageChange] = []
    sources = []
    problem: Unreadable | None = None
    for log, n_rotated, ending in logs:
        for path in rotated(log, n_rotated, ending):
            text = read_log(machine, path)
            if isinstance(text, Known):
                found.extend(_PARSERS[log](text.value, wanted))
                sources.append(path)
            elif isinstance(text, Unreadable):
                problem = text
    if not sources:
        return problem or Absent("package logs")
    ordered = sorted(_told_once(found), key=lambda change: change.when)[-limit:]
    return Known(tuple(ordered), ", ".join(sources[:3]))


def _told_once(changes: list[PackageChange]) -> list[PackageChange]:
    """Without what dpkg tells a second time: apt's own record stands first and says who did it.

    The same change another day is another change (an upgrade that was taken back and came again).
    """
    kept: dict[tuple[str, str, str], list[PackageChange]] = {}
    for change in changes:
        same = kept.setdefault((change.package, change.old, change.new), [])
        if not any(_is_near(change.when, other.when) for other in same):
            same.append(change)
    return [change for same in kept.values() for change in same]


def _is_near(first: str, second: str) -> bool:
    """Whether two moments of one machine's logs can belong to one run of a package tool."""
    from datetime import datetime

    try:
        span = datetime.fromisoformat(first) - datetime.fromisoformat(second)
    except ValueError:
        return first == second
    return abs(span.total_seconds()) < _ONE_RUN_S


def parse_apt_history(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
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
                if wanted.match(name):
                    found.append(PackageChange(when, action.lower(), name, old, new, author, command[:200]))
    return tuple(found)


def parse_dpkg_log(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """dpkg.log, which also knows what was installed past apt.

    Raw line: `2025-07-14 06:32:11 upgrade libnvidia-compute-570:amd64 570.169-0ubuntu1 570.172.08-0ubuntu1`.
    """
    found = []
    pattern = (
        r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (upgrade|install|remove|purge) ([^\s:]+)(?::\w+)? (\S+) (\S+)$"
    )
    for when, action, name, old, new in re.findall(pattern, whole_lines(text), flags=re.MULTILINE):
        if wanted.match(name):
            versions = [version if version != "<none>" else "" for version in (old, new)]
            found.append(PackageChange(when, action, name, versions[0], versions[1]))
    return tuple(found)


_DNF: Final = re.compile(
    r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\S*) \w+ "
    r"(Upgrade|Installed|Erase|Downgrade|Upgraded|Downgraded): "
    r"([\w.+-]+?)-(?:\d+:)?(\d[\w.~^]*-[\w.~^]+)\.\w+$",
    re.MULTILINE,
)
_DNF_ACTIONS: Final = {
    "Upgrade": "upgrade",
    "Installed": "install",
    "Erase": "remove",
    "Downgrade": "downgrade",
}


def parse_dnf_log(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """dnf.rpm.log; the old version stands in a line of its own, written when it is cleaned up.

    Raw lines: `2025-07-14T06:12:34+0200 SUBDEBUG Upgrade: nvidia-driver-3:570.172.08-1.fc41.x86_64`,
    `2025-07-14T06:12:40+0200 SUBDEBUG Upgraded: nvidia-driver-3:570.169-1.fc41.x86_64`.
    """
    found: list[PackageChange] = []
    waiting: dict[str, int] = {}
    for day, clock, offset, action, name, version in _DNF.findall(whole_lines(text)):
        if not wanted.match(name):
            continue
        if action in ("Upgraded", "Downgraded"):
            at = waiting.pop(name, None)
            if at is not None:
                found[at] = replace(found[at], old=version)
            continue
        old, new = (version, "") if action == "Erase" else ("", version)
        if action in ("Upgrade", "Downgrade"):
            waiting[name] = len(found)
        what = (f"{day} {clock}", _DNF_ACTIONS[action], name, old, new)
        found.append(PackageChange(*what, offset=_offset(offset)))
    return tuple(found)


def parse_pacman_log(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """pacman.log, which also says what was run.

    Raw lines: `[2025-07-14T06:12:30+0200] [PACMAN] Running 'pacman -Syu'`,
    `[2025-07-14T06:12:34+0200] [ALPM] upgraded nvidia-utils (570.169-1 -> 575.64.03-1)`.
    """
    found = []
    command = ""
    actions = {"upgraded": "upgrade", "installed": "install", "removed": "remove", "downgraded": "downgrade"}
    for line in whole_lines(text).splitlines():
        if " [PACMAN] Running '" in line:
            command = line.partition(" [PACMAN] Running '")[2].removesuffix("'")[:200]
        match = _PACMAN.match(line)
        if match is None or not wanted.match(match["name"]):
            continue
        old, _, new = match["versions"].partition(" -> ")
        if match["action"] in ("installed", "removed"):
            is_install = match["action"] == "installed"
            old, new = ("", match["versions"]) if is_install else (match["versions"], "")
        when = f"{match['day']} {match['clock']}"
        offset = _offset(match["offset"])
        change = (when, actions[match["action"]], match["name"], old, new)
        found.append(PackageChange(*change, Author.BY_HAND, command, offset))
    return tuple(found)


_PACMAN: Final = re.compile(
    r"\[(?P<day>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?P<offset>\S*)\] \[ALPM\] "
    r"(?P<action>upgraded|installed|removed|downgraded) (?P<name>\S+) \((?P<versions>[^()]*)\)$"
)


def parse_zypp_history(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """Zypp's history.

    Raw lines: `2025-07-14 06:12:30|command|root@host|'zypper' 'up'|`,
    `2025-07-14 06:12:34|install|nvidia-compute-G06|570.172.08-lp156.1|x86_64|root@host|...`.
    """
    found = []
    command = ""
    for line in whole_lines(text).splitlines():
        parts = line.split("|")
        if len(parts) > 3 and parts[1] == "command":
            command = parts[3].replace("'", "")[:200]
        if len(parts) > 4 and parts[1] in ("install", "remove ", "remove") and wanted.match(parts[2]):
            is_install = parts[1] == "install"
            old, new = ("", parts[3]) if is_install else (parts[3], "")
            author = Author.BY_HAND if command else Author.UNKNOWN
            found.append(PackageChange(parts[0], parts[1].strip(), parts[2], old, new, author, command))
    return tuple(found)


def whole_lines(text: str) -> str:
    """Without a last line that is still being written."""
    return text if text.endswith("\n") else text[: text.rfind("\n") + 1]


def _offset(text: str) -> str:
    return text if re.fullmatch(r"[+-]\d\d:?\d\d|Z", text) else ""


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


def rotated(path: str, count: int, ending: str) -> tuple[str, ...]:
    """A log and those before it, oldest first; `ending` is what stands behind the number.

    The newest rotated one is often not packed yet (`delaycompress`), so it is looked for both ways.
    """
    older = [f"{path}.{number}{ending}" for number in range(count, 0, -1)]
    if ending and count:
        older.append(f"{path}.1")
    return (*older, path)


def read_log(machine: Machine, path: str) -> Reading[str]:
    """The text of a log, unpacked; of a large one its end.

    A log that is being written again from its start, cut short or damaged gives what can be read of it.
    """
    data = machine.read(path)
    if not isinstance(data, Known):
        return data
    raw = data.value
    try:
        if raw.startswith(b"\x1f\x8b"):
            raw = zlib.decompressobj(31).decompress(raw, _LOG_LIMIT_BYTES)
        elif raw.startswith(b"\xfd7zXZ\0"):
            raw = _unpack_xz(raw)
    except (zlib.error, ValueError) as problem:
        return Unreadable(path, f"damaged archive: {problem}")
    return Known(raw[-_LOG_LIMIT_BYTES:].decode("utf-8", "replace"), path)


def _unpack_xz(raw: bytes) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor().decompress(raw, _LOG_LIMIT_BYTES)
    except (lzma.LZMAError, EOFError) as problem:
        raise ValueError(str(problem)) from problem


_PARSERS: Final = {
    "/var/log/apt/history.log": parse_apt_history,
    "/var/log/dpkg.log": parse_dpkg_log,
    "/var/log/dnf.rpm.log": parse_dnf_log,
    "/var/log/pacman.log": parse_pacman_log,
    "/var/log/zypp/history": parse_zypp_history,
}

_RECENT: Final = (
    ("/var/log/apt/history.log", 3, ".gz"),
    ("/var/log/dpkg.log", 2, ".gz"),
    ("/var/log/dnf.rpm.log", 1, ""),
    ("/var/log/pacman.log", 0, ""),
    ("/var/log/zypp/history", 0, ""),
)

ALL_LOGS: Final = (
    ("/var/log/apt/history.log", 12, ".gz"),
    ("/var/log/dpkg.log", 12, ".gz"),
    ("/var/log/dnf.rpm.log", 4, ""),
    ("/var/log/pacman.log", 1, ".gz"),
    ("/var/log/zypp/history", 1, ".xz"),
)
"""Every log that a distribution's own settings keep."""
