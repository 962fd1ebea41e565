"""Models of the runs in `fresh_logs.json` that no other test needs, by their own configuration."""

from __future__ import annotations

from tests.model.writing import ARRAY, F32, U32, Array
from tests.plan.full_size import Shape
from tests.plan.layer_shapes import (
    Keys,
    Shapes,
    delta_keys,
    delta_layer,
    dense,
    expert_keys,
    experts,
    gemma,
    grouped,
    shared,
)
from tests.plan.shapes import SHAPES

from bringup.model.quants import TensorType

_SECTIONS: Keys = {"rope.dimension_sections": (ARRAY, Array(U32, [11, 11, 10, 0]))}


def _drafting(n_embd: int) -> Shapes:
    return {
        "nextn.eh_proj.weight": (2 * n_embd, n_embd),
        "nextn.enorm.weight": (n_embd,),
        "nextn.hnorm.weight": (n_embd,),
        "nextn.shared_head_norm.weight": (n_embd,),
    }


def qwen35(n_layer: int, n_embd: int, n_ff: int, heads: tuple[int, int, int], *, n_nextn: int = 0) -> Shape:
    """Gated delta net, dense feed-forward parts; `heads`: of queries, keys, and values in the net."""
    n_head, n_kv, n_value_heads = heads
    beside = {name: size for name, size in dense(n_embd, n_ff).items() if name != "ffn_norm.weight"}

    def layer(index: int) -> Shapes:
        rows = delta_layer(
            3 if index >= n_layer else index,
            n_embd=n_embd,
            n_head=n_head,
            n_kv=n_kv,
            n_value_heads=n_value_heads,
            beside=beside,
            is_joint=False,
        )
        return rows | (_drafting(n_embd) if index >= n_layer else {})

    return Shape(
        "qwen35",
        n_layer + n_nextn,
        n_embd,
        248_320,
        layer,
        {
            **delta_keys(n_value_heads),
            **_SECTIONS,
            **({"nextn_predict_layers": (U32, n_nextn)} if n_nextn else {}),
        },
        n_ctx=262_144,
        n_head=n_head,
        n_head_kv=n_kv,
        n_head_size=256,
        n_ff=n_ff,
        matrix=TensorType.Q4_K,
    )


def qwen35moe(n_layer: int, n_embd: int, n_ff: int, heads: tuple[int, int, int]) -> Shape:
    """The same with 256 experts, 8 of them used."""
    n_head, n_kv, n_value_heads = heads
    beside = experts(n_embd, n_ff, 256) | shared(n_embd, n_ff) | {"ffn_gate_inp_shexp.weight": (n_embd,)}
    return Shape(
        "qwen35moe",
        n_layer,
        n_embd,
        248_320,
        lambda index: delta_layer(
            index,
            n_embd=n_embd,
            n_head=n_head,
            n_kv=n_kv,
            n_value_heads=n_value_heads,
            beside=beside,
            is_joint=False,
        ),
        {
            **delta_keys(n_value_heads),
            **expert_keys(256, 8, n_ff),
            **_SECTIONS,
            "expert_shared_feed_forward_length": (U32, n_ff),
        },
        n_ctx=262_144,
        n_head=n_head,
        n_head_kv=n_kv,
        n_head_size=256,
        experts=TensorType.Q4_K,
    )


def _phi3_mini(_: int) -> Shapes:
    return {
        "attn_norm.weight": (3072,),
        "attn_qkv.weight": (3072, 9216),
        "attn_output.weight": (3072, 3072),
        "ffn_norm.weight": (3072,),
        "ffn_up.weight": (3072, 16_384),
        "ffn_down.weight": (8192, 3072),
    }


FRESH = SHAPES | {
    "Qwen3.5-122B-A10B": qwen35moe(48, 3072, 1024, (32, 2, 64)),
    "Qwen3.6-27B-MTP": qwen35(64, 5120, 17_408, (24, 4, 48), n_nextn=1),
    "SmolLM2-135M": Shape(
        "llama",
        30,
        576,
        49_152,
        grouped(576, 9, 3, 64, 1536),
        {"rope.dimension_count": (U32, 64)},
        n_ctx=8192,
        n_head=9,
        n_head_kv=3,
        n_head_size=64,
        n_ff=1536,
        is_tied=True,
    ),
    "Llama-3.2-3B": Shape(
        "llama",
        28,
        3072,
        128_256,
        grouped(3072, 24, 8, 128, 8192),
        {"rope.dimension_count": (U32, 128)},
        n_head=24,
        n_head_kv=8,
        n_ff=8192,
        is_tied=True,
    ),
    "Qwen2.5-7B": Shape(
        "qwen2",
        28,
        3584,
        152_064,
        grouped(3584, 28, 4, 128, 18_944, bias=True),
        {},
        n_ctx=32_768,
        n_head=28,
        n_head_kv=4,
        n_ff=18_944,
    ),
    "Qwen2.5-3B": Shape(
        "qwen2",
        36,
        2048,
        151_936,
        grouped(2048, 16, 2, 128, 11_008, bias=True),
        {},
        n_ctx=128_000,
        n_head=16,
        n_head_kv=2,
        n_ff=11_008,
        is_tied=True,
    ),
    "Qwen3-14B": Shape(
        "qwen3",
        40,
        5120,
        151_936,
        grouped(5120, 40, 8, 128, 17_408, norms=True),
        {},
        n_ctx=40_960,
        n_head=40,
        n_head_kv=8,
        n_ff=17_408,
    ),
    "gemma-2-2b": Shape(
        "gemma2",
        26,
        2304,
        256_000,
        lambda _: gemma(2304, 8, 4, 256, 9216, norms=False),
        {
            "attention.sliding_window": (U32, 4096),
            "attn_logit_softcapping": (F32, 50.0),
            "final_logit_softcapping": (F32, 30.0),
        },
        n_ctx=8192,
        n_head=8,
        n_head_kv=4,
        n_head_size=256,
        n_ff=9216,
        is_tied=True,
    ),
    "Phi-3-mini": Shape(
        "phi3",
        32,
        3072,
        32_064,
        _phi3_mini,
        {"rope.dimension_count": (U32, 96), "rope.scaling.original_context_length": (U32, 4096)},
        n_ctx=4096,
        n_head=32,
        n_head_kv=32,
        n_head_size=96,
        n_ff=8192,
    ),
}
