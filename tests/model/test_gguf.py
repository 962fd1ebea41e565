"""The reader reads what was written, as another reader does, whatever the byte order, source and windows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.writing import (
    ARRAY,
    STRING,
    Array,
    Built,
    Pair,
    TensorSpec,
    build,
    gpt_oss_20b,
    mapped,
    tiny_llama,
)

from bringup.errors import GgufError
from bringup.model.gguf import GgufHeader, read_header
from bringup.model.quants import LAYOUTS, TensorType
from bringup.model.source import BufferSource
from bringup.model.values import FORMATS, ArrayValue, ValueType
from bringup.model.window import HeaderWindow

SAMPLES: dict[ValueType, Any] = {
    ValueType.UINT8: 255,
    ValueType.INT8: -128,
    ValueType.UINT16: 65_535,
    ValueType.INT16: -32_768,
    ValueType.UINT32: 2**32 - 1,
    ValueType.INT32: -(2**31),
    ValueType.FLOAT32: 0.5,
    ValueType.BOOL: True,
    ValueType.STRING: "überraschung 🦙",
    ValueType.UINT64: 2**64 - 1,
    ValueType.INT64: -(2**63),
    ValueType.FLOAT64: math.pi,
}


def read(built: Built) -> GgufHeader:
    return read_header(BufferSource(built.data, name="made.gguf"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [2, 3])
def test_all_types_of_values_in_both_orders_and_versions(order: str, version: int) -> None:
    pairs: list[Pair] = [(f"one.{kind.name}", kind, value) for kind, value in SAMPLES.items()]
    pairs += [(f"many.{kind.name}", ARRAY, Array(kind, [value] * 3)) for kind, value in SAMPLES.items()]
    header = read(build(pairs, order=order, version=version))
    assert header.version == version
    assert header.byte_order.value == order
    for kind, value in SAMPLES.items():
        assert header.metadata[f"one.{kind.name}"] == value
        many = header.metadata[f"many.{kind.name}"]
        assert isinstance(many, ArrayValue)
        assert (many.strings() if kind is STRING else many.numbers()) == (value,) * 3
    assert list(header.metadata) == [key for key, _, _ in pairs]


def test_nested_arrays_are_passed_over_and_what_follows_is_read() -> None:
    inner = Array(STRING, ["a", "bc"])
    pairs: list[Pair] = [
        ("nested", ARRAY, Array(ARRAY, [inner, Array(ValueType.INT8, [1, 2, 3]), Array(ARRAY, [inner])])),
        ("after", ValueType.UINT8, 7),
    ]
    header = read(build(pairs))
    assert header.metadata["after"] == 7
    nested = header.metadata["nested"]
    assert isinstance(nested, ArrayValue)
    assert (nested.element_type, nested.count) == (ValueType.ARRAY, 3)
    with pytest.raises(GgufError, match="not a sound GGUF"):
        nested.numbers()


def test_tensors_lie_behind_one_another_with_their_sizes() -> None:
    specs = [TensorSpec(f"t.{kind.name}", (LAYOUTS[kind][0] * 3, 2), kind) for kind in TensorType]
    header = read(build([], specs))
    assert len(header.tensors) == len(TensorType)
    expected = 0
    for tensor, spec in zip(header.tensors, specs, strict=True):
        assert (tensor.name, tensor.shape, tensor.type) == (spec.name, spec.shape, spec.type)
        assert (tensor.offset_bytes, tensor.size_bytes) == (expected, spec.size_bytes)
        expected += -(-tensor.size_bytes // 32) * 32
    assert header.data_offset % 32 == 0
    assert header.missing_bytes == 0


def test_another_alignment_is_followed() -> None:
    pairs: list[Pair] = [("general.alignment", ValueType.UINT32, 128)]
    header = read(build(pairs, [TensorSpec("a", (3,)), TensorSpec("b", (5,))], alignment=128))
    assert (header.alignment, header.data_offset % 128, header.tensors[1].offset_bytes) == (128, 0, 128)


def test_a_cut_file_says_how_much_is_missing() -> None:
    built = tiny_llama()
    whole = read(built)
    cut = BufferSource(built.data[: whole.needed_bytes - 1000], name="cut.gguf")
    assert read_header(cut).missing_bytes == 1000


def test_a_file_cut_in_its_header_is_called_cut_short() -> None:
    with pytest.raises(GgufError, match="not a sound GGUF file") as caught:
        read_header(BufferSource(tiny_llama().data[:64], name="cut.gguf"))
    assert caught.value.reference == "gguf-cut-short"
    assert "it is cut short" in caught.value.found


def test_the_real_small_model(small_model: Path) -> None:
    header = read_header(mapped(small_model))
    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, ArrayValue)
    assert tokens.strings()[1] == "<|im_start|>"
    assert (header.version, len(header.tensors), header.missing_bytes) == (3, 272, 0)
    assert header.needed_bytes == header.file_size_bytes


class CountingSource(BufferSource):
    """Counts what is fetched, as a remote file would cost it."""

    def __init__(self, data: bytes | bytearray, size_bytes: int) -> None:
        super().__init__(data, name="https://example.org/m.gguf", size_bytes=size_bytes)
        self.reads: list[int] = []

    def read_at(self, offset: int, length: int) -> bytes:
        data = super().read_at(offset, length)
        self.reads.append(len(data))
        return data


def test_a_remote_header_costs_few_reads_and_at_most_16_mb() -> None:
    built = gpt_oss_20b()
    source = CountingSource(built.data + bytes(20_000_000), 12_000_000_000)
    header = read_header(source)
    assert len(header.tensors) == 459
    assert sum(source.reads) <= 16_000_000
    assert len(source.reads) <= 12


def test_a_source_that_gives_less_than_its_size_is_told() -> None:
    built = tiny_llama()
    short = BufferSource(built.data[:500], name="short", size_bytes=len(built.data))
    with pytest.raises(GgufError) as told:
        read_header(short)
    assert told.value.reference == "gguf-cut-short"


def test_an_array_that_is_no_longer_there_is_told() -> None:
    built = build([("tokens", ARRAY, Array(STRING, ["x" * 100] * 1000))])
    data = bytearray(built.data)
    tokens = read_header(BufferSource(data)).metadata["tokens"]
    assert isinstance(tokens, ArrayValue)
    start = built.marks["elements:tokens"]
    data[start : start + 8] = b"\xff" * 8
    with pytest.raises(GgufError) as told:
        tokens.strings()
    assert told.value.reference == "gguf-changed"


@given(
    lengths=st.lists(st.integers(0, 300), max_size=700),
    tail=st.binary(max_size=20),
    first=st.integers(1, 4000),
)
@settings(max_examples=60, deadline=None)
def test_the_fast_walk_over_strings_ends_where_the_slow_one_does(
    lengths: list[int], tail: bytes, first: int
) -> None:
    # Texts that look like lengths themselves, so that a walk that loses its step does not find back.
    texts = [(b"\x05\0\0\0\0\0\0\0" * 40)[:n] for n in lengths]
    data = b"".join(len(text).to_bytes(8, "little") + text for text in texts)
    window = HeaderWindow(BufferSource(data + tail))
    window.require(min(first, len(data) + len(tail)), "a first window")
    window.skip_strings(len(lengths), "strings")
    assert window.position == sum(8 + n for n in lengths) == len(data)


def scalars() -> st.SearchStrategy[tuple[ValueType, Any]]:
    ranges = {"B": 8, "H": 16, "I": 32, "Q": 64}
    choices: list[st.SearchStrategy[tuple[ValueType, Any]]] = []
    for kind, letter in FORMATS.items():
        if letter in "fd":
            values: st.SearchStrategy[Any] = st.floats(allow_nan=False, width=32 if letter == "f" else 64)
        elif letter == "?":
            values = st.booleans()
        else:
            bits = ranges[letter.upper()]
            low, high = (0, 2**bits - 1) if letter.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            values = st.integers(low, high)
        choices.append(st.tuples(st.just(kind), values))
    choices.append(st.tuples(st.just(STRING), st.text(max_size=40)))
    return st.one_of(choices)


def arrays() -> st.SearchStrategy[tuple[ValueType, Any]]:
    return scalars().flatmap(
        lambda one: st.lists(st.just(one[1]), min_size=1, max_size=5).map(lambda v: (ARRAY, Array(one[0], v)))
    )


PAIRS = st.dictionaries(
    st.text("abc.xyz_09", min_size=1, max_size=20).filter(lambda key: key != "general.alignment"),
    st.one_of(scalars(), arrays()),
    max_size=8,
)
TENSORS = st.lists(
    st.tuples(
        st.text("abcdef.0123_", min_size=1, max_size=40),
        st.lists(st.integers(1, 5), min_size=0, max_size=3),
        st.sampled_from(sorted(TensorType)),
    ),
    max_size=6,
    unique_by=lambda row: row[0],
).map(lambda rows: [TensorSpec(name, (LAYOUTS[kind][0], *shape), kind) for name, shape, kind in rows])


@given(pairs=PAIRS, tensors=TENSORS, order=st.sampled_from("<>"))
@settings(max_examples=80, deadline=None)
def test_what_is_written_is_read(pairs: dict[str, tuple[ValueType, Any]], tensors: Any, order: str) -> None:
    header = read(build([(key, *value) for key, value in pairs.items()], tensors, order=order))
    assert list(header.metadata) == list(pairs)
    for key, (kind, value) in pairs.items():
        got = header.metadata[key]
        if kind is ARRAY:
            assert isinstance(got, ArrayValue)
            got = got.strings() if value.element_type is STRING else got.numbers()
            value = tuple(value.values)
        assert got == value
    assert [(t.name, t.shape, t.type, t.size_bytes) for t in header.tensors] == [
        (t.name, t.shape, t.type, t.size_bytes) for t in tensors
    ]


@given(pairs=PAIRS, tensors=TENSORS)
@settings(max_examples=40, deadline=None)
def test_the_gguf_package_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, tuple[ValueType, Any]], tensors: Any
) -> None:
    # Types younger than the package, and Q8_1, whose size it has wrong (40; `block_q8_1` in ggml has 36).
    known = {int(kind) for kind in gguf.GGMLQuantizationType} - {TensorType.Q8_1}
    tensors = [spec for spec in tensors if spec.type in known]
    # The package cannot read a file without any pair or tensor data, and reads nothing behind it.
    pairs = {"general.architecture": (STRING, "made"), **pairs}
    built = build([(key, *value) for key, value in pairs.items()], [*tensors, TensorSpec("last", (4,))])
    path = tmp_path_factory.mktemp("oracle") / "made.gguf"
    path.write_bytes(built.data)
    theirs, ours = gguf.GGUFReader(path), read(built)
    assert theirs.data_offset == ours.data_offset
    for key in pairs:
        mine = ours.metadata[key]
        if isinstance(mine, ArrayValue):
            mine = list(mine.strings() if mine.element_type is STRING else mine.numbers())
        assert theirs.fields[key].contents() == mine
    assert [
        (t.name, tuple(map(int, t.shape)), int(t.tensor_type), int(t.n_bytes)) for t in theirs.tensors
    ] == [(t.name, t.shape, int(t.type), t.size_bytes) for t in ours.tensors]
