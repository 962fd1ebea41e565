"""Entries out of a damaged file: every table leaf is read by itself, and each entry proves itself by hash.

SQLite's own reading stops where a page above the leaves is damaged. Here the pages are walked one by one; the
format of a leaf is that of https://www.sqlite.org/fileformat2.html . What is not whole fits no hash.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from bringup.journal.entry import Body, Header
from bringup.journal.schema import PAGE_BYTES
from bringup.records import dataclass

_TABLE_LEAF: Final = 13
_N_HEADER: Final = 9
_N_BODY: Final = 3
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)
_FLOAT: Final = 7
_ZERO: Final = 8
_ONE: Final = 9

Value = int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What could be read: headers by number, and bodies whose header was read, too."""

    headers: tuple[Header, ...]
    bodies: tuple[Body, ...]


def salvage(data: bytes) -> Salvaged:
    """Entries in the bytes of a journal's file, whatever state it is in."""
    headers: dict[int, Header] = {}
    bodies: dict[bytes, Body] = {}
    for seq, values in _records(data):
        header = _header(seq, values)
        if header is not None:
            headers[header.seq] = header
        body = _body(seq, values)
        if body is not None:
            bodies[body.digest] = body
    ordered = tuple(headers[seq] for seq in sorted(headers))
    fitting = (bodies.get(header.digest) for header in ordered)
    return Salvaged(ordered, tuple(body for body in fitting if body is not None))


def _header(seq: int, values: list[Value]) -> Header | None:
    if len(values) != _N_HEADER or values[0] is not None:
        return None
    at_s, boot, uptime_s, kind, subject, digest, previous, own = values[1:]
    # SQLite stores a float without a fraction as an integer.
    if not isinstance(at_s, (int, float)) or not isinstance(uptime_s, (int, float)):
        return None
    if not (isinstance(boot, str) and isinstance(kind, str) and isinstance(subject, str)):
        return None
    if not (isinstance(digest, bytes) and isinstance(previous, bytes) and isinstance(own, bytes)):
        return None
    header = Header(seq, float(at_s), boot, float(uptime_s), kind, subject, digest, previous, own)
    return header if header.is_sound else None


def _body(seq: int, values: list[Value]) -> Body | None:
    if len(values) != _N_BODY or values[0] is not None:
        return None
    nonce, body = values[1:]
    return Body(seq, nonce, body) if isinstance(nonce, bytes) and isinstance(body, bytes) else None


def _records(data: bytes) -> Iterator[tuple[int, list[Value]]]:
    """Row number and columns of every cell of every table leaf that can be read."""
    for start in range(0, len(data) - PAGE_BYTES + 1, PAGE_BYTES):
        page = data[start : start + PAGE_BYTES]
        at = 100 if start == 0 else 0
        if page[at] != _TABLE_LEAF:
            continue
        (n_cells,) = struct.unpack_from(">H", page, at + 3)
        for number in range(min(n_cells, (PAGE_BYTES - at - 8) // 2)):
            (offset,) = struct.unpack_from(">H", page, at + 8 + 2 * number)
            try:
                yield _cell(data, page, offset)
            except (IndexError, ValueError, struct.error, OverflowError):
                continue


def _cell(data: bytes, page: bytes, offset: int) -> tuple[int, list[Value]]:
    size, offset = _varint(page, offset)
    seq, offset = _varint(page, offset)
    return seq, _columns(_payload(data, page, offset, size))


def _payload(data: bytes, page: bytes, offset: int, size: int) -> bytes:
    """The bytes of a record, its overflow pages followed."""
    most = PAGE_BYTES - 35
    if size <= most:
        return page[offset : offset + size]
    if size > len(data):
        raise ValueError("larger than the file")
    least = (PAGE_BYTES - 12) * 32 // 255 - 23
    here = least + (size - least) % (PAGE_BYTES - 4)
    here = here if here <= most else least
    parts = [page[offset : offset + here]]
    (following,) = struct.unpack_from(">I", page, offset + here)
    left = size - here
    while left > 0:
        if following == 0:
            raise ValueError("the chain of pages ends early")
        start = (following - 1) * PAGE_BYTES
        (following,) = struct.unpack_from(">I", data, start)
        parts.append(data[start + 4 : start + 4 + min(left, PAGE_BYTES - 4)])
        left -= PAGE_BYTES - 4
    return b"".join(parts)


def _columns(record: bytes) -> list[Value]:
    end, offset = _varint(record, 0)
    types = []
    while offset < end:
        serial, offset = _varint(record, offset)
        types.append(serial)
    values = []
    offset = end
    for serial in types:
        value, offset = _value(record, offset, serial)
        values.append(value)
    if offset != len(record):
        raise ValueError("the columns do not fill the record")
    return values


def _value(record: bytes, offset: int, serial: int) -> tuple[Value, int]:
    if serial == 0:
        return None, offset
    if serial < _FLOAT:
        size = _INTEGER_BYTES[serial]
        return int.from_bytes(record[offset : offset + size], "big", signed=True), offset + size
    if serial == _FLOAT:
        return float(struct.unpack_from(">d", record, offset)[0]), offset + 8
    if serial in (_ZERO, _ONE):
        return serial - _ZERO, offset
    size = (serial - 12) // 2
    raw = record[offset : offset + size]
    if serial < 12 or len(raw) != size:
        raise ValueError("no such type")
    return (raw if serial % 2 == 0 else raw.decode("utf-8")), offset + size


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for count in range(9):
        byte = data[offset + count]
        if count == 8:
            return value << 8 | byte, offset + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + count + 1
    raise ValueError("no end")
