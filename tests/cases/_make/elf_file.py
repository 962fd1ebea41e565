"""Writes the smallest ELF-64 library that a loader could read: what it needs, and where to look for it."""

from __future__ import annotations

import struct


def elf_file(needed: tuple[str, ...], run_path: str = "$ORIGIN") -> bytes:
    """One PT_LOAD over the whole file (a label: not executable), one PT_DYNAMIC, a string table."""
    names = b"\x00"
    places = []
    for text in (*needed, run_path):
        places.append(len(names))
        names += text.encode() + b"\x00"
    dynamic_at = 64 + 56 * 2
    entries = [(1, place) for place in places[:-1]] + [(29, places[-1])]
    strings_at = dynamic_at + 16 * (len(entries) + 2)
    entries += [(5, 0x1000 + strings_at), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    size = strings_at + len(names)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0x1000, 0x1000, size, size, 0x1000)
    table = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, 0x1000 + dynamic_at, 0, len(dynamic), len(dynamic), 8)
    return header + load + table + dynamic + names
