"""Models of the runs in `fresh_logs.json` that no other test needs, by their own configuration."""

from __future__ import annotations

from dataclasses import replace

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
    lfm2_layer,
    shared,
)
from tests.plan.more_shapes import windows
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


_E4B_OWN_KV = 24


def _gemma4_e4b_layer(index: int) -> Shapes:
    rows = gemma(2560, 8, 2, 512 if index % 6 == 5 else 256, 10_240, norms=True)
    if index >= _E4B_OWN_KV:
        for name in ("attn_k.weight", "attn_v.weight", "attn_k_norm.weight"):
            del rows[name]
    own: Shapes = {"inp_gate.weight": (2560, 256), "proj.weight": (256, 2560), "post_norm.weight": (2560,)}
    return rows | own


def _plain(
    family: str, n_layer: int, n_embd: int, n_vocab: int, heads: tuple[int, int, int], n_ff: int
) -> Shape:
    """Grouped attention and a gated feed-forward part; `heads` of queries and keys, and their width."""
    n_head, n_kv, size = heads
    is_qwen2, keys = family.startswith("qwen2"), {"rope.dimension_count": (U32, size)}
    layer = grouped(n_embd, n_head, n_kv, size, n_ff, bias=is_qwen2, norms=family == "qwen3")
    return Shape(
        family,
        n_layer,
        n_embd,
        n_vocab,
        layer,
        keys,
        n_head=n_head,
        n_head_kv=n_kv,
        n_head_size=size,
        n_ff=n_ff,
        is_tied=n_embd < 3584,
    )


_LFM25_ATTENTION = (2, 5, 9, 13, 17, 21, 25, 28)
"""Eight of 30, which follows from its cache; where they lie is made."""

FRESH = SHAPES | {
    "Qwen3.5-122B-A10B": qwen35moe(48, 3072, 1024, (32, 2, 64)),
    "Qwen3.6-27B-MTP": qwen35(64, 5120, 17_408, (24, 4, 48), n_nextn=1),
    "SmolLM2-135M": _plain("llama", 30, 576, 49_152, (9, 3, 64), 1536),
    "Llama-3.2-3B": _plain("llama", 28, 3072, 128_256, (24, 8, 128), 8192),
    "Qwen2.5-0.5B": _plain("qwen2", 24, 896, 151_936, (14, 2, 64), 4864),
    "Qwen2.5-3B": _plain("qwen2", 36, 2048, 151_936, (16, 2, 128), 11_008),
    "Qwen2.5-7B": _plain("qwen2", 28, 3584, 152_064, (28, 4, 128), 18_944),
    "Qwen3-0.6B": _plain("qwen3", 28, 1024, 151_936, (16, 8, 128), 3072),
    "Qwen3-8B": _plain("qwen3", 36, 4096, 151_936, (32, 8, 128), 12_288),
    "Qwen3-14B": _plain("qwen3", 40, 5120, 151_936, (40, 8, 128), 17_408),
    "Ministral-3-3B": _plain("mistral3", 26, 3072, 131_072, (32, 8, 128), 9216),
    "Granite-4.1-8B": replace(
        _plain("granite", 40, 4096, 100_352, (32, 8, 128), 12_800), keys=SHAPES["Granite-3.3-8B"].keys
    ),
    "Qwen2.5-VL-7B": replace(
        _plain("qwen2vl", 28, 3584, 152_064, (28, 4, 128), 18_944),
        keys={"rope.dimension_sections": (ARRAY, Array(U32, [16, 24, 24, 0]))},
    ),
    "Qwen3.5-9B": qwen35(32, 4096, 12_288, (16, 4, 32)),
    "gemma-4-E4B": replace(
        SHAPES["gemma-4-E2B"],
        n_layer=42,
        n_embd=2560,
        layer=_gemma4_e4b_layer,
        keys={**windows(42, 6, 512, per_layer=256), "attention.shared_kv_layers": (U32, 42 - _E4B_OWN_KV)},
        n_head_kv=2,
        n_ff=10_240,
        whole={
            "rope_freqs.weight": (256,),
            "per_layer_token_embd.weight": (256 * 42, 262_144),
            "per_layer_model_proj.weight": (2560, 256 * 42),
            "per_layer_proj_norm.weight": (256,),
        },
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
    "Llama-3.2-1B": _plain("llama", 16, 2048, 128_256, (32, 8, 64), 8192),
    "Orpheus-3B": _plain("llama", 28, 3072, 156_940, (24, 8, 128), 8192),
    "Qwen3-32B": _plain("qwen3", 64, 5120, 151_936, (64, 8, 128), 25_600),
    "Qwen3-0.6B-untied": replace(_plain("qwen3", 28, 1024, 151_936, (16, 8, 128), 3072), is_tied=False),
    "Qwen1.5-4B": replace(_plain("qwen2", 40, 2560, 151_936, (20, 20, 128), 6912), is_tied=False),
    "Qwen3.5-0.8B": replace(qwen35(24, 1024, 3584, (8, 2, 16)), is_tied=True),
    "Qwen3.5-4B": replace(qwen35(32, 2560, 9216, (16, 4, 32), n_nextn=1), is_tied=True),
    "Qwen3-VL-4B": replace(
        _plain("qwen3", 36, 2560, 151_936, (32, 8, 128), 9728),
        family="qwen3vl",
        keys={
            "rope.dimension_sections": (ARRAY, Array(U32, [24, 20, 20, 0])),
            "n_deepstack_layers": (U32, 3),
        },
    ),
    "gemma-3-4b": replace(
        SHAPES["gemma-3-12b"],
        n_layer=34,
        n_embd=2560,
        layer=lambda _: gemma(2560, 8, 4, 256, 10_240, norms=True),
        n_head=8,
        n_head_kv=4,
        n_ff=10_240,
    ),
    "LFM2.5-2.6B": replace(
        SHAPES["LFM2-1.2B"],
        n_layer=30,
        n_vocab=128_000,
        layer=lambda index: {**lfm2_layer(2 if index in _LFM25_ATTENTION else 0), **dense(2048, 10_752)},
        n_ff=10_752,
        keys={
            "attention.head_count_kv": (
                ARRAY,
                Array(U32, [8 if index in _LFM25_ATTENTION else 0 for index in range(30)]),
            ),
            "shortconv.l_cache": (U32, 3),
        },
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
