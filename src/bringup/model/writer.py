"""Writes the beginning of a GGUF file: metadata and tensor table, as bytes. The reader's counterpart.

Little-endian, version 3 (`docs/gguf.md` of ggml).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from bringup.model.quants import TensorType
from bringup.model.values import FORMATS, ValueType
from bringup.records import dataclass

ALIGNMENT: Final = 32
_VERSION: Final = 3


@dataclass(frozen=True, slots=True)
class NewTensor:
    """A tensor to be written; its shape is in ggml's order, the contiguous dimension first."""

    name: str
    shape: tuple[int, ...]
    type: TensorType = TensorType.F32

    @property
    def size_bytes(self) -> int:
        """Bytes of its data, without padding."""
        elements = 1
        for length in self.shape:
            elements *= length
        return elements // self.type.block_elements * self.type.block_bytes

    @property
    def padded_bytes(self) -> int:
        """Bytes up to the next tensor."""
        return -(-self.size_bytes // ALIGNMENT) * ALIGNMENT


def write_scalar(key: str, kind: ValueType, value: float | str) -> bytes:
    """One pair of the metadata: a number, a truth value or a text."""
    head = _text(key.encode()) + struct.pack("<I", kind)
    if kind is ValueType.STRING:
        return head + _text(str(value).encode())
    return head + struct.pack("<" + FORMATS[kind], value)


def write_strings(key: str, values: Iterable[bytes]) -> bytes:
    """One pair that holds an array of texts."""
    content = [_text(value) for value in values]
    return _array_head(key, ValueType.STRING, len(content)) + b"".join(content)


def write_numbers(key: str, kind: ValueType, values: Sequence[float]) -> bytes:
    """One pair that holds an array of numbers."""
    return _array_head(key, kind, len(values)) + struct.pack(f"<{len(values)}{FORMATS[kind]}", *values)


def write_raw_array(key: str, kind: ValueType, count: int, content: bytes) -> bytes:
    """One pair that holds an array whose elements are bytes of a file already."""
    return _array_head(key, kind, count) + content


def write_header(pairs: Sequence[bytes], tensors: Sequence[NewTensor]) -> bytes:
    """Everything before the first tensor's data, padded; the tensors follow in their order."""
    head = b"GGUF" + struct.pack("<IQQ", _VERSION, len(tensors), len(pairs)) + b"".join(pairs)
    rows = bytearray()
    offset = 0
    for tensor in tensors:
        rows += _text(tensor.name.encode()) + struct.pack("<I", len(tensor.shape))
        rows += struct.pack(f"<{len(tensor.shape)}QIQ", *tensor.shape, tensor.type, offset)
        offset += tensor.padded_bytes
    whole = head + bytes(rows)
    return whole + bytes(-len(whole) % ALIGNMENT)


def _array_head(key: str, kind: ValueType, count: int) -> bytes:
    return _text(key.encode()) + struct.pack("<IIQ", ValueType.ARRAY, kind, count)


def _text(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw
