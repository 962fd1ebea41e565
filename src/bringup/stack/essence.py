"""What a snapshot keeps of a file that is no text, or far more text than a diagnosis reads.

A program, a library or a kernel module becomes a label: a small file that our own readers read as they read
the whole one, and that runs nowhere. A packed log is unpacked, redacted and packed again. Package lists and
logs keep the packages that are judged, the list of PCI names the devices that are there, and of the programs
that run only an engine keeps its arguments.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import Final

from bringup.patterns import regex
from bringup.stack.elf import parse_dynamic
from bringup.stack.engines import read_command
from bringup.stack.essence_lines import keep_lines
from bringup.stack.fatbin import find_code, pack_code
from bringup.stack.loader import CacheEntry, pack_cache, parse_cache
from bringup.stack.module_file import UNPACKED_LIMIT_BYTES, find_modinfo, has_signature, pack_module, unpack
from bringup.stack.pending_upgrades import APT_LISTS, read_list
from bringup.stack.userspace_packages import is_driver_package

Redact = Callable[[str], str]

_MODULE: Final = regex(r"\.ko(?:\.(?:xz|zst|gz))?")
_PACKED: Final = (b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
_LIBC_SENTENCE: Final = regex(rb"GNU C Library [^\0\n]{1,160}")
_CACHED: Final = regex(r"lib(?:cuda|nvidia|nvcuvid|cublas|llama|ggml|mtmd|nccl|vulkan|OpenCL)")
_COMMAND_LINE: Final = regex(r"/proc/\d{1,10}/cmdline")
_PACKAGE_LOGS: Final = (
    "/var/log/apt/",
    "/var/log/dpkg.log",
    "/var/log/dnf.rpm.log",
    "/var/log/pacman.log",
    "/var/log/zypp/",
)
_PACKAGE_LINES: Final = ("Package:", "Status:", "Version:", "Architecture:")
_CHANGED: Final = regex(rb"nvidia|cuda|linux|kernel|dkms", re.IGNORECASE)
_MODINFO_KEYS: Final = ("version", "license", "vermagic")


def essence_of(path: str, data: bytes, redact: Redact, *, devices: frozenset[str]) -> bytes | None:
    """The bytes that a snapshot keeps; `None` where nothing of them may leave.

    Args:
        path: where they were read.
        data: as read.
        redact: takes out what names a person, a machine or a secret.
        devices: PCI vendor and device ids of this machine, four hexadecimal digits each.
    """
    try:
        if path.startswith(f"{APT_LISTS}/"):
            return _driver_packages(read_list(data))
        if data.startswith(b"\x7fELF") or data.startswith(_PACKED):
            return _packed_or_program(path, data, redact)
        if data.startswith((b"ld.so-1.7.0", b"glibc-ld.so.cache")):
            return _cache(data, redact)
    except (ValueError, zlib.error, struct.error):
        return None
    if path == "/var/lib/dpkg/status":
        return _driver_packages(data)
    if path.endswith("/pci.ids"):
        return _known_devices(data, devices)
    if _COMMAND_LINE.fullmatch(path):
        return _engine_command(data)
    return keep_lines(path, _relevant_changes(path, data))


def label_of_program(
    needed: tuple[str, ...], search_folders: tuple[str, ...], sentence: bytes = b""
) -> bytes:
    """An ELF-64 file with these needed libraries and this run path, and no code: not executable.

    One PT_LOAD over the whole file, one PT_DYNAMIC, a string table, and behind them a sentence.
    """
    names = b"\0"
    places = []
    for text in (*needed, ":".join(search_folders)):
        places.append(len(names))
        names += text.encode() + b"\0"
    dynamic_at = 64 + 2 * 56
    entries = [(1, place) for place in places[:-1]] + [(29, places[-1])]
    strings_at = dynamic_at + 16 * (len(entries) + 2)
    entries += [(5, strings_at), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    size = strings_at + len(names)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 0x1000)
    table = struct.pack("<IIQQQQQQ", 2, 4, dynamic_at, dynamic_at, 0, len(dynamic), len(dynamic), 8)
    return header + load + table + dynamic + names + sentence


def _packed_or_program(path: str, data: bytes, redact: Redact) -> bytes:
    if _MODULE.search(path) is not None:
        plain = unpack(data)
        keys = {
            key: value
            for item in find_modinfo(plain).split(b"\0")
            for key, mark, value in (item.decode("utf-8", "replace").partition("="),)
            if mark and key in _MODINFO_KEYS
        }
        return pack_module(keys, is_signed=has_signature(plain))
    if data.startswith(b"\x1f\x8b"):
        text = _relevant_changes(path, zlib.decompressobj(31).decompress(data, UNPACKED_LIMIT_BYTES))
        kept = redact(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        return packer.compress(kept) + packer.flush()
    info = parse_dynamic(data)
    sentence = _LIBC_SENTENCE.search(data) if "/libc.so" in path else None
    tail = sentence.group() if sentence else b""
    if "/libggml-cuda." in path:
        tail = pack_code(find_code(data))
    return label_of_program(tuple(map(redact, info.needed)), tuple(map(redact, info.search_folders)), tail)


def _cache(data: bytes, redact: Redact) -> bytes:
    """The loader's cache: what is judged, and one entry of each folder."""
    kept: list[CacheEntry] = []
    folders: set[str] = set()
    for entry in parse_cache(data):
        folder = entry.path.rpartition("/")[0]
        if _CACHED.match(entry.name) or folder not in folders:
            folders.add(folder)
            kept.append(CacheEntry(redact(entry.name), redact(entry.path)))
    return pack_cache(tuple(kept))


def _driver_packages(data: bytes) -> bytes:
    """The driver's packages in dpkg's status or a list of apt; of each the lines that are read."""
    kept = []
    for paragraph in data.decode("utf-8", "replace").split("\n\n"):
        name = re.match(r"\n*Package: (\S{2,100})\n", paragraph)
        if name is not None and is_driver_package(name[1]):
            lines = (line for line in paragraph.split("\n"))
            kept.append("\n".join(line for line in lines if line.startswith(_PACKAGE_LINES)))
    return ("\n\n".join(kept) + "\n").encode()


def _engine_command(data: bytes) -> bytes:
    """The arguments of an engine; those of any other program are nobody's business, and it stays nameless."""
    words = tuple(data.decode("utf-8", "replace").rstrip("\0").split("\0"))
    return data if read_command(words) else b""


def _relevant_changes(path: str, data: bytes) -> bytes:
    """Of a package log the records of drivers and kernels; any other text as it is."""
    if not path.startswith(_PACKAGE_LOGS):
        return data
    mark = b"\n\n" if "/apt/" in path else b"\n"
    return mark.join(part for part in data.split(mark) if _CHANGED.search(part)) + b"\n"


def _known_devices(data: bytes, devices: frozenset[str]) -> bytes:
    """The names of this machine's vendors and devices."""
    kept = ["# cut by bringup snapshot"]
    is_ours = False
    for line in data.decode("utf-8", "replace").split("\n"):
        if re.match(r"[0-9a-f]{4}  ", line):
            is_ours = line[:4] in devices
            kept += [line] if is_ours else []
        elif is_ours and re.match(r"\t[0-9a-f]{4}  ", line) and line[1:5] in devices:
            kept.append(line)
    return ("\n".join(kept) + "\n").encode()
