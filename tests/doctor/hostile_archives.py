"""Sixty snapshots that nobody honest made: each a name, the bytes, and what the refusal has to name."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import zstandard

from bringup.machine.archive import _header

FOLDER = "bringup-snapshot/"
LOOKS: dict[str, Any] = {
    "schema": 1, "read": {}, "list": {}, "stat": {}, "environment": {}, "disk_space": {}, "clock": None,
}  # fmt: skip
ANY = ""


def member(
    name: str, data: bytes, *, kind: bytes = b"0", size: bytes | None = None, link: bytes = b""
) -> bytes:
    """One tar member, its header with a right checksum whatever it claims."""
    raw = bytearray(_header("x", len(data)))
    raw[0:100] = name.encode("utf-8", "surrogateescape")[:100].ljust(100, b"\0")
    raw[156:157] = kind
    raw[157:257] = link.ljust(100, b"\0")
    if size is not None:
        raw[124:136] = size.ljust(12, b"\0")
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw) + data + bytes(-len(data) % 512)


def tar(*members: bytes, end: bool = True) -> bytes:
    return b"".join(members) + (bytes(1024) if end else b"")


def looks(**parts: Any) -> bytes:
    return member(FOLDER + "looks.json", json.dumps(LOOKS | parts).encode())


def table(data: bytes, name: str = "looks.json") -> bytes:
    return tar(member(FOLDER + name, data), *(() if name == "looks.json" else (looks(),)))


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(data)


def gz(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def _bombs() -> Iterator[tuple[str, bytes, str]]:
    zeros = bytes(64 * 1024**2)
    yield "20 GiB of zeros in zstd", zst(zeros) * 320, "unpacks to more than"
    yield "20 GiB of zeros in gzip", gz(zeros) * 320, "unpacks to more than"
    yield "a good tar, then a bomb", zst(tar(looks())) + zst(zeros) * 8, "unpacks to more than"
    yield (
        "zstd with a window of 2 GiB",
        b"\x28\xb5\x2f\xfd\x00" + bytes((21 << 3,)) + b"\x01\x00\x00",
        "unpacked",
    )
    yield "zstd cut short", zst(tar(looks()) + os.urandom(9000))[:-4000], ANY
    yield "zstd with a flipped bit", _flipped(zst(tar(looks()) * 40)), ANY
    yield "gzip cut short", gz(tar(looks()) + os.urandom(9000))[:-4000], "cut short"
    yield "gzip with a flipped bit", _flipped(gz(tar(looks()) * 40)), ANY
    yield "gzip in zstd", zst(gz(tar(looks()) + os.urandom(2000))), "no tar file"
    yield "larger than any snapshot", os.urandom(1024**2) * 33, "larger than"
    yield (
        "a plain tar of 40 MiB",
        tar(looks(), member(FOLDER + "root/a", bytes(31 * 1024**2)), end=False) + bytes(1024**2),
        ANY,
    )


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes((data[middle] ^ 0x10,)) + data[middle + 1 :]


def _headers() -> Iterator[tuple[str, bytes, str]]:
    for kind, words in (
        *((b"1", "hard link"), (b"2", "symbolic link"), (b"3", "character device"), (b"4", "block device")),
        *((b"6", "pipe"), (b"7", "contiguous file"), (b"S", "sparse file"), (b"L", "GNU long name")),
        *((b"K", "GNU long link"), (b"x", "extended header"), (b"g", "global header"), (b"V", "label")),
    ):
        body = b"30 size=99999999999999999999\n" if kind in b"xg" else b""
        bad = member(FOLDER + "root/etc/passwd", body, kind=kind, link=b"/etc/passwd")
        yield f"a {words}", zst(tar(looks(), bad)), "no regular file"
    for size, words in (
        (b"-0000000001", "a negative size"),
        (b"\xff" * 12, "a negative size in base 256"),
        (b"\x80" + b"\xff" * 11, "a size of 2^88"),
        (b"77777777777", "a size of 8 GiB"),
        (b"0x10", "a size that is no number"),
        (b"00000100000", "a size beyond the end"),
    ):
        yield words, zst(tar(member(FOLDER + "root/a", b"", size=size), looks())), ANY
    yield (
        "100,000 members",
        zst(tar(*(member(f"{FOLDER}root/{n}", b"") for n in range(100_000)))[: 32 * 1024**2]),
        "20,000",
    )
    yield (
        "one name twice",
        zst(tar(looks(), member(FOLDER + "root/a", b"1"), member(FOLDER + "root/a", b"2"))),
        "twice",
    )
    yield "two tables of looks", zst(tar(looks(), looks())), "twice"
    for name in (
        *("bringup-snapshot/../../etc/passwd", "/etc/passwd", "../x", "bringup-snapshot/root/../../x"),
        *("bringup-snapshot/root//x", "bringup-snapshot/a\\b", "bringup-snapshot/a\nb", "other/looks.json"),
        *("bringup-snapshot/\x1b[2Jx", "bringup-snapshot/" + "é\udcff"),
    ):
        yield f"the name {name!r}", zst(tar(looks(), member(name, b"x"))), "leads out"
    wrong = bytearray(tar(looks()))
    wrong[150] ^= 1
    yield "a wrong checksum", zst(bytes(wrong)), "damaged"
    yield "no end mark", zst(tar(looks(), end=False)), "no end mark"
    yield "cut in a header", zst(tar(looks())[:700]), ANY
    yield "nothing", b"", ANY
    yield "random bytes", os.urandom(4096), ANY
    yield "a text", b"Failed to initialize NVML: Driver/library version mismatch\n" * 40, "no tar file"
    yield "an empty tar", zst(bytes(1024)), "no snapshot of bringup"


def _tables() -> Iterator[tuple[str, bytes, str]]:
    for data, words, named in (
        (b"{", "looks that are no JSON", "damaged"),
        (b"[" * 100_000, "100,000 open brackets", "damaged"),
        (b'{"a":' * 50_000, "50,000 open objects", "damaged"),
        (b"[" + b"{}," * 400_000 + b"{}]", "400,000 parts", "300,000 parts"),
        (b'"' + b"a" * (9 * 1024**2) + b'"', "a table of 9 MiB", "larger than"),
        (b'{"schema": 99}', "a schema of the future", "damaged"),
        (b"[]", "a list for looks", "damaged"),
        (b"null", "null for looks", "damaged"),
        (b'{"schema": 1, "read": [1, 2]}', "a list for a table", "damaged"),
        (json.dumps(LOOKS | {"clock": {"now_s": "1" * 6000}}).encode(), "a clock of 6,000 digits", ANY),
        (b'{"schema": 1, "x": ' + b"9" * 6000 + b"}", "a number of 6,000 digits", "damaged"),
        ("{}".encode("utf-16"), "UTF-16", "damaged"),
        (b"\xff\xfe\xfd", "no UTF-8", "damaged"),
    ):
        yield words, zst(table(data)), named
    yield "base64 that is none", zst(tar(looks(read={"/etc/os-release": {"base64": "%%%"}}))), "damaged"
    yield "an unknown kind", zst(tar(looks(stat={"/dev/nvidia0": {"kind": "portal"}}))), "damaged"
    yield "commands that are no list", zst(table(b'{"argv": 1}', "commands.json")), "damaged"
    yield (
        "an exit code of words",
        zst(table(b'[{"argv": ["a"], "exit_code": "x"}]', "commands.json")),
        "damaged",
    )
    yield "a floating disk", zst(tar(looks(disk_space={"/": {"total_bytes": 1e308, "free_bytes": -1}}))), ANY
    yield "a member of 31 MiB", zst(tar(looks(), member(FOLDER + "root/a", bytes(31 * 1024**2)))), ANY
    escape = (
        "\x1b[2J\x1b]52;c;AAAA\x07\x9b31m\u202eNVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus."
    )
    commands = [{"argv": ["dmesg", "--color=never"], "exit_code": 0, "stdout": escape, "stderr": escape}]
    yield "escapes in a kernel log", zst(table(json.dumps(commands).encode(), "commands.json")), ANY
    paths = {"/../../etc/passwd": {"in_root": True}, "relative": {"in_root": True}, "/\0": {"absent": True}}
    yield "paths that lead astray", zst(tar(looks(read=paths))), ANY
    yield (
        "a reason that drives the terminal",
        zst(tar(looks(list={"/sys/bus/pci/devices": {"unreadable": escape}}))),
        ANY,
    )
    huge = struct.pack("<I", 0xFFFFFFFF) * 64
    cache = b"glibc-ld.so.cache1.1" + huge
    yield (
        "a loader's cache of lies",
        zst(
            tar(
                looks(read={"/etc/ld.so.cache": {"in_root": True}}),
                member(FOLDER + "root/etc/ld.so.cache", cache),
            )
        ),
        ANY,
    )


def hostile_archives() -> Iterator[tuple[str, bytes, str]]:
    yield from _bombs()
    yield from _headers()
    yield from _tables()
