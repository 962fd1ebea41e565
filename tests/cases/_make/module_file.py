"""Writes tiny but real kernel module files: ELF-64 objects with a .modinfo section, plain or packed."""

from __future__ import annotations

import gzip
import lzma
import struct

SIGNATURE_MARK = b"~Module signature appended~\n"


def module_file(
    *, name: str, version: str, licence: str, kernel: str, is_signed: bool = False, order: str = "<"
) -> bytes:
    """An object file that `modinfo` reads as it reads a real module."""
    entries = (
        f"version={version}",
        f"license={licence}",
        f"name={name}",
        "depends=",
        f"vermagic={kernel} SMP preempt mod_unload modversions ",
    )
    modinfo = b"".join(entry.encode() + b"\x00" for entry in entries)
    names = b"\x00.modinfo\x00.shstrtab\x00"
    start = 64
    table = start + len(modinfo) + len(names)
    table += -table % 8
    header = struct.pack(
        f"{order}16sHHIQQQIHHHHHH",
        b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + b"\x00" * 9,
        1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2,
    )  # fmt: skip
    body = header + modinfo + names
    body += b"\x00" * (table - len(body))
    body += _section(order, 0, 0, 0, 0)
    body += _section(order, 1, 1, start, len(modinfo))
    body += _section(order, 10, 3, start + len(modinfo), len(names))
    return body + (SIGNATURE_MARK if is_signed else b"")


def packed(data: bytes, suffix: str) -> bytes:
    """The bytes of a .ko, .ko.gz, .ko.xz or .ko.zst."""
    if suffix.endswith(".xz"):
        return lzma.compress(data, check=lzma.CHECK_CRC32)
    if suffix.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    if suffix.endswith(".zst"):
        import zstandard

        return zstandard.ZstdCompressor().compress(data)
    return data


def _section(order: str, name: int, kind: int, offset: int, size: int) -> bytes:
    return struct.pack(f"{order}IIQQQQIIQQ", name, kind, 0, 0, offset, size, 0, 0, 1, 0)
