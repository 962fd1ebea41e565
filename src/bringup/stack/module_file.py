"""Reading a kernel module file (.ko, .ko.xz, .ko.zst, .ko.gz): what its .modinfo section says.

A bounded parser of our own, so that a mounted disk can be read where `modinfo` cannot run. ELF layout: ELF-64
object file format and the kernel's `include/linux/moduleparam.h` (`key=value` strings, NUL between them).
"""

from __future__ import annotations

import struct
from typing import Final

from bringup.records import dataclass
from bringup.stack.version import DriverVersion, find_driver_version

UNPACKED_LIMIT_BYTES: Final = 64 * 1024**2
"""A module that unpacks to more than this is not read."""

_MODINFO_LIMIT_BYTES: Final = 1024**2
_SECTION_LIMIT: Final = 0xFF00
_SIGNATURE_MARK: Final = b"~Module signature appended~\n"
_OPEN_LICENCES: Final = ("Dual MIT/GPL", "MIT", "GPL")


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """What a module file says of itself.

    Attributes:
        version: its driver version; `None` where it names none.
        licence: `Dual MIT/GPL` for NVIDIA's open flavour, `NVIDIA` for the proprietary one.
        kernel_release: the kernel that it was built for (first word of vermagic).
        is_signed: whether a signature is appended.
    """

    version: DriverVersion | None
    licence: str
    kernel_release: str
    is_signed: bool

    @property
    def is_open(self) -> bool:
        """Whether this is NVIDIA's open flavour (asked of nvidia.ko or nvidia-modeset.ko)."""
        return self.licence in _OPEN_LICENCES


def parse_module(data: bytes) -> ModuleInfo:
    """Read a module file, packed or not.

    Raises:
        ValueError: it is no module, is damaged, or unpacks beyond the limit.
    """
    plain = unpack(data)
    values = parse_modinfo(find_modinfo(plain))
    return ModuleInfo(
        version=find_driver_version(values.get("version", "")),
        licence=values.get("license", ""),
        kernel_release=values.get("vermagic", "").split(" ", 1)[0],
        is_signed=has_signature(plain),
    )


def has_signature(plain: bytes) -> bool:
    """Whether a signature is appended to an unpacked module."""
    return plain.endswith(_SIGNATURE_MARK)


def pack_module(values: dict[str, str], *, is_signed: bool) -> bytes:
    """A label of a module: an ELF-64 object with nothing but a .modinfo section of these values."""
    info = b"".join(f"{key}={value}".encode() + b"\0" for key, value in values.items())
    names = b"\0.modinfo\0.shstrtab\0"
    table_at = 64 + len(info) + len(names)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table_at, 0, 64, 0, 0, 64, 3, 2)
    sections = bytes(64)
    for name_at, kind, offset, size in (
        (1, 1, 64, len(info)),
        (10, 3, 64 + len(info), len(names)),
    ):
        sections += struct.pack("<IIQQQQIIQQ", name_at, kind, 0, 0, offset, size, 0, 0, 1, 0)
    return header + info + names + sections + (_SIGNATURE_MARK if is_signed else b"")


def unpack(data: bytes) -> bytes:
    """The plain bytes of a module file, told by its first bytes; at most 64 MiB.

    Raises:
        ValueError: damaged, too large, or packed in a way that this Python cannot read.
    """
    if data.startswith(b"\x7fELF"):
        return data
    if data.startswith(b"\xfd7zXZ\x00"):
        return _unpack_xz(data)
    if data.startswith(b"\x1f\x8b"):
        return _unpack_gzip(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return _unpack_zstd(data)
    raise ValueError("neither ELF nor xz, zstd, gzip")


def find_modinfo(data: bytes) -> bytes:
    """The .modinfo section of an ELF-64 object.

    Raises:
        ValueError: not such an object, or a table points outside the file.
    """
    if len(data) < 64 or data[:4] != b"\x7fELF" or data[4] != 2:
        raise ValueError("not an ELF-64 file")
    order = "<" if data[5] == 1 else ">"
    table, entry_size, count, names_index = _section_table(data, order)
    if entry_size < 64 or not 0 < count <= _SECTION_LIMIT or names_index >= count:
        raise ValueError("section table out of bounds")
    names = _section(data, table + names_index * entry_size, order)
    for index in range(count):
        at = table + index * entry_size
        (name_at,) = struct.unpack_from(f"{order}I", _slice(data, at, 4))
        if names[name_at : name_at + 9] == b".modinfo\x00":
            section = _section(data, at, order)
            if len(section) > _MODINFO_LIMIT_BYTES:
                raise ValueError(".modinfo is larger than 1 MiB")
            return section
    raise ValueError("no .modinfo section")


def parse_modinfo(section: bytes) -> dict[str, str]:
    """First value of each key.

    Raw bytes, NUL between them: `version=570.169`, `license=Dual MIT/GPL`, `vermagic=6.8.0-60 SMP`.
    """
    values: dict[str, str] = {}
    for item in section.split(b"\x00"):
        key, mark, value = item.decode("utf-8", "replace").partition("=")
        if mark:
            values.setdefault(key, value)
    return values


def _section_table(data: bytes, order: str) -> tuple[int, int, int, int]:
    (table,) = struct.unpack_from(f"{order}Q", data, 0x28)
    entry_size, count, names_index = struct.unpack_from(f"{order}HHH", data, 0x3A)
    return table, entry_size, count, names_index


def _section(data: bytes, at: int, order: str) -> bytes:
    offset, size = struct.unpack_from(f"{order}QQ", _slice(data, at, 64), 24)
    return _slice(data, offset, size)


def _slice(data: bytes, start: int, length: int) -> bytes:
    if start < 0 or length < 0 or start + length > len(data):
        raise ValueError(f"table points outside the file (offset {start}, {length} bytes)")
    return data[start : start + length]


def _unpack_xz(data: bytes) -> bytes:
    import lzma

    reader = lzma.LZMADecompressor(memlimit=256 * 1024**2)
    try:
        plain = reader.decompress(data, max_length=UNPACKED_LIMIT_BYTES)
    except lzma.LZMAError as problem:
        raise ValueError(f"damaged xz: {problem}") from problem
    return _whole(plain, is_whole=reader.eof)


def _unpack_gzip(data: bytes) -> bytes:
    import zlib

    reader = zlib.decompressobj(31)
    try:
        plain = reader.decompress(data, UNPACKED_LIMIT_BYTES)
    except zlib.error as problem:
        raise ValueError(f"damaged gzip: {problem}") from problem
    return _whole(plain, is_whole=reader.eof)


def _unpack_zstd(data: bytes) -> bytes:
    try:
        import zstandard
    except ImportError as problem:
        raise ValueError("packed with zstd, and no zstd reader is installed here") from problem
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=128 * 1024**2).stream_reader(data)
        plain = reader.read(UNPACKED_LIMIT_BYTES + 1)
    except zstandard.ZstdError as problem:
        raise ValueError(f"damaged zstd: {problem}") from problem
    return _whole(plain, is_whole=len(plain) <= UNPACKED_LIMIT_BYTES)


def _whole(plain: bytes, *, is_whole: bool) -> bytes:
    if not is_whole:
        raise ValueError("cut short, or larger than 64 MiB unpacked")
    return plain
