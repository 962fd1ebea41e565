"""Newer versions of the driver's packages that apt's lists offer; nothing is fetched and apt is not asked."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass
from bringup.stack.debian_version import DebianVersion
from bringup.stack.module_file import unpack
from bringup.stack.userspace_packages import DriverPackage, PackageState

APT_LISTS: Final = "/var/lib/apt/lists"
_LIST: Final = regex(r".{1,240}_Packages(?:\.(?:gz|xz|lz4|zst|bz2|lzma))?")
_READABLE: Final = regex(r".*_Packages(?:\.(?:gz|xz))?")
_FOREIGN: Final = regex(r"_binary-(?:i386|armhf)_")
_FOREIGN_LINE: Final = regex(rb"^Architecture: (?:i386|armhf)$", re.MULTILINE)
_VERSION: Final = regex(rb"^Version: (\S{1,200})$", re.MULTILINE)
_OWN: Final = "nvidia"
_TELLING: Final = 7
_PACKED: Final = (b"\x1f\x8b", b"\xfd7zXZ\x00")
_LIST_LIMIT: Final = 100
_LIST_LIMIT_BYTES: Final = 48 * 1024**2
_ALL_LIMIT_BYTES: Final = 128 * 1024**2


@dataclass(frozen=True, slots=True)
class OfferedUpgrade:
    """A package of the driver that apt's lists have in a newer version than dpkg has installed.

    Attributes:
        name: of the package.
        installed: version that dpkg has.
        offered: the highest version in the lists; apt may keep it back, as pins and phases are not judged.
        is_held: whether somebody told dpkg to leave the installed version alone.
    """

    name: str
    installed: str
    offered: str
    is_held: bool


def probe_pending_upgrades(
    machine: Machine, packages: Reading[tuple[DriverPackage, ...]]
) -> Reading[tuple[OfferedUpgrade, ...]]:
    """What apt's lists offer for the driver's packages; the lists are opened only where one is installed.

    Lists of the 32-bit architectures are left out. Some lists may not be readable: the source of a known
    answer says how many were, and "nothing newer" is said only where all were. Rpm's and pacman's packages
    are unreadable: their lists are not looked at.
    """
    if not isinstance(packages, Known):
        return packages
    installed = {one.name: one for one in packages.value if one.state is not PackageState.REMOVED}
    if not installed:
        return Absent(f"no package of the driver in {packages.source}")
    if not packages.source.startswith("/var/lib/dpkg/"):
        return Unreadable(
            packages.source, "not looked: only apt's lists are read, those of pacman and dnf are not"
        )
    names = machine.list_folder(APT_LISTS)
    if isinstance(names, Unreadable):
        return names
    lists = native_lists(names.value) if isinstance(names, Known) else []
    if not lists:
        return Unreadable(
            APT_LISTS, "it holds no list of packages: apt update has not run here, or they were removed"
        )
    return _offers(machine, lists, installed)


def native_lists(names: tuple[str, ...]) -> list[str]:
    """Of the names in apt's folder those of package lists, without the 32-bit architectures.

    Raw name: `MIRROR_debian_dists_trixie_non-free_binary-amd64_Packages.lz4`.
    """
    return [name for name in names if _LIST.fullmatch(name) and not _FOREIGN.search(name)]


def cover_list(path: str) -> str:
    """The path of a list of apt under a name that tells nothing of its host; any other path as it is.

    The same list has the same name each time, so that a record of it is found again.
    """
    folder, _, name = path.rpartition("/")
    if folder != APT_LISTS or not _LIST.fullmatch(name):
        return path
    mark = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    return f"{folder}/list-{mark:08x}_Packages{name.rpartition('_Packages')[2]}"


def parse_offers(data: bytes, names: frozenset[str]) -> dict[str, str]:
    """The highest version of each of these packages in a list of apt.

    Raw lines: `Package: nvidia-utils-570`, `Architecture: amd64`, `Version: 570.172.08-0ubuntu0.24.04.1`; an
    empty line ends a package.
    """
    found: dict[str, str] = {}
    for name, paragraph in _paragraphs(data, names):
        match = _VERSION.search(paragraph)
        if match is None or _FOREIGN_LINE.search(paragraph):
            continue
        version = match[1].decode("ascii", "replace")
        if name not in found or DebianVersion(found[name]) < DebianVersion(version):
            found[name] = version
    return found


def _paragraphs(data: bytes, names: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """What a list says of these packages; of its tens of thousands of others nothing is taken apart."""
    own = {name for name in names if _OWN in name}
    needles = {_OWN.encode()} if own else set()
    needles |= {f"Package: {name[:_TELLING]}".encode() for name in names - own}
    seen: set[int] = set()
    for needle in needles:
        at = data.find(needle)
        while at >= 0:
            start = data.rfind(b"\n", 0, at + 1) + 1
            end = data.find(b"\n", start)
            end = len(data) if end < 0 else end
            label, _, name = data[start:end].partition(b": ")
            if label == b"Package" and start not in seen and name.decode("ascii", "replace") in names:
                seen.add(start)
                last = data.find(b"\n\n", end)
                yield name.decode("ascii", "replace"), data[start : len(data) if last < 0 else last]
            at = data.find(needle, max(end, at + 1))


def read_list(data: bytes) -> bytes:
    """The text of a list, packed or plain.

    Raises:
        ValueError: it is damaged or too large.
    """
    return unpack(data) if data.startswith(_PACKED) else data


def _offers(
    machine: Machine, lists: list[str], installed: dict[str, DriverPackage]
) -> Reading[tuple[OfferedUpgrade, ...]]:
    best: dict[str, str] = {}
    unread: list[str] = []
    left_bytes = _ALL_LIMIT_BYTES
    for number, name in enumerate(lists):
        text = (
            _text(machine, name, min(left_bytes, _LIST_LIMIT_BYTES))
            if number < _LIST_LIMIT
            else "too many lists"
        )
        if isinstance(text, str):
            unread.append(text)
            continue
        left_bytes = max(left_bytes - len(text), 0)
        for package, version in parse_offers(text, frozenset(installed)).items():
            if package not in best or DebianVersion(best[package]) < DebianVersion(version):
                best[package] = version
    found = tuple(
        OfferedUpgrade(name, installed[name].version, version, installed[name].is_held)
        for name, version in sorted(best.items())
        if DebianVersion(installed[name].version) < DebianVersion(version)
    )
    if unread and not found:
        others = ", the others offer nothing newer" if len(unread) < len(lists) else ""
        why = f"{len(unread)} of {len(lists)} lists could not be read ({unread[0]}){others}"
        return Unreadable(APT_LISTS, why)
    return Known(found, f"{APT_LISTS}, {len(lists) - len(unread)} of {len(lists)} lists")


def _text(machine: Machine, name: str, limit_bytes: int) -> bytes | str:
    """The plain bytes of a list, or why there are none."""
    if not _READABLE.fullmatch(name):
        return f"packed as {name.rpartition('.')[2]}, which Python cannot unpack"
    reading = machine.read(f"{APT_LISTS}/{name}", limit_bytes=limit_bytes)
    if not isinstance(reading, Known):
        return reading.why if isinstance(reading, Unreadable) else "it is gone"
    try:
        return read_list(reading.value)
    except ValueError as problem:
        return str(problem)
