"""Full-size models without weights, as the headers of public models have them; tests plan on these.

Shapes and keys are those of the models' own configuration; tensors are of one type each, so that sizes are
exact only where a real file has that type too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.model.writing import ARRAY, F32, STRING, U32, Array, Pair, TensorSpec, build

from bringup.model.gguf import read_header
from bringup.model.quants import TensorType
from bringup.model.shards import Model, assemble
from bringup.model.source import BufferSource
from bringup.plan.anatomy import Anatomy, take_apart

Q8, F = TensorType.Q8_0, TensorType.F32
Shapes = dict[str, tuple[int, ...]]
Keys = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Shape:
    """One model: its figures, the tensors of each layer and those beside the layers."""

    family: str
    n_layer: int
    n_embd: int
    n_vocab: int
    layer: Callable[[int], Shapes]
    keys: Keys
    n_ctx: int = 131_072
    n_head: int = 0
    n_head_kv: int = 0
    n_head_size: int = 128
    n_ff: int = 0
    is_tied: bool = False
    matrix: TensorType = Q8
    experts: TensorType = Q8
    whole: Shapes = field(default_factory=dict)
    types: Mapping[str, TensorType] = field(default_factory=dict)


def attention(shape: Mapping[str, int], *, bias: bool = False, norms: bool = False) -> Shapes:
    """Four matrices of grouped attention."""
    n_embd, n_query, n_kv = shape["E"], shape["H"] * shape["D"], shape["KV"] * shape["D"]
    rows: Shapes = {
        "attn_norm.weight": (n_embd,),
        "attn_q.weight": (n_embd, n_query),
        "attn_k.weight": (n_embd, n_kv),
        "attn_v.weight": (n_embd, n_kv),
        "attn_output.weight": (n_query, n_embd),
    }
    if bias:
        rows |= {"attn_q.bias": (n_query,), "attn_k.bias": (n_kv,), "attn_v.bias": (n_kv,)}
    if norms:
        rows |= {"attn_q_norm.weight": (shape["D"],), "attn_k_norm.weight": (shape["D"],)}
    return rows


def dense(n_embd: int, n_ff: int) -> Shapes:
    """A gated feed-forward part."""
    return {
        "ffn_norm.weight": (n_embd,),
        "ffn_gate.weight": (n_embd, n_ff),
        "ffn_up.weight": (n_embd, n_ff),
        "ffn_down.weight": (n_ff, n_embd),
    }


def experts(n_embd: int, n_ff: int, n_expert: int) -> Shapes:
    """Router and gated experts."""
    return {
        "ffn_gate_inp.weight": (n_embd, n_expert),
        "ffn_gate_exps.weight": (n_embd, n_ff, n_expert),
        "ffn_up_exps.weight": (n_embd, n_ff, n_expert),
        "ffn_down_exps.weight": (n_ff, n_embd, n_expert),
    }


def expert_keys(n_expert: int, n_used: int, n_ff: int) -> Keys:
    """Keys of a model with experts."""
    return {
        "expert_count": (U32, n_expert),
        "expert_used_count": (U32, n_used),
        "expert_feed_forward_length": (U32, n_ff),
    }


def _gpt_oss_layer(_: int) -> Shapes:
    n_embd, n_expert = 2880, 32
    return {
        **attention({"E": n_embd, "H": 64, "KV": 8, "D": 64}, bias=True),
        "attn_output.bias": (n_embd,),
        "attn_sinks.weight": (64,),
        "post_attention_norm.weight": (n_embd,),
        **experts(n_embd, 2880, n_expert),
        "ffn_gate_inp.bias": (n_expert,),
        "ffn_gate_exps.bias": (2880, n_expert),
        "ffn_up_exps.bias": (2880, n_expert),
        "ffn_down_exps.bias": (n_embd, n_expert),
    }


SHAPES: dict[str, Shape] = {
    "gpt-oss-20b": Shape(
        "gpt-oss",
        24,
        2880,
        201_088,
        _gpt_oss_layer,
        {**expert_keys(32, 4, 2880), "attention.sliding_window": (U32, 128)},
        n_head=64,
        n_head_kv=8,
        n_head_size=64,
        n_ff=2880,
        experts=TensorType.MXFP4,
    ),
    "Llama-3.1-8B": Shape(
        "llama",
        32,
        4096,
        128_256,
        lambda _: {**attention({"E": 4096, "H": 32, "KV": 8, "D": 128}), **dense(4096, 14_336)},
        {"rope.dimension_count": (U32, 128)},
        n_head=32,
        n_head_kv=8,
        n_ff=14_336,
        matrix=TensorType.Q4_0,
    ),
}


def header_bytes(name: str, *, n_layer: int | None = None) -> tuple[bytes, int]:
    """The file up to its weights, and the size that the whole would have."""
    shape = SHAPES[name]
    count = n_layer or shape.n_layer
    tensors = list(_tensors(shape, count))
    built = build(list(_pairs(shape, count)), tensors, with_weights=False)
    return bytes(built.data), len(built.data) + sum(-(-tensor.size_bytes // 32) * 32 for tensor in tensors)


@cache
def model(name: str) -> Model:
    """A model without weights."""
    data, size_bytes = header_bytes(name)
    return assemble((read_header(BufferSource(data, name=f"{name}.gguf", size_bytes=size_bytes)),))


@cache
def anatomy(name: str) -> Anatomy:
    """The same, taken apart."""
    return take_apart(model(name))


def _pairs(shape: Shape, n_layer: int) -> Iterator[Pair]:
    yield ("general.architecture", STRING, shape.family)
    keys: Keys = {
        "block_count": (U32, n_layer),
        "context_length": (U32, shape.n_ctx),
        "embedding_length": (U32, shape.n_embd),
        "feed_forward_length": (U32, shape.n_ff),
        "attention.head_count": (U32, shape.n_head),
        "attention.head_count_kv": (U32, shape.n_head_kv),
        "attention.layer_norm_rms_epsilon": (F32, 1e-5),
        **({"attention.key_length": (U32, shape.n_head_size)} if shape.n_head_size else {}),
        **({"attention.value_length": (U32, shape.n_head_size)} if shape.n_head_size else {}),
        **shape.keys,
    }
    for suffix, (kind, value) in keys.items():
        yield (f"{shape.family}.{suffix}", kind, value)
    yield ("tokenizer.ggml.model", STRING, "llama")
    yield ("tokenizer.ggml.tokens", ARRAY, Array(STRING, list(_words(shape.n_vocab))))
    yield ("tokenizer.ggml.scores", ARRAY, Array(F32, [0.0] * shape.n_vocab))
    yield ("tokenizer.ggml.token_type", ARRAY, Array(U32, [1] * shape.n_vocab))


def _words(count: int) -> Iterator[str]:
    yield from ("<unk>", "<s>", "</s>", "\n")
    for number in range(4, count):
        yield f"w{number}"


def _tensors(shape: Shape, n_layer: int) -> Iterator[TensorSpec]:
    whole: Shapes = {
        "token_embd.weight": (shape.n_embd, shape.n_vocab),
        "output_norm.weight": (shape.n_embd,),
        **({} if shape.is_tied else {"output.weight": (shape.n_embd, shape.n_vocab)}),
        **shape.whole,
    }
    for name, size in whole.items():
        yield TensorSpec(name, size, _type(shape, name, size))
    for index in range(n_layer):
        for suffix, size in shape.layer(index).items():
            yield TensorSpec(f"blk.{index}.{suffix}", size, _type(shape, suffix, size))


_PLAIN = ("ffn_gate_inp.", "ssm_conv1d.", "shortconv.conv.", "ssm_a", "ssm_d", "ssm_x.", "ssm_dt.")


def _type(shape: Shape, name: str, size: tuple[int, ...]) -> TensorType:
    for part, kind in shape.types.items():
        if part in name:
            return kind
    if len(size) < 2 or name.endswith(".bias") or name.startswith(_PLAIN):
        return F
    return shape.experts if "_exps." in name else shape.matrix
