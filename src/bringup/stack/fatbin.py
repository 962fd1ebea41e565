"""For which cards a CUDA library was compiled, from the headers of the fat binaries in it.

A fat binary is a header (magic 0xBA55ED50, version, length of the header, length of what follows) and
entries, each a header (kind, version, its own length, length of the code, architecture, flags) before code
that may be compressed; the headers never are. Seen in what nvcc 13.0 writes, plain and compressed.
"""

from __future__ import annotations

import struct
from typing import Final

_MAGIC: Final = b"\x50\xed\x55\xba"
_CONTAINER: Final = struct.Struct("<4sHHQ")
_ENTRY: Final = struct.Struct("<HHIQ")
_PTX, _CUBIN = 1, 2
_SMALLEST_HEADER, _LARGEST_HEADER = 48, 4096
_KNOWN_ARCHITECTURES: Final = range(10, 400)
_SUFFIXES: Final = ((0x100000, "a"), (0x200000, "f"))
_ENTRY_LIMIT: Final = 1_000_000

Code = tuple[int, str]
"""An entry: its kind and its architecture as CMake writes it (`86`, `90a`)."""


def parse_architectures(data: bytes) -> str:
    """The architectures in a library as CMake's list: `86` is both, `-real` machine code, `-virtual` PTX.

    All fat binaries count together: a library that has code of others linked into it tells of theirs, too.

    Raises:
        ValueError: there is no fat binary in it, or one that is not of the form that is known.
    """
    found = find_code(data)
    if not found:
        raise ValueError("no fat binary in it")
    parts = []
    for name in sorted({name for _, name in found}, key=lambda one: (int(one.rstrip("af")), one)):
        is_real, is_virtual = (_CUBIN, name) in found, (_PTX, name) in found
        parts.append(name if is_real and is_virtual else f"{name}-{'real' if is_real else 'virtual'}")
    return ";".join(parts)


def find_code(data: bytes) -> frozenset[Code]:
    """The entries of all fat binaries in some bytes.

    Raises:
        ValueError: one of them is not of the form that is known.
    """
    found: set[Code] = set()
    at = data.find(_MAGIC)
    n_entries = 0
    while at >= 0:
        end = _end(data, at)
        place = at + _CONTAINER.size
        while place < end:
            code, place = _entry(data, place, end)
            found.add(code)
            n_entries += 1
        if n_entries > _ENTRY_LIMIT:
            raise ValueError("more fat binaries than can be")
        at = data.find(_MAGIC, end)
    return frozenset(found)


def pack_code(found: frozenset[Code]) -> bytes:
    """One fat binary of these entries without any code: a label that is read as the library is."""
    entries = b""
    for kind, name in sorted(found):
        flags = next((bit for bit, suffix in _SUFFIXES if name.endswith(suffix)), 0)
        entries += _ENTRY.pack(kind, 0x101, 64, 0) + bytes(12)
        entries += struct.pack("<I8xQ16x", int(name.rstrip("af")), flags)
    return _CONTAINER.pack(_MAGIC, 1, _CONTAINER.size, len(entries)) + entries if entries else b""


def _end(data: bytes, at: int) -> int:
    if at + _CONTAINER.size > len(data):
        raise ValueError("a fat binary is cut short")
    _, version, header, size = _CONTAINER.unpack_from(data, at)
    end = at + header + size
    if version != 1 or header != _CONTAINER.size or end > len(data):
        raise ValueError("a fat binary of another form")
    return int(end)


def _entry(data: bytes, place: int, end: int) -> tuple[Code, int]:
    """An entry, and where the next one begins."""
    if place + _SMALLEST_HEADER > end:
        raise ValueError("an entry of a fat binary is cut short")
    kind, _, header, size = _ENTRY.unpack_from(data, place)
    (architecture,) = struct.unpack_from("<I", data, place + 28)
    (flags,) = struct.unpack_from("<Q", data, place + 40)
    following = place + header + size
    is_known = kind in (_PTX, _CUBIN) and architecture in _KNOWN_ARCHITECTURES
    if not is_known or not _SMALLEST_HEADER <= header <= _LARGEST_HEADER or following > end:
        raise ValueError("an entry of a fat binary is of another form")
    suffix = next((suffix for bit, suffix in _SUFFIXES if flags & bit), "")
    return (kind, f"{architecture}{suffix}"), following
