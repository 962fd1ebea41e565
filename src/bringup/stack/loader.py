"""Which file the dynamic loader takes for a library's name: its cache, its folders, LD_LIBRARY_PATH.

The order is that of ld.so(8): LD_LIBRARY_PATH, then /etc/ld.so.cache, then the standard folders. A program's
own run path comes before all of it and is not known here.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass

STANDARD_FOLDERS: Final = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
)
"""Where the loader looks without being told; on a given system one or two of them."""

_CACHE: Final = "/etc/ld.so.cache"
_MAGIC: Final = b"glibc-ld.so.cache1.1"
_OLD_MAGIC: Final = b"ld.so-1.7.0"
_HEADER_BYTES: Final = 48
_ENTRY: Final = struct.Struct("<iIIIQ")
_ENTRY_LIMIT: Final = 100_000
_NAME_LIMIT_BYTES: Final = 4096
_SIXTY_FOUR_BITS: Final = frozenset({0x0303, 0x0A03})
"""Flags of the cache's entries for x86-64 and AArch64 (glibc, sysdeps/generic/ldconfig.h)."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One line of the loader's cache: a library's name and the file that it stands for."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Loader:
    """What decides which file a library's name leads to.

    Attributes:
        variable_folders: of LD_LIBRARY_PATH, in order; empty where it is not set.
        cache: 64-bit entries in the cache's order; absent where there is no cache.
        configured_folders: of /etc/ld.so.conf and what it includes, in order.
    """

    variable_folders: tuple[str, ...] = ()
    cache: Reading[tuple[CacheEntry, ...]] = NOT_LOOKED
    configured_folders: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """Every folder in which it would find a library, first one first."""
        cached = self.cache.value if isinstance(self.cache, Known) else ()
        of_cache = tuple(entry.path.rpartition("/")[0] for entry in cached)
        return tuple(
            dict.fromkeys(
                (*self.variable_folders, *of_cache, *self.configured_folders, *STANDARD_FOLDERS),
            )
        )


def probe_loader(machine: Machine) -> Loader:
    """Read the variable, the cache and the configuration."""
    variable = machine.environment("LD_LIBRARY_PATH")
    folders = variable.value.split(":") if isinstance(variable, Known) else []
    return Loader(
        variable_folders=tuple(folder.rstrip("/") for folder in folders if folder.startswith("/")),
        cache=convert(machine.read(_CACHE), parse_cache),
        configured_folders=_probe_configuration(machine),
    )


def find_library(machine: Machine, loader: Loader, name: str) -> Reading[str]:
    """The path that the loader takes for `libcuda.so.1`; absent where it finds none.

    Of a path in the cache only its presence is asked: the loader goes on where the file is gone.
    """
    problem: Unreadable | None = None
    cached = loader.cache.value if isinstance(loader.cache, Known) else ()
    candidates = (
        *(f"{folder}/{name}" for folder in loader.variable_folders),
        *(entry.path for entry in cached if entry.name == name),
        *(f"{folder}/{name}" for folder in (*_uncached(loader), *_standard_folders(machine))),
    )
    for path in dict.fromkeys(candidates):
        found = machine.stat(path)
        if isinstance(found, Known):
            return Known(path, path)
        if isinstance(found, Unreadable):
            problem = found
    return problem or Absent(name)


def parse_cache(data: bytes) -> tuple[CacheEntry, ...]:
    """The 64-bit entries of ld.so.cache in the format of glibc 2.2 and newer.

    Raw: `glibc-ld.so.cache1.1`, counts, then per entry flags, name and path as offsets of strings.

    Raises:
        ValueError: another format, or a table points outside the file.
    """
    start = data.find(_MAGIC, 0, len(data)) if data.startswith(_OLD_MAGIC) else 0
    if start < 0 or data[start : start + len(_MAGIC)] != _MAGIC or len(data) < start + _HEADER_BYTES:
        raise ValueError("not a cache of the loader")
    (count,) = struct.unpack_from("<I", data, start + len(_MAGIC))
    if count > _ENTRY_LIMIT or start + _HEADER_BYTES + count * _ENTRY.size > len(data):
        raise ValueError(f"{count} entries do not fit into {len(data)} bytes")
    entries = []
    for index in range(count):
        flags, name, path, _, _ = _ENTRY.unpack_from(data, start + _HEADER_BYTES + index * _ENTRY.size)
        if flags in _SIXTY_FOUR_BITS:
            entries.append(CacheEntry(_string(data, start + name), _string(data, start + path)))
    return tuple(entries)


def pack_cache(entries: tuple[CacheEntry, ...]) -> bytes:
    """A cache in the format that `parse_cache` reads, with these entries only."""
    strings = b""
    rows = b""
    strings_at = _HEADER_BYTES + len(entries) * _ENTRY.size
    for entry in entries:
        name_at = strings_at + len(strings)
        strings += entry.name.encode("utf-8", "replace") + b"\0"
        path_at = strings_at + len(strings)
        strings += entry.path.encode("utf-8", "replace") + b"\0"
        rows += _ENTRY.pack(0x0303, name_at, path_at, 0, 0)
    head = _MAGIC + struct.pack("<II", len(entries), len(strings))
    return head.ljust(_HEADER_BYTES, b"\0") + rows + strings


def parse_configuration(text: str) -> tuple[str, ...]:
    """Lines of ld.so.conf without comments: folders, and `include /etc/ld.so.conf.d/*.conf`."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def _standard_folders(machine: Machine) -> tuple[str, ...]:
    """Those that are there: a system has one or two of them."""
    return tuple(folder for folder in STANDARD_FOLDERS if not isinstance(machine.stat(folder), Absent))


def _uncached(loader: Loader) -> tuple[str, ...]:
    """Configured folders count only where no cache was made of them."""
    return () if isinstance(loader.cache, Known) else loader.configured_folders


def _probe_configuration(machine: Machine) -> tuple[str, ...]:
    main = machine.read_text("/etc/ld.so.conf")
    lines = parse_configuration(main.value) if isinstance(main, Known) else ()
    folders: list[str] = []
    for line in lines:
        if re.match(r"include\s+/etc/ld\.so\.conf\.d/", line):
            folders += _included(machine)
        elif line.startswith("/"):
            folders.append(line.rstrip("/"))
    return tuple(dict.fromkeys(folders))


def _included(machine: Machine) -> list[str]:
    names = machine.list_folder("/etc/ld.so.conf.d")
    folders: list[str] = []
    for name in names.value[:200] if isinstance(names, Known) else ():
        if name.endswith(".conf"):
            text = machine.read_text(f"/etc/ld.so.conf.d/{name}", limit_bytes=65536)
            lines = parse_configuration(text.value) if isinstance(text, Known) else ()
            folders += [line.rstrip("/") for line in lines if line.startswith("/")]
    return folders


def _string(data: bytes, start: int) -> str:
    end = data.find(b"\x00", start, start + _NAME_LIMIT_BYTES)
    if not 0 <= start < len(data) or end < 0:
        raise ValueError("name outside the file")
    return data[start:end].decode("utf-8", "replace")
