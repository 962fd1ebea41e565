"""Writes GGUF files for tests and remembers where each field went, so that a test can damage one of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from bringup.model.quants import LAYOUTS, TensorType
from bringup.model.source import BufferSource
from bringup.model.values import FORMATS, ValueType


@dataclass(frozen=True)
class Array:
    """An array value: type of its elements and the elements (arrays again for nested ones)."""

    element_type: ValueType
    values: Sequence[Any]


@dataclass(frozen=True)
class TensorSpec:
    """A tensor to write; the shape is in ggml's order."""

    name: str
    shape: tuple[int, ...]
    type: TensorType = TensorType.F32

    @property
    def size_bytes(self) -> int:
        """Bytes of its data."""
        elements = 1
        for length in self.shape:
            elements *= length
        block, size = LAYOUTS[self.type]
        return elements // block * size


Pair = tuple[str, ValueType, Any]


@dataclass
class Built:
    """A written file: `marks` says at which byte each field stands."""

    order: str = "<"
    data: bytearray = field(default_factory=bytearray)
    marks: dict[str, int] = field(default_factory=dict)

    def patched(self, mark: str, letter: str, value: Any) -> bytes:
        """The file with one field overwritten."""
        copy = bytearray(self.data)
        struct.pack_into(self.order + letter, copy, self.marks[mark], value)
        return bytes(copy)

    def number(self, letter: str, value: Any, mark: str = "") -> None:
        """Append one number."""
        if mark:
            self.marks[mark] = len(self.data)
        self.data += struct.pack(self.order + letter, value)

    def string(self, text: str | bytes, mark: str = "") -> None:
        """Append a length and a text."""
        raw = text.encode() if isinstance(text, str) else text
        self.number("Q", len(raw), mark)
        self.data += raw

    def value(self, key: str, kind: ValueType, value: Any) -> None:
        """Append a value with its type."""
        self.number("I", kind, f"type:{key}")
        self._content(key, kind, value)

    def _content(self, key: str, kind: ValueType, value: Any) -> None:
        if kind is ValueType.ARRAY:
            self.number("I", value.element_type, f"element:{key}")
            self.number("Q", len(value.values), f"count:{key}")
            self.marks[f"elements:{key}"] = len(self.data)
            if value.element_type is ValueType.STRING:
                for item in value.values:
                    self.string(item)
            elif value.element_type is ValueType.ARRAY:
                for item in value.values:
                    self._content(key, ValueType.ARRAY, item)
            else:
                letter = FORMATS[value.element_type]
                self.data += struct.pack(f"{self.order}{len(value.values)}{letter}", *value.values)
        elif kind is ValueType.STRING:
            self.string(value, f"value:{key}")
        else:
            self.number(FORMATS[kind], value, f"value:{key}")


def mapped(path: Path) -> BufferSource:
    """A file of any size as a source."""
    with path.open("rb") as file:
        return BufferSource(memoryview(mmap(file.fileno(), 0, access=ACCESS_READ)), name=str(path))


def build(
    pairs: Sequence[Pair],
    tensors: Sequence[TensorSpec] = (),
    *,
    order: str = "<",
    version: int = 3,
    alignment: int = 32,
    with_weights: bool = True,
) -> Built:
    """A sound file. Weights are zeros. `alignment` must agree with a `general.alignment` among the pairs."""
    built = Built(order)
    built.data += b"GGUF"
    built.number("I", version, "version")
    built.number("Q", len(tensors), "n_tensors")
    built.number("Q", len(pairs), "n_pairs")
    for key, kind, value in pairs:
        built.string(key, f"key:{key}")
        built.value(key, kind, value)
    offset = 0
    for tensor in tensors:
        built.string(tensor.name, f"name:{tensor.name}")
        built.number("I", len(tensor.shape), f"dimensions:{tensor.name}")
        built.marks[f"shape:{tensor.name}"] = len(built.data)
        for length in tensor.shape:
            built.number("Q", length)
        built.number("I", tensor.type, f"ttype:{tensor.name}")
        built.number("Q", offset, f"offset:{tensor.name}")
        offset += -(-tensor.size_bytes // alignment) * alignment
    built.marks["end"] = len(built.data)
    if tensors:
        built.data += bytes(-len(built.data) % alignment)
    built.marks["data"] = len(built.data)
    if with_weights:
        built.data += bytes(offset)
    return built


U32, F32, STRING, BOOL, ARRAY = (
    ValueType.UINT32,
    ValueType.FLOAT32,
    ValueType.STRING,
    ValueType.BOOL,
    ValueType.ARRAY,
)

N_EMBD, N_HEAD, N_HEAD_KV, N_LAYER, N_FF = 64, 4, 2, 2, 128
TOKENS = (
    "<unk>",
    "<s>",
    "</s>",
    *(f"<0x{byte:02X}>" for byte in range(256)),
    *(chr(97 + n) for n in range(26)),
)


def llama_pairs(**changes: Any) -> list[Pair]:
    """Metadata of a tiny llama that a real engine loads.

    Args:
        changes: suffix with `_` for `.` (`attention_head_count`) or the whole key: a pair's `(type, value)`
            in its place, or `None` to leave it out. New keys are appended.
    """
    pairs: dict[str, tuple[ValueType, Any]] = {
        "general.architecture": (STRING, "llama"),
        "general.name": (STRING, "tiny"),
        "llama.block_count": (U32, N_LAYER),
        "llama.context_length": (U32, 256),
        "llama.embedding_length": (U32, N_EMBD),
        "llama.feed_forward_length": (U32, N_FF),
        "llama.attention.head_count": (U32, N_HEAD),
        "llama.attention.head_count_kv": (U32, N_HEAD_KV),
        "llama.attention.layer_norm_rms_epsilon": (F32, 1e-5),
        "llama.rope.dimension_count": (U32, N_EMBD // N_HEAD),
        "llama.rope.freq_base": (F32, 10000.0),
        "tokenizer.ggml.model": (STRING, "llama"),
        "tokenizer.ggml.tokens": (ARRAY, Array(STRING, TOKENS)),
        "tokenizer.ggml.scores": (ARRAY, Array(F32, [0.0] * len(TOKENS))),
        "tokenizer.ggml.token_type": (ARRAY, Array(ValueType.INT32, [2, 3, 3, *[6] * 256, *[1] * 26])),
        "tokenizer.ggml.bos_token_id": (U32, 1),
        "tokenizer.ggml.eos_token_id": (U32, 2),
        "tokenizer.ggml.unknown_token_id": (U32, 0),
        "tokenizer.ggml.add_bos_token": (BOOL, True),
    }
    for key, change in changes.items():
        if change is None:
            del pairs[key]
        else:
            pairs[key] = change
    return [(key, kind, value) for key, (kind, value) in pairs.items()]


def llama_tensors(n_layer: int = N_LAYER) -> list[TensorSpec]:
    """Tensors of that llama."""
    head = N_EMBD // N_HEAD
    tensors = [
        TensorSpec("token_embd.weight", (N_EMBD, len(TOKENS))),
        TensorSpec("output_norm.weight", (N_EMBD,)),
    ]
    for index in range(n_layer):
        shapes = {
            "attn_norm": (N_EMBD,),
            "attn_q": (N_EMBD, N_HEAD * head),
            "attn_k": (N_EMBD, N_HEAD_KV * head),
            "attn_v": (N_EMBD, N_HEAD_KV * head),
            "attn_output": (N_HEAD * head, N_EMBD),
            "ffn_norm": (N_EMBD,),
            "ffn_gate": (N_EMBD, N_FF),
            "ffn_up": (N_EMBD, N_FF),
            "ffn_down": (N_FF, N_EMBD),
        }
        tensors += [TensorSpec(f"blk.{index}.{name}.weight", shape) for name, shape in shapes.items()]
    return tensors


def tiny_llama(**changes: Any) -> Built:
    """The tiny llama, whole, with changed metadata."""
    return build(llama_pairs(**changes), llama_tensors())


def gpt_oss_20b() -> Built:
    """Header of gpt-oss-20b's true shapes: 201,088 tokens, 446,000 merges, 459 tensors; no weights."""
    tokens = [_token(number) for number in range(201_088)]
    merges = [f"{tokens[n * 7 % 199_000]} {tokens[n * 13 % 199_000]}" for n in range(446_000)]
    pairs: list[Pair] = [
        ("general.architecture", STRING, "gpt-oss"),
        ("general.name", STRING, "gpt-oss-20b (made: shapes only)"),
        ("gpt-oss.block_count", U32, 24),
        ("gpt-oss.context_length", U32, 131_072),
        ("gpt-oss.embedding_length", U32, 2880),
        ("gpt-oss.feed_forward_length", U32, 2880),
        ("gpt-oss.expert_feed_forward_length", U32, 2880),
        ("gpt-oss.attention.head_count", U32, 64),
        ("gpt-oss.attention.head_count_kv", U32, 8),
        ("gpt-oss.attention.key_length", U32, 64),
        ("gpt-oss.attention.value_length", U32, 64),
        ("gpt-oss.attention.sliding_window", U32, 128),
        ("gpt-oss.attention.layer_norm_rms_epsilon", F32, 1e-5),
        ("gpt-oss.expert_count", U32, 32),
        ("gpt-oss.expert_used_count", U32, 4),
        ("gpt-oss.rope.freq_base", F32, 150_000.0),
        ("gpt-oss.rope.scaling.type", STRING, "yarn"),
        ("gpt-oss.rope.scaling.factor", F32, 32.0),
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "gpt-4o"),
        ("tokenizer.ggml.tokens", ARRAY, Array(STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, Array(ValueType.INT32, [1] * len(tokens))),
        ("tokenizer.ggml.merges", ARRAY, Array(STRING, merges)),
        ("tokenizer.ggml.bos_token_id", U32, 199_998),
        ("tokenizer.ggml.eos_token_id", U32, 200_002),
        (
            "tokenizer.chat_template",
            STRING,
            "{% for message in messages %}{{ message.content }}{% endfor %}" * 100,
        ),
    ]
    return build(pairs, _gpt_oss_tensors(), with_weights=False)


def _token(number: int) -> str:
    """A text of 1 to 14 letters, each number its own; lengths spread as in a real vocabulary."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text += letters[digit]
        if not number:
            break
    return text + "Ġ" * (len(text) % 3) + "ing" * (ord(text[0]) % 3)


def _gpt_oss_tensors() -> list[TensorSpec]:
    kind, q8, mx = TensorType.F32, TensorType.Q8_0, TensorType.MXFP4
    tensors = [
        TensorSpec("token_embd.weight", (2880, 201_088), q8),
        TensorSpec("output_norm.weight", (2880,), kind),
        TensorSpec("output.weight", (2880, 201_088), q8),
    ]
    for index in range(24):
        block = f"blk.{index}."
        for name, shape, how in (
            ("attn_norm.weight", (2880,), kind),
            ("attn_q.weight", (2880, 4096), q8),
            ("attn_q.bias", (4096,), kind),
            ("attn_k.weight", (2880, 512), q8),
            ("attn_k.bias", (512,), kind),
            ("attn_v.weight", (2880, 512), q8),
            ("attn_v.bias", (512,), kind),
            ("attn_output.weight", (4096, 2880), q8),
            ("attn_output.bias", (2880,), kind),
            ("attn_sinks.weight", (64,), kind),
            ("post_attention_norm.weight", (2880,), kind),
            ("ffn_gate_inp.weight", (2880, 32), kind),
            ("ffn_gate_inp.bias", (32,), kind),
            ("ffn_gate_exps.weight", (2880, 2880, 32), mx),
            ("ffn_gate_exps.bias", (2880, 32), kind),
            ("ffn_up_exps.weight", (2880, 2880, 32), mx),
            ("ffn_up_exps.bias", (2880, 32), kind),
            ("ffn_down_exps.weight", (2880, 2880, 32), mx),
            ("ffn_down_exps.bias", (2880, 32), kind),
        ):
            tensors.append(TensorSpec(block + name, shape, how))
    return tensors
