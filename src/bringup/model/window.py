"""A bounded cursor over the bytes of a header.

It holds one window of the source, asks for more when the cursor leaves it, and checks every length
against the size of the file before anything is read or allocated. What the cursor has passed is let go,
so memory does not grow with the header, and what is skipped beyond the window is never fetched.
"""

from __future__ import annotations

import re
import struct
import sys
from enum import Enum
from typing import Final

from bringup.errors import GgufError
from bringup.model.source import ByteSource
from bringup.units import KIB, MIB

HEADER_LIMIT_BYTES: Final = 256 * MIB
"""Longest header that is read; real ones stay below 40 MiB. So a sparse terabyte cannot ask for hours."""
FIRST_READ_BYTES: Final = MIB
_LEAST_READ_BYTES: Final = 256 * KIB
_USUAL_READ_BYTES: Final = 2 * MIB
_LARGEST_READ_BYTES: Final = 8 * MIB

# 128 length-prefixed strings in one match: a length below 64 is one byte and seven zero bytes, and each
# alternative then eats exactly that many bytes. The walk runs in the regex engine at about 40 ns a string,
# twice as fast as a Python loop and without one object a string. Common lengths stand first because
# alternatives are tried in order; no two begin with the same byte, so there is nothing to backtrack into.
_BLOCK: Final = 128
_COMMON_LENGTHS: Final = (6, 7, 5, 8, 9, 4, 10, 11, 12, 3, 13, 14, 15, 2, 16, 17, 18, 1, 19, 20)


class ByteOrder(Enum):
    """Order of the bytes of each number; the value is `struct`'s sign for it."""

    LITTLE = "<"
    BIG = ">"


NATIVE_ORDER: Final = ByteOrder.LITTLE if sys.byteorder == "little" else ByteOrder.BIG
"""That of this machine, the only one in which llama.cpp loads a file."""


def string_block_pattern() -> re.Pattern[bytes]:
    """Pattern of exactly `_BLOCK` little-endian length-prefixed strings, each shorter than 64 bytes."""
    lengths = (*_COMMON_LENGTHS, *(n for n in range(64) if n not in _COMMON_LENGTHS))
    alternatives = (
        re.escape(bytes([n])) + rb"\0\0\0\0\0\0\0" + (b".{%d}+" % n if n else b"") for n in lengths
    )
    return re.compile(b"(?:" + b"|".join(alternatives) + b"){%d}" % _BLOCK, re.DOTALL)


class HeaderWindow:
    """The cursor. `position` is an offset in the file, `nested` counts the arrays within arrays so far.

    Args:
        source: where bytes come from.
        order: byte order of numbers; set once the version field has been seen.
    """

    __slots__ = (
        "_base",
        "_buffer",
        "_fetched_bytes",
        "_pattern",
        "_u32",
        "_u64",
        "nested",
        "order",
        "position",
        "source",
    )

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.position = 0
        self.nested = 0
        self._base = 0
        self._buffer = b""
        self._fetched_bytes = 0
        self._pattern: re.Pattern[bytes] | None = None
        self.set_order(ByteOrder.LITTLE)

    def set_order(self, order: ByteOrder) -> None:
        """Read numbers in this byte order from here on."""
        self.order = order
        self._u32 = struct.Struct(order.value + "I")
        self._u64 = struct.Struct(order.value + "Q")

    @property
    def left_bytes(self) -> int:
        """Bytes between the cursor and the end of the file, or of the longest header that is read."""
        return min(self.source.size_bytes, HEADER_LIMIT_BYTES) - self.position

    def wrong(self, expected: str, found: str, *, at: int | None = None, reference: str = "") -> GgufError:
        """The error for something wrong at an offset (the cursor's, when none is given)."""
        return GgufError(
            source=self.source.name,
            offset_bytes=self.position if at is None else at,
            expected=expected,
            found=found,
            reference=reference,
        )

    def require(self, length: int, what: str, *, ahead: int = 0) -> int:
        """Make `length` bytes at the cursor readable.

        Args:
            length: bytes that must be there.
            what: what they are, for the message.
            ahead: bytes worth fetching along with them, when there is a good guess.

        Returns:
            Index of the cursor in the buffer.

        Raises:
            GgufError: the file ends before.
        """
        index = self.position - self._base
        if index + length <= len(self._buffer):
            return index
        if length > self.left_bytes:
            raise self._too_long(length, what)
        self._fetch(length, ahead)
        return self.position - self._base

    def _too_long(self, length: int, what: str) -> GgufError:
        """The error for something that does not fit in the file, or in the longest header that is read."""
        expected, left = f"{what} ({length:,} bytes)", max(self.left_bytes, 0)
        if self.source.size_bytes > HEADER_LIMIT_BYTES:
            return self.wrong(
                expected, f"{left:,} bytes up to {HEADER_LIMIT_BYTES:,}, the longest header that is read"
            )
        return self.wrong(
            expected,
            f"the file ends after {left:,} more bytes, at {self.source.size_bytes:,}",
            reference="gguf-cut-short",
        )

    def peek(self, length: int) -> bytes:
        """Up to `length` bytes at the cursor, fewer where the file ends; the cursor stays."""
        length = min(length, max(self.left_bytes, 0))
        index = self.require(length, "the beginning of the file")
        return self._buffer[index : index + length]

    def _fetch(self, length: int, ahead: int) -> None:
        """Move the window so that it begins at the cursor and holds at least `length` bytes."""
        index = self.position - self._base
        kept = self._buffer[index:] if index < len(self._buffer) else b""
        begin = self.position + len(kept)
        guess = min(ahead, _LARGEST_READ_BYTES) or min(
            self._fetched_bytes or FIRST_READ_BYTES, _USUAL_READ_BYTES
        )
        wanted = max(length - len(kept), guess, _LEAST_READ_BYTES)
        fresh = self.source.read_at(begin, min(wanted, self.source.size_bytes - begin))
        self._fetched_bytes += len(fresh)
        self._buffer = kept + fresh
        self._base = self.position
        if len(self._buffer) < length:
            raise self.wrong(
                f"{length:,} bytes",
                f"the source gave only {len(self._buffer):,} of them, though its size is said to be "
                f"{self.source.size_bytes:,}",
                reference="gguf-cut-short",
            )

    def u32(self, what: str) -> int:
        """An unsigned 32-bit number; the cursor moves past it."""
        index = self.require(4, what)
        self.position += 4
        number: int = self._u32.unpack_from(self._buffer, index)[0]
        return number

    def u64(self, what: str) -> int:
        """An unsigned 64-bit number; the cursor moves past it."""
        index = self.require(8, what)
        self.position += 8
        number: int = self._u64.unpack_from(self._buffer, index)[0]
        return number

    def take(self, length: int, what: str) -> bytes:
        """`length` bytes; the cursor moves past them."""
        index = self.require(length, what)
        self.position += length
        return self._buffer[index : index + length]

    def skip(self, length: int, what: str) -> None:
        """Move the cursor past `length` bytes without fetching them.

        Raises:
            GgufError: the file ends before.
        """
        if length > self.left_bytes:
            self.require(length, what)
        self.position += length

    def skip_strings(self, count: int, what: str) -> None:
        """Move the cursor past `count` length-prefixed strings.

        Raises:
            GgufError: a string does not fit in the file.
        """
        start, left = self.position, count
        pattern = self._block_pattern() if count >= _BLOCK else None
        while left:
            if pattern is not None and left >= _BLOCK:
                match = pattern.match(self._buffer, max(self.position - self._base, 0))
                if match is not None:
                    self.position = self._base + match.end()
                    left -= _BLOCK
                    continue
            batch = min(left, _BLOCK)
            self._skip_one_by_one(batch, left, start, count, what)
            left -= batch

    def _block_pattern(self) -> re.Pattern[bytes] | None:
        if self.order is ByteOrder.BIG:
            return None
        if self._pattern is None:
            self._pattern = string_block_pattern()
        return self._pattern

    def _skip_one_by_one(self, batch: int, left: int, start: int, count: int, what: str) -> None:
        """The exact walk: long strings, ends of windows, big-endian files, and all errors.

        `start`, `left` and `count` give the mean length so far, hence how far to read ahead.
        """
        unpack, end = self._u64.unpack_from, self.position + self.left_bytes
        for number in range(batch):
            index = self.position - self._base
            if index + 8 > len(self._buffer):
                done = count - left + number
                rest = left - number
                ahead = (self.position - start) * rest // done if done else 16 * rest
                index = self.require(8, f"the length of {what}", ahead=ahead)
            (length,) = unpack(self._buffer, index)
            if self.position + 8 + length > end:
                raise self.wrong(
                    f"a string of {what} that ends within the file",
                    f"string {count - left + number:,} of {count:,} claims {length:,} bytes, "
                    f"{max(self.left_bytes - 8, 0):,} are left",
                    reference="gguf-cut-short",
                )
            self.position += 8 + length
