"""A recorded machine as one file: a tar of plain files, packed with zstd, read in memory and never extracted.

Only what `pack` writes is read: POSIX ustar headers, regular files, in one folder named `bringup-snapshot`.
Links, devices, extended headers, sparse files and names that leave the folder are refused, each cap is named
in the error, and no file is opened but the archive itself. Python's `tarfile` is not used: it reads formats
that nobody needs here, and its filters have let archives write outside.
"""

from __future__ import annotations

from typing import Final

from bringup.errors import Failure, FileTrouble
from bringup.machine import paths
from bringup.machine.recording import Recording, load_tables, stored_files
from bringup.machine.unpack import unpack

UNPACKED_LIMIT_BYTES: Final = 32 * 1024**2
"""Most that an archive may unpack to."""

PACKED_LIMIT_BYTES: Final = 32 * 1024**2
MEMBERS_LIMIT: Final = 20_000
PARTS_LIMIT: Final = 300_000
"""Most commas, brackets and braces in a table: what JSON can grow to in memory hangs on these."""

TABLE_LIMIT_BYTES: Final = 8 * 1024**2
_FOLDER: Final = "bringup-snapshot/"
_BLOCK: Final = 512
_TABLES: Final = ("looks.json", "commands.json")


def pack(recording: Recording) -> bytes:
    """The archive of a recording; the same recording gives the same bytes."""
    import zstandard

    tar = bytearray()
    for name, data in sorted(stored_files(recording, accept=_fits).items()):
        tar += _header(_FOLDER + name, len(data)) + data + bytes(-len(data) % _BLOCK)
    tar += bytes(2 * _BLOCK)
    return zstandard.ZstdCompressor(level=10, write_checksum=True).compress(bytes(tar))


def unpack_recording(data: bytes, *, name: str) -> Recording:
    """The recording in an archive (tar, tar.zst or tar.gz).

    Raises:
        Failure: not such an archive, damaged, beyond a cap (which is named), or made to lead astray.
    """
    if len(data) > PACKED_LIMIT_BYTES:
        raise _refused(name, f"larger than {PACKED_LIMIT_BYTES:,} bytes")
    members = read_members(unpack(data, limit_bytes=UNPACKED_LIMIT_BYTES, name=name), name=name)
    if "looks.json" not in members:
        raise _refused(name, "no snapshot of bringup (it has no looks.json)", reference="not-a-snapshot")
    for table in _TABLES:
        _check_table(name, table, members.get(table, memoryview(b"")))
    try:
        return load_tables(members, name=name)
    except FileTrouble as problem:
        raise Failure(problem.message, context=problem.context, reference="archive-damaged") from problem


def read_members(tar: bytes, *, name: str) -> dict[str, memoryview]:
    """Regular files of a tar by their name below the one folder; a name that stands twice is refused.

    Raises:
        Failure: anything else is in it, or it is cut short.
    """
    found: dict[str, memoryview] = {}
    view = memoryview(tar)
    at = 0
    while at + _BLOCK <= len(tar):
        header = tar[at : at + _BLOCK]
        if not header.strip(b"\0"):
            return found
        path, size_bytes, kind = _read_header(header, name)
        at += _BLOCK
        if at + size_bytes > len(tar):
            raise _refused(name, f"cut short, or {path[:80]!r} claims more bytes than there are")
        if kind in (b"0", b"\0"):
            inside = _inside(path, name)
            if inside in found:
                raise _refused(name, f"{path[:80]!r} stands in it twice")
            found[inside] = view[at : at + size_bytes]
        elif kind != b"5":
            raise _refused(name, f"{path[:80]!r} is no regular file (kind {kind!r})")
        if len(found) > MEMBERS_LIMIT:
            raise _refused(name, f"more than {MEMBERS_LIMIT:,} files")
        at += -(-size_bytes // _BLOCK) * _BLOCK
    raise _refused(name, "cut short, it has no end mark")


def _fits(name: str) -> bool:
    """Whether a name can stand in a ustar header."""
    return _split(_FOLDER + name) is not None


def _split(path: str) -> tuple[bytes, bytes] | None:
    """Prefix (at most 155 bytes) and name (at most 100), cut at a slash."""
    raw = path.encode("utf-8", "surrogateescape")
    if len(raw) <= 100:
        return b"", raw
    for at in range(min(len(raw) - 1, 155), 0, -1):
        if raw[at : at + 1] == b"/" and 0 < len(raw) - at - 1 <= 100:
            return raw[:at], raw[at + 1 :]
    return None


def _header(path: str, size_bytes: int) -> bytes:
    prefix, file = _split(path) or (b"", b"")
    fields = (
        *(file.ljust(100, b"\0"), b"0000600\0", b"0000000\0", b"0000000\0", b"%011o\0" % size_bytes),
        *(b"00000000000\0", b" " * 8, b"0", bytes(100), b"ustar\x0000", bytes(32), bytes(32)),
        *(b"0000000\0", b"0000000\0", prefix.ljust(155, b"\0"), bytes(12)),
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _read_header(header: bytes, name: str) -> tuple[str, int, bytes]:
    """Path, size and kind."""
    try:
        stated = int(header[148:156].strip(b" \0") or b"0", 8)
        size_bytes = int(header[124:136].strip(b" \0") or b"0", 8)
    except ValueError as problem:
        raise _refused(name, "no tar file, or damaged") from problem
    if stated != sum(header) - sum(header[148:156]) + 8 * 32 or header[257:262] != b"ustar":
        raise _refused(name, "no tar file, or damaged")
    if not 0 <= size_bytes <= UNPACKED_LIMIT_BYTES:
        raise _refused(name, f"a file of it claims {size_bytes:,} bytes, more than {UNPACKED_LIMIT_BYTES:,}")
    prefix = header[345:500].split(b"\0", 1)[0]
    path = header[:100].split(b"\0", 1)[0]
    whole = (prefix + b"/" + path if prefix else path).decode("utf-8", "surrogateescape")
    return whole, size_bytes, header[156:157]


def _inside(path: str, name: str) -> str:
    inside = path.removeprefix(_FOLDER)
    if inside == path or not paths.is_safe_relative(inside):
        raise _refused(name, f"the name {path[:80]!r} leads out of its folder")
    return inside


def _check_table(name: str, table: str, data: memoryview) -> None:
    if len(data) > TABLE_LIMIT_BYTES:
        raise _refused(name, f"{table} is larger than {TABLE_LIMIT_BYTES:,} bytes")
    raw = bytes(data)
    if sum(raw.count(mark) for mark in (b",", b"[", b"{")) > PARTS_LIMIT:
        raise _refused(name, f"{table} has more than {PARTS_LIMIT:,} parts")


def _refused(name: str, why: str, *, reference: str = "archive-refused") -> Failure:
    return Failure(f"{name}: {why}", hint="Take a new one with: bringup snapshot", reference=reference)
