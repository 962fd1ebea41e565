"""Reading a program or library (ELF-64): which libraries it needs and where it looks for them.

A bounded parser of our own: nothing is run, and a mounted disk can be read too. Layout: ELF-64 object file
format, dynamic section (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html).
"""

from __future__ import annotations

import struct
from typing import Final

from bringup.records import dataclass

_DYNAMIC: Final = 2
_LOAD: Final = 1
_NEEDED, _STRING_TABLE, _RPATH, _RUNPATH = 1, 5, 15, 29
_ENTRY_LIMIT: Final = 4096
_NAME_LIMIT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class DynamicInfo:
    """What the loader is told: needed libraries, and folders to look in ($ORIGIN is the file's own)."""

    needed: tuple[str, ...]
    search_folders: tuple[str, ...]


def parse_dynamic(data: bytes) -> DynamicInfo:
    """The needed libraries of a program or library; none for a static one.

    Raises:
        ValueError: not ELF-64, or a table points outside the file.
    """
    if len(data) < 64 or data[:4] != b"\x7fELF" or data[4] != 2:
        raise ValueError("not an ELF-64 file")
    order = "<" if data[5] == 1 else ">"
    segments = _segments(data, order)
    dynamic = next((segment for segment in segments if segment[0] == _DYNAMIC), None)
    if dynamic is None:
        return DynamicInfo((), ())
    entries = _entries(_slice(data, dynamic[1], dynamic[3]), order)
    table = next((value for tag, value in entries if tag == _STRING_TABLE), None)
    if table is None:
        raise ValueError("dynamic section without a string table")
    strings_at = _file_offset(segments, table)
    names = [_name(data, strings_at + value) for tag, value in entries if tag == _NEEDED]
    folders = [_name(data, strings_at + value) for tag, value in entries if tag in (_RPATH, _RUNPATH)]
    return DynamicInfo(tuple(names), tuple(part for text in folders for part in text.split(":") if part))


def _segments(data: bytes, order: str) -> list[tuple[int, int, int, int]]:
    """Type, offset in the file, address and size in the file of each segment."""
    (table,) = struct.unpack_from(f"{order}Q", data, 0x20)
    entry_size, count = struct.unpack_from(f"{order}HH", data, 0x36)
    if entry_size < 56 or count > _ENTRY_LIMIT:
        raise ValueError("program header table out of bounds")
    result = []
    for index in range(count):
        raw = _slice(data, table + index * entry_size, 56)
        kind, _, offset, address, _, size = struct.unpack_from(f"{order}IIQQQQ", raw)
        result.append((kind, offset, address, size))
    return result


def _entries(section: bytes, order: str) -> list[tuple[int, int]]:
    entries = []
    for at in range(0, min(len(section), _ENTRY_LIMIT * 16) - 15, 16):
        tag, value = struct.unpack_from(f"{order}qQ", section, at)
        if tag == 0:
            break
        entries.append((tag, value))
    return entries


def _file_offset(segments: list[tuple[int, int, int, int]], address: int) -> int:
    for kind, offset, start, size in segments:
        if kind == _LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError("string table outside all segments")


def _name(data: bytes, start: int) -> str:
    if not 0 <= start < len(data):
        raise ValueError("name outside the file")
    end = data.find(b"\x00", start, start + _NAME_LIMIT_BYTES)
    if end < 0:
        raise ValueError("name without an end")
    return data[start:end].decode("utf-8", "replace")


def _slice(data: bytes, start: int, length: int) -> bytes:
    if start < 0 or length < 0 or start + length > len(data):
        raise ValueError(f"table points outside the file (offset {start}, {length} bytes)")
    return data[start : start + length]
