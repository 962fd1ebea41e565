"""Ways to damage a header: single fields for the crafted table, and random changes for the long runs."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.writing import ARRAY, STRING, U32, Array, Built, TensorSpec, build, tiny_llama

from bringup.model.quants import TensorType
from bringup.model.values import ValueType

NASTY = (2**31 - 1, 2**31, 2**32, 2**60, 2**63 - 1, 2**63, 2**64 - 1)


@dataclass(frozen=True)
class Case:
    """A damaged file. `says` is a part of what the error must say."""

    name: str
    data: bytes
    says: str = ""
    reference: str = ""


def crafted() -> tuple[Case, ...]:
    """Damages to one field each; all must be refused."""
    return (*_counts_and_lengths(), *_numbers(), *_layout(), *_repeated(), *_cuts())


def _counts_and_lengths() -> Iterator[Case]:
    built = tiny_llama()
    marks = {
        "n_tensors": "tensors",
        "n_pairs": "metadata pairs",
        "key:general.name": "key 1",
        "value:general.name": "general.name",
        "count:tokenizer.ggml.tokens": "tokenizer.ggml.tokens",
        "count:tokenizer.ggml.scores": "tokenizer.ggml.scores",
        "elements:tokenizer.ggml.tokens": "tokenizer.ggml.tokens",
        "name:blk.0.attn_q.weight": "the name of tensor",
        "offset:blk.0.attn_q.weight": "blk.0.attn_q.weight",
    }
    for mark, says in marks.items():
        for value in NASTY:
            yield Case(f"{mark} = {value}", built.patched(mark, "Q", value), says)
    for value in NASTY[3:]:
        shape = built.patched("shape:blk.0.attn_q.weight", "Q", value)
        yield Case(f"first dimension {value}", shape, "blk.0.attn_q.weight")
    for value in (5, 2**31 - 1, 2**31, 2**32 - 1):
        dimensions = built.patched("dimensions:output_norm.weight", "I", value)
        yield Case(f"{value} dimensions", dimensions, "at most 4 dimensions")
    # A narrowing cast would make 1 of this length (CVE-2025-49847's kind).
    yield Case("a token of 2^32 + 1 bytes", built.patched("elements:tokenizer.ggml.tokens", "Q", 2**32 + 1))


def _numbers() -> Iterator[Case]:
    built = tiny_llama()
    for value in (13, 14, 255, 2**31, 2**32 - 1):
        yield Case(f"value type {value}", built.patched("type:general.name", "I", value), "value type")
        element = built.patched("element:tokenizer.ggml.tokens", "I", value)
        yield Case(f"element type {value}", element, "value type")
    for value in (4, 5, 31, 32, 33, 36, 37, 38, 43, 99, 2**31, 2**32 - 1):
        kind = built.patched("ttype:output_norm.weight", "I", value)
        yield Case(f"tensor type {value}", kind, "a tensor type", "gguf-tensor-type")
    for version in (0, 1, 4, 7, 0x03000001, 2**32 - 1):
        yield Case(f"version {version}", built.patched("version", "I", version), "version", "gguf-version")
    for alignment in (0, 3, 24, 33, 2**31 + 1, 2**32 - 1):
        yield Case(
            f"alignment {alignment}",
            bytes(build([("general.alignment", U32, alignment)]).data),
            "power of two",
        )
    for kind in (ValueType.INT32, ValueType.UINT64, ValueType.UINT8, ValueType.BOOL):
        yield Case(
            f"alignment as {kind.name}", bytes(build([("general.alignment", kind, 1)]).data), "a uint32"
        )
    yield Case("alignment as text", bytes(build([("general.alignment", STRING, "32")]).data), "a uint32")


def _layout() -> Iterator[Case]:
    built = tiny_llama()
    for value in (1, 31, 32, 64, 2**40):
        moved = built.patched("offset:output_norm.weight", "Q", value)
        yield Case(f"second tensor at {value}", moved, "right behind", "gguf-tensor-offset")
    yield Case("first tensor not at 0", built.patched("offset:token_embd.weight", "Q", 32), "right behind")
    overflow = built.patched("shape:blk.0.attn_q.weight", "Q", 2**33)
    start = built.marks["shape:blk.0.attn_q.weight"] + 8
    both = bytearray(overflow)
    struct.pack_into("<Q", both, start, 2**33)
    yield Case("a product that wraps 64 bits", bytes(both), "2^63 elements")
    odd = build([], [TensorSpec("a", (32,), TensorType.Q4_0)]).patched("shape:a", "Q", 33)
    yield Case("a row that is no whole number of blocks", odd, "multiple of 32")
    deep: object = Array(ValueType.UINT8, [1])
    for _ in range(40):
        deep = Array(ARRAY, [deep])
    yield Case("arrays nested 41 deep", bytes(build([("deep", ARRAY, deep)]).data), "nested")
    wide = Array(ARRAY, [Array(ARRAY, [Array(ValueType.UINT8, [])] * 300)] * 300)
    yield Case(
        "90,300 arrays within arrays", bytes(build([("wide", ARRAY, wide)]).data), "elements of type array"
    )
    yield Case("a tensor name of 64 bytes", bytes(build([], [TensorSpec("n" * 64, (1,))]).data), "at most 63")


def _repeated() -> Iterator[Case]:
    yield Case("a key twice", bytes(build([("a", U32, 1), ("a", U32, 2)]).data), "each key once")
    yield Case("an empty key", bytes(build([("", U32, 1)]).data), "empty key")
    twice = [TensorSpec("a", (1,)), TensorSpec("a", (1,))]
    yield Case("a tensor twice", bytes(build([], twice).data), "each tensor once")


def _cuts() -> Iterator[Case]:
    built = tiny_llama()
    marks = ("version", "n_tensors", "n_pairs", "key:general.name", "type:general.name", "value:general.name")
    for mark in (
        *marks,
        "elements:tokenizer.ggml.tokens",
        "name:output_norm.weight",
        "ttype:output_norm.weight",
    ):
        yield Case(f"cut inside {mark}", bytes(built.data[: built.marks[mark] + 2]))
    yield Case("only the magic", b"GGUF", reference="gguf-cut-short")


def mutated(built: Built, rng: random.Random) -> bytes:
    """One random file near a sound one."""
    data = bytearray(built.data[: built.marks["data"] + 64])
    offsets = list(built.marks.values())
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _change(data, offsets, rng)
    return bytes(data)


def _change(data: bytearray, offsets: list[int], rng: random.Random) -> None:
    at = rng.choice(offsets) if rng.random() < 0.6 else rng.randrange(len(data) or 1)
    what = rng.randrange(7)
    if what == 0:
        data[at : at + 1] = bytes([rng.randrange(256)])
    elif what == 1:
        data[at : at + 8] = rng.choice((0, 1, *NASTY)).to_bytes(8, "little")
    elif what == 2:
        data[at : at + 4] = rng.choice((0, 1, 9, 2**31 - 1, 2**31, 2**32 - 1)).to_bytes(4, "little")
    elif what == 3:
        del data[at:]
    elif what == 4:
        data[at:at] = rng.randbytes(rng.randrange(1, 40))
    elif what == 5:
        del data[at : at + rng.randrange(1, 40)]
    else:
        source = rng.choice(offsets)
        data[at : at + 64] = data[source : source + 64]
