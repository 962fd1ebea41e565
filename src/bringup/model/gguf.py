"""Reader of GGUF headers: metadata and tensor table, never the weights.

Format: `ggml/src/gguf.cpp` and `docs/gguf.md` of ggml; versions 2 and 3 in both byte orders. Every count
and length is compared with what the file can still hold before anything is read for it, sizes are
Python integers and so never wrap, and what llama.cpp itself refuses in the layout is refused here too, by
offset.
"""

from __future__ import annotations

import struct
from typing import Final

from bringup.errors import GgufError
from bringup.model.identify import HEAD_BYTES, FileKind, explain_not_gguf, identify
from bringup.model.quants import REMOVED, TensorType
from bringup.model.source import ByteSource
from bringup.model.values import KEPT_BYTES, SIZES, Entry, Metadata, ValueType
from bringup.model.window import ByteOrder, HeaderWindow
from bringup.records import dataclass

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
DEFAULT_ALIGNMENT: Final = 32

PAIRS_LIMIT: Final = 16_384
"""Most metadata pairs that are read; real files have under a hundred."""
TENSORS_LIMIT: Final = 32_768
"""Most tensors that are read in one file; the largest real models have a few thousand."""
NESTING_LIMIT: Final = 4
"""Deepest arrays of arrays that are read; llama.cpp reads none."""
NESTED_LIMIT: Final = 16_384
"""Most arrays within arrays in one file."""

_MAX_DIMENSIONS: Final = 4  # GGML_MAX_DIMS
_MAX_NAME_BYTES: Final = 63  # GGML_MAX_NAME - 1
_LARGEST_SIGNED: Final = 2**63 - 1
_SMALLEST_PAIR_BYTES: Final = 8 + 1 + 4 + 1  # length, one character, type, one byte of value
_SMALLEST_TENSOR_BYTES: Final = 8 + 4 + 4 + 8  # length, dimensions, type, offset


@dataclass(frozen=True, slots=True)
class Tensor:
    """One row of the tensor table.

    Attributes:
        name: as in the file.
        shape: elements per dimension in ggml's order, the contiguous one first.
        type: how its numbers are stored.
        offset_bytes: where it begins within the data section.
        size_bytes: its bytes, without padding.
    """

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset_bytes: int
    size_bytes: int

    @property
    def n_elements(self) -> int:
        """Product of the shape."""
        elements = 1
        for length in self.shape:
            elements *= length
        return elements


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """All that a GGUF file says before its weights.

    Attributes:
        name: path, URL or label of the source.
        version: 2 or 3.
        byte_order: of all numbers in the file.
        alignment: tensors begin at multiples of it, in bytes.
        metadata: key to value.
        tensors: in the order of the file.
        data_offset: where the data section begins in the file, in bytes.
        file_size_bytes: size of the file.
    """

    name: str
    version: int
    byte_order: ByteOrder
    alignment: int
    metadata: Metadata
    tensors: tuple[Tensor, ...]
    data_offset: int
    file_size_bytes: int

    @property
    def needed_bytes(self) -> int:
        """Size that the file must have at least to hold all its tensors."""
        if not self.tensors:
            return self.data_offset
        last = self.tensors[-1]
        return self.data_offset + last.offset_bytes + last.size_bytes

    @property
    def missing_bytes(self) -> int:
        """Bytes of weights that the header promises and the file does not have."""
        return max(0, self.needed_bytes - self.file_size_bytes)


def read_header(source: ByteSource) -> GgufHeader:
    """Read metadata and tensor table.

    A file that is shorter than its tensors need is read all the same: see `GgufHeader.missing_bytes`.

    Raises:
        ModelFileError: not a GGUF file; says what it is.
        GgufError: it breaks the format; says where, what was expected and what was found.
    """
    window = HeaderWindow(source)
    version = _read_preamble(window)
    n_tensors, n_pairs = _read_counts(window)
    metadata = Metadata(_read_pairs(window, n_pairs), order=window.order, source=source)
    alignment = _alignment(metadata)
    tensors = _read_tensors(window, n_tensors, alignment)
    data_offset = _padded(window.position, alignment) if n_tensors else window.position
    return GgufHeader(
        name=source.name,
        version=version,
        byte_order=window.order,
        alignment=alignment,
        metadata=metadata,
        tensors=tensors,
        data_offset=data_offset,
        file_size_bytes=source.size_bytes,
    )


def _read_preamble(window: HeaderWindow) -> int:
    """Magic and version; sets the window's byte order."""
    source = window.source
    head = window.peek(HEAD_BYTES)
    kind = identify(head, source.size_bytes)
    if kind is not FileKind.GGUF:
        raise explain_not_gguf(kind, source.name, head=head, size_bytes=source.size_bytes)
    window.skip(len(MAGIC), "the magic")
    raw = window.take(4, "the version")
    little, big = (int.from_bytes(raw, order) for order in ("little", "big"))
    if big in (1, *VERSIONS) and little not in (1, *VERSIONS):
        window.set_order(ByteOrder.BIG)
        version = big
    else:
        version = little
    if version in VERSIONS:
        return version
    raise _version_error(source.name, version)


def _version_error(name: str, version: int) -> GgufError:
    old = version < min(VERSIONS)
    return GgufError(
        source=name,
        offset_bytes=len(MAGIC),
        expected="GGUF version 2 or 3",
        found=f"version {version:,}",
        hint=(
            "llama.cpp no longer reads files of before September 2023: get a newer conversion."
            if old
            else "Newer than this bringup and its llama.cpp, or damaged: compare the checksum."
        ),
        reference="gguf-version",
    )


def _read_counts(window: HeaderWindow) -> tuple[int, int]:
    """Numbers of tensors and of metadata pairs, both possible in the bytes that are left."""
    counts = []
    for what, smallest, limit in (
        ("tensors", _SMALLEST_TENSOR_BYTES, TENSORS_LIMIT),
        ("metadata pairs", _SMALLEST_PAIR_BYTES, PAIRS_LIMIT),
    ):
        at = window.position
        count = window.u64(f"the number of {what}")
        left_bytes = max(window.left_bytes, 0)
        if count > limit:
            raise window.wrong(f"at most {limit:,} {what}", f"{count:,}", at=at)
        if count * smallest > left_bytes:
            raise window.wrong(
                f"{count:,} {what}, which take {count * smallest:,} bytes at least",
                f"{left_bytes:,} bytes to the end of the file: it is cut short, or the number is wrong",
                at=at,
                reference="gguf-cut-short",
            )
        counts.append(count)
    return counts[0], counts[1]


def _read_pairs(window: HeaderWindow, n_pairs: int) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for number in range(n_pairs):
        at = window.position
        key = _read_name(window, f"key {number:,}", limit_bytes=65_535)
        if not key:
            raise window.wrong(f"key {number:,} of the metadata", "an empty key", at=at)
        if key in entries:
            raise window.wrong("each key once", f"{_shown(key)} a second time", at=at)
        entries[key] = _read_entry(window, _shown(key))
    return entries


def _read_name(window: HeaderWindow, what: str, *, limit_bytes: int) -> str:
    """A short string. Bytes that are not UTF-8 are spelled out in hexadecimal, so names stay distinct."""
    at = window.position
    length = window.u64(f"the length of {what}")
    if length > limit_bytes or length > window.left_bytes:
        raise window.wrong(
            f"{what} of at most {min(limit_bytes, max(window.left_bytes, 0)):,} bytes",
            f"a length of {length:,}",
            at=at,
            reference="" if length > limit_bytes else "gguf-cut-short",
        )
    return window.take(length, what).decode("utf-8", "backslashreplace")


def _read_entry(window: HeaderWindow, key: str) -> Entry:
    kind = _read_type(window, key)
    if kind is ValueType.ARRAY:
        return _read_array(window, key)
    length = _read_string_length(window, key) if kind is ValueType.STRING else SIZES[kind]
    begin = window.position
    return Entry(kind, kind, 1, begin, length, _keep(window, length, key))


def _read_string_length(window: HeaderWindow, key: str) -> int:
    at = window.position
    length = window.u64(f"the length of {key}")
    if length > window.left_bytes:
        raise window.wrong(
            f"{key}: a string that ends within the file ({max(window.left_bytes, 0):,} bytes are left)",
            f"a length of {length:,}",
            at=at,
            reference="gguf-cut-short",
        )
    return length


def _keep(window: HeaderWindow, length: int, key: str) -> bytes | None:
    """The content at the cursor when it is small; the cursor moves past it in any case."""
    if length <= KEPT_BYTES:
        return window.take(length, f"the value of {key}")
    window.skip(length, f"the value of {key}")
    return None


def _read_type(window: HeaderWindow, key: str) -> ValueType:
    at = window.position
    number = window.u32(f"the type of {key}")
    try:
        return ValueType(number)
    except ValueError:
        raise window.wrong(f"{key}: a value type from 0 to 12", f"{number:,}", at=at) from None


def _read_array(window: HeaderWindow, key: str) -> Entry:
    element_type, count, begin = _skip_array(window, key, depth=1)
    length = window.position - begin
    raw = None
    if length <= KEPT_BYTES:
        end = window.position
        window.position = begin
        raw = window.take(length, f"the value of {key}")
        window.position = end
    return Entry(ValueType.ARRAY, element_type, count, begin, length, raw)


def _skip_array(window: HeaderWindow, key: str, *, depth: int) -> tuple[ValueType, int, int]:
    """Move past one array: type of its elements, their number, where the first one begins."""
    if depth > NESTING_LIMIT:
        raise window.wrong(f"{key}: arrays nested at most {NESTING_LIMIT} deep", "one level more")
    element_type = _read_type(window, key)
    at = window.position
    count = window.u64(f"the number of elements of {key}")
    smallest = {ValueType.STRING: 8, ValueType.ARRAY: 12}.get(element_type) or SIZES[element_type]
    most = max(window.left_bytes, 0) // smallest
    if element_type is ValueType.ARRAY:
        most = min(most, NESTED_LIMIT - window.nested)
        window.nested += count
    if count > most:
        raise window.wrong(
            f"{key}: at most {most:,} elements of type {element_type.name.lower()} in the rest of the header",
            f"{count:,}",
            at=at,
            reference="gguf-cut-short",
        )
    begin = window.position
    if element_type is ValueType.STRING:
        window.skip_strings(count, key)
    elif element_type is ValueType.ARRAY:
        for _ in range(count):
            _skip_array(window, key, depth=depth + 1)
    else:
        window.skip(count * smallest, f"the elements of {key}")
    return element_type, count, begin


def _alignment(metadata: Metadata) -> int:
    """`general.alignment`, a power of two; 32 where the file does not say."""
    key = "general.alignment"
    entry = metadata.entry(key)
    if entry is None:
        return DEFAULT_ALIGNMENT
    alignment = metadata[key]
    if entry.type is not ValueType.UINT32 or not isinstance(alignment, int):
        raise metadata.wrong(key, "a uint32")
    if alignment == 0 or alignment & (alignment - 1):
        raise metadata.wrong(key, "a power of two", f"{alignment:,}")
    return alignment


def _read_tensors(window: HeaderWindow, n_tensors: int, alignment: int) -> tuple[Tensor, ...]:
    tensors: list[Tensor] = []
    names: set[str] = set()
    next_offset = 0
    for number in range(n_tensors):
        at = window.position
        name = _read_name(window, f"the name of tensor {number:,}", limit_bytes=_MAX_NAME_BYTES)
        if name in names:
            raise window.wrong("each tensor once", f"{_shown(name)} a second time", at=at)
        names.add(name)
        tensor = _read_tensor(window, name, next_offset)
        tensors.append(tensor)
        next_offset = _padded(next_offset + tensor.size_bytes, alignment)
    return tuple(tensors)


def _read_tensor(window: HeaderWindow, name: str, next_offset: int) -> Tensor:
    """Shape, type and offset. llama.cpp wants the tensors one behind another in the order of the table."""
    at = window.position
    shown = _shown(name)
    n_dimensions = window.u32(f"the dimensions of {shown}")
    if n_dimensions > _MAX_DIMENSIONS:
        raise window.wrong(f"{shown}: at most {_MAX_DIMENSIONS} dimensions", f"{n_dimensions:,}", at=at)
    row = struct.Struct(f"{window.order.value}{n_dimensions}QIQ")
    at = window.position
    *shape, type_id, offset = row.unpack(window.take(row.size, f"shape, type and offset of {shown}"))
    elements = 1
    for axis, length in enumerate(shape):
        elements *= length
        if length > _LARGEST_SIGNED or elements > _LARGEST_SIGNED:
            raise window.wrong(
                f"{shown}: a shape below 2^63 elements", "x".join(f"{n:,}" for n in shape), at=at + 8 * axis
            )
    kind = _tensor_type(window, shown, type_id, at=at + 8 * n_dimensions)
    row_length = shape[0] if shape else 1
    if row_length % kind.block_elements:
        raise window.wrong(
            f"{shown}: rows of a multiple of {kind.block_elements} elements, as {kind.name} stores them",
            f"rows of {row_length:,}",
            at=at,
        )
    if offset != next_offset:
        raise window.wrong(
            f"{shown}: offset {next_offset:,}, right behind the tensor before it",
            f"offset {offset:,}",
            at=at + row.size - 8,
            reference="gguf-tensor-offset",
        )
    size = elements // kind.block_elements * kind.block_bytes
    return Tensor(name, tuple(shape), kind, offset, size)


def _tensor_type(window: HeaderWindow, shown: str, type_id: int, *, at: int) -> TensorType:
    try:
        return TensorType(type_id)
    except ValueError:
        pass
    if type_id in REMOVED:
        found = (
            f"{REMOVED[type_id]} (type {type_id}), which llama.cpp no longer reads: get a newer conversion"
        )
    else:
        found = f"type {type_id:,}, which is not known here: damaged, or newer than this bringup"
    raise window.wrong(
        f"{shown}: a tensor type from 0 to {max(TensorType)}", found, at=at, reference="gguf-tensor-type"
    )


def _padded(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _shown(name: str) -> str:
    """A foreign name in a message: short and in quotes."""
    return repr(name if len(name) <= 80 else name[:77] + "...")
