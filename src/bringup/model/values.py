"""Metadata of a GGUF file: typed values behind their keys, decoded when asked for.

Small values are kept as their raw bytes, large ones (vocabularies, long texts) only as a place in the
source, from which they are read again on demand.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, TypeAlias

from bringup.errors import GgufError
from bringup.model.source import ByteSource
from bringup.model.window import ByteOrder
from bringup.records import dataclass

KEPT_BYTES: Final = 64 * 1024
"""Values up to this size are kept with the header."""


class ValueType(IntEnum):
    """Type of a metadata value; the number is the one in the file."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


FORMATS: Final[dict[ValueType, str]] = {
    ValueType.UINT8: "B",
    ValueType.INT8: "b",
    ValueType.UINT16: "H",
    ValueType.INT16: "h",
    ValueType.UINT32: "I",
    ValueType.INT32: "i",
    ValueType.FLOAT32: "f",
    ValueType.BOOL: "?",
    ValueType.UINT64: "Q",
    ValueType.INT64: "q",
    ValueType.FLOAT64: "d",
}
"""`struct` letter of each type of fixed size."""

SIZES: Final[dict[ValueType, int]] = {kind: struct.calcsize("<" + letter) for kind, letter in FORMATS.items()}
"""Bytes of each type of fixed size."""

INTEGERS: Final = frozenset(FORMATS) - {ValueType.FLOAT32, ValueType.FLOAT64, ValueType.BOOL}
"""Types that hold whole numbers."""

Scalar: TypeAlias = "int | float | bool | str"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of the file.

    Attributes:
        type: type of the value.
        element_type: type of the elements of an array, else the same as `type`.
        count: elements of an array, else 1.
        offset_bytes: where the value's content begins in the file (behind type, length and count).
        length_bytes: how long the content is.
        raw: the content, where it is small.
    """

    type: ValueType
    element_type: ValueType
    count: int
    offset_bytes: int
    length_bytes: int
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class ArrayValue:
    """An array in the metadata; its elements are decoded on demand.

    Attributes:
        key: its key, for messages.
        element_type: type of each element.
        count: number of elements.
        offset_bytes: where the first element begins in the file.
        length_bytes: bytes of all elements.
    """

    key: str
    element_type: ValueType
    count: int
    offset_bytes: int
    length_bytes: int
    order: ByteOrder
    source: ByteSource
    kept: bytes | None

    def __len__(self) -> int:
        return self.count

    def raw(self) -> bytes:
        """The elements as they stand in the file.

        Raises:
            GgufError: the source no longer has them all.
        """
        if self.kept is not None:
            return self.kept
        return read_exactly(self.source, self.offset_bytes, self.length_bytes)

    def numbers(self) -> tuple[int | float | bool, ...]:
        """All elements of an array of numbers or booleans.

        Raises:
            GgufError: the elements are of another type.
        """
        if self.element_type not in FORMATS:
            raise self._wrong("an array of numbers")
        return struct.unpack(f"{self.order.value}{self.count}{FORMATS[self.element_type]}", self.raw())

    def string_bytes(self) -> Iterator[bytes]:
        """Each string of an array of strings, undecoded.

        Raises:
            GgufError: the elements are of another type.
        """
        if self.element_type is not ValueType.STRING:
            raise self._wrong("an array of strings")
        data = self.raw()
        unpack = struct.Struct(self.order.value + "Q").unpack_from
        position = 0
        try:
            for _ in range(self.count):
                begin = position + 8
                (length,) = unpack(data, position)
                position = begin + length
                yield data[begin:position]
        except (struct.error, OverflowError):  # lengths were sound when the header was read
            raise changed(self.source, self.offset_bytes + position) from None

    def strings(self) -> tuple[str, ...]:
        """All elements of an array of strings; bytes that are not UTF-8 are replaced.

        Raises:
            GgufError: the elements are of another type.
        """
        return tuple(item.decode("utf-8", "replace") for item in self.string_bytes())

    def _wrong(self, expected: str) -> GgufError:
        return GgufError(
            source=self.source.name,
            offset_bytes=self.offset_bytes,
            expected=f"{self.key}: {expected}",
            found=f"an array of {self.element_type.name.lower()}",
        )


Value: TypeAlias = "Scalar | ArrayValue"


class Metadata(Mapping[str, Value]):
    """Key to value, in the order of the file. A value is decoded each time it is asked for."""

    __slots__ = ("_entries", "_order", "_source")

    def __init__(self, entries: Mapping[str, Entry], *, order: ByteOrder, source: ByteSource) -> None:
        self._entries = dict(entries)
        self._order = order
        self._source = source

    def __getitem__(self, key: str) -> Value:
        entry = self._entries[key]
        if entry.type is ValueType.ARRAY:
            return ArrayValue(
                key=key,
                element_type=entry.element_type,
                count=entry.count,
                offset_bytes=entry.offset_bytes,
                length_bytes=entry.length_bytes,
                order=self._order,
                source=self._source,
                kept=entry.raw,
            )
        raw = entry.raw
        if raw is None:
            raw = read_exactly(self._source, entry.offset_bytes, entry.length_bytes)
        if entry.type is ValueType.STRING:
            return raw.decode("utf-8", "replace")
        value: int | float | bool = struct.unpack(self._order.value + FORMATS[entry.type], raw)[0]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def entry(self, key: str) -> Entry | None:
        """Type, place and raw content of a key; `None` when the file does not have it."""
        return self._entries.get(key)

    def entries(self) -> Mapping[str, Entry]:
        """All entries, in the order of the file."""
        return dict(self._entries)

    def text(self, key: str) -> str | None:
        """A string; `None` when the file does not have the key.

        Raises:
            GgufError: the value is of another type.
        """
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.wrong(key, "a string")

    def integer(self, key: str) -> int | None:
        """A whole number; `None` when the file does not have the key.

        Raises:
            GgufError: the value is of another type.
        """
        value = self.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self.wrong(key, "a whole number")

    def number(self, key: str) -> float | None:
        """A number; `None` when the file does not have the key.

        Raises:
            GgufError: the value is of another type.
        """
        value = self.get(key)
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        raise self.wrong(key, "a number")

    def array(self, key: str) -> ArrayValue | None:
        """An array; `None` when the file does not have the key.

        Raises:
            GgufError: the value is of another type.
        """
        value = self.get(key)
        if value is None or isinstance(value, ArrayValue):
            return value
        raise self.wrong(key, "an array")

    def wrong(self, key: str, expected: str, found: str = "") -> GgufError:
        """The error for the value of a key that is there."""
        entry = self._entries[key]
        return GgufError(
            source=self._source.name,
            offset_bytes=entry.offset_bytes,
            expected=f"{key}: {expected}",
            found=found or describe(entry),
            reference="gguf-wrong-value",
        )


def describe(entry: Entry) -> str:
    """What an entry holds, in words: `a float32`, `an array of 5 string`."""
    if entry.type is ValueType.ARRAY:
        return f"an array of {entry.count:,} {entry.element_type.name.lower()}"
    return f"a value of type {entry.type.name.lower()}"


def read_exactly(source: ByteSource, offset: int, length: int) -> bytes:
    """`length` bytes at an offset.

    Raises:
        GgufError: the source has fewer.
    """
    data = source.read_at(offset, length)
    if len(data) != length:
        raise changed(source, offset)
    return data


def changed(source: ByteSource, offset: int) -> GgufError:
    """The error for a source that no longer holds what its header says."""
    return GgufError(
        source=source.name,
        offset_bytes=offset,
        expected="the value that the header describes",
        found="something else: the file has changed since its header was read",
        hint="Is it being written? Try again when that is done.",
        reference="gguf-changed",
    )
