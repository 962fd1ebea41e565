"""Full-size models without weights, as the headers of public models have them; tests plan on these.

Shapes and keys are those of the models' own configuration; tensors are of one type each, so that sizes are
exact only where a real file has that type too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.model.writing import F32, STRING, U32, Pair, TensorSpec, build
from tests.plan.layer_shapes import Keys, Shapes

from bringup.model.quants import TensorType

Q8, F = TensorType.Q8_0, TensorType.F32


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


def header_bytes(shape: Shape) -> tuple[bytes, int]:
    """The file up to its weights, and the size that the whole would have."""
    tensors = list(_tensors(shape, shape.n_layer))
    built = build(list(_pairs(shape, shape.n_layer)), tensors, with_weights=False)
    return bytes(built.data), len(built.data) + sum(-(-tensor.size_bytes // 32) * 32 for tensor in tensors)


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
    yield (f"{shape.family}.vocab_size", U32, shape.n_vocab)
    yield ("tokenizer.ggml.model", STRING, "no_vocab")


def _tensors(shape: Shape, n_layer: int) -> Iterator[TensorSpec]:
    whole: Shapes = {
        "token_embd.weight": (shape.n_embd, shape.n_vocab),
        **({} if "token_embd_norm.weight" in shape.whole else {"output_norm.weight": (shape.n_embd,)}),
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
