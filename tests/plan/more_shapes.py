"""Further models: per-layer embeddings, gated attention, hybrids with experts, norms behind."""

from __future__ import annotations

from tests.model.writing import ARRAY, BOOL, F32, U32, Array
from tests.plan.full_size import Shape
from tests.plan.layer_shapes import Keys, Shapes, attention, dense, expert_keys, experts, gemma, shared


def windows(n_layer: int, period: int, n_swa: int, *, per_layer: int) -> Keys:
    flags = [index % period != period - 1 for index in range(n_layer)]
    return {
        "attention.sliding_window": (U32, n_swa),
        "attention.sliding_window_pattern": (ARRAY, Array(BOOL, flags)),
        "attention.key_length_swa": (U32, 256),
        "attention.value_length_swa": (U32, 256),
        "embedding_length_per_layer_input": (U32, per_layer),
        "rope.dimension_count": (U32, 512),
        "rope.dimension_count_swa": (U32, 256),
        "final_logit_softcapping": (F32, 30.0),
    }


_OWN_KV = 15
"""Layers of gemma-4-E2B that keep keys and values; the later ones are wider and read theirs."""


def gemma4_e2b_layer(index: int) -> Shapes:
    n_ff = 6144 if index < _OWN_KV else 12_288
    rows = gemma(1536, 8, 1, 512 if index % 5 == 4 else 256, n_ff, norms=True)
    if index >= _OWN_KV:
        for name in ("attn_k.weight", "attn_v.weight", "attn_k_norm.weight"):
            del rows[name]
    own: Shapes = {"inp_gate.weight": (1536, 256), "proj.weight": (256, 1536), "post_norm.weight": (1536,)}
    return rows | own


def gemma4_moe_layer(index: int) -> Shapes:
    is_full = index % 6 == 5
    rows = gemma(2816, 16, 2 if is_full else 8, 512 if is_full else 256, 2112, norms=True)
    if is_full:
        del rows["attn_v.weight"]
    return rows | {
        "ffn_gate_inp.weight": (2816, 128),
        "ffn_gate_inp.scale": (2816,),
        "pre_ffw_norm_2.weight": (2816,),
        "post_ffw_norm_1.weight": (2816,),
        "post_ffw_norm_2.weight": (2816,),
        "ffn_gate_up_exps.weight": (2816, 1408, 128),
        "ffn_down_exps.weight": (704, 2816, 128),
    }


def afmoe_layer(index: int) -> Shapes:
    rows = attention({"E": 1024, "H": 8, "KV": 2, "D": 128}, norms=True) | {
        "post_attention_norm.weight": (1024,),
        "attn_gate.weight": (1024, 1024),
        "ffn_norm.weight": (1024,),
        "post_ffw_norm.weight": (1024,),
    }
    if index < 2:
        return rows | dense(1024, 3072)
    return rows | experts(1024, 256, 128) | shared(1024, 256) | {"exp_probs_b.bias": (128,)}


def minimax_layer(_: int) -> Shapes:
    rows = attention({"E": 3072, "H": 48, "KV": 8, "D": 128})
    whole: Shapes = {"attn_q_norm.weight": (6144,), "attn_k_norm.weight": (1024,), "ffn_norm.weight": (3072,)}
    return rows | whole | experts(3072, 1536, 256) | {"exp_probs_b.bias": (256,)}


def olmo2_layer(_: int) -> Shapes:
    rows = attention({"E": 4096, "H": 32, "KV": 32, "D": 128}) | dense(4096, 11_008)
    del rows["attn_norm.weight"], rows["ffn_norm.weight"]
    norms = ("attn_q_norm", "attn_k_norm", "post_attention_norm", "post_ffw_norm")
    return rows | {f"{name}.weight": (4096,) for name in norms}


def granite_hybrid_layer(index: int) -> Shapes:
    beside: Shapes = {"ffn_norm.weight": (1536,)} | experts(1536, 512, 64) | shared(1536, 1024)
    if index % 10 == 5:
        return attention({"E": 1536, "H": 12, "KV": 4, "D": 128}) | beside
    return beside | {
        "attn_norm.weight": (1536,),
        "ssm_in.weight": (1536, 2 * 3072 + 2 * 128 + 48),
        "ssm_conv1d.weight": (4, 3072 + 256),
        "ssm_conv1d.bias": (3328,),
        "ssm_dt.bias": (48,),
        "ssm_a": (1, 48),
        "ssm_d": (1, 48),
        "ssm_norm.weight": (3072, 1),
        "ssm_out.weight": (3072, 1536),
    }


MORE = {
    "gemma-4-E2B": Shape(
        "gemma4",
        35,
        1536,
        262_144,
        gemma4_e2b_layer,
        {
            **windows(35, 5, 512, per_layer=256),
            "attention.shared_kv_layers": (U32, 35 - _OWN_KV),
            "feed_forward_length": (ARRAY, Array(U32, [6144] * _OWN_KV + [12_288] * (35 - _OWN_KV))),
        },
        n_head=8,
        n_head_kv=1,
        n_head_size=512,
        is_tied=True,
        whole={
            "rope_freqs.weight": (256,),
            "per_layer_token_embd.weight": (256 * 35, 262_144),
            "per_layer_model_proj.weight": (1536, 256 * 35),
            "per_layer_proj_norm.weight": (256,),
        },
    ),
    "gemma-4-26B-A4B": Shape(
        "gemma4",
        30,
        2816,
        262_144,
        gemma4_moe_layer,
        {
            **expert_keys(128, 8, 704),
            **windows(30, 6, 1024, per_layer=0),
            "attention.head_count_kv": (ARRAY, Array(U32, [2 if i % 6 == 5 else 8 for i in range(30)])),
        },
        n_ctx=262_144,
        n_head=16,
        n_head_size=512,
        n_ff=2112,
        is_tied=True,
        whole={"rope_freqs.weight": (256,)},
    ),
    "Trinity-Nano": Shape(
        "afmoe",
        56,
        1024,
        200_192,
        afmoe_layer,
        {
            **expert_keys(128, 8, 256),
            "leading_dense_block_count": (U32, 2),
            "expert_shared_count": (U32, 1),
            "expert_gating_func": (U32, 2),
            "attention.sliding_window": (U32, 2048),
        },
        n_head=8,
        n_head_kv=2,
        n_ff=3072,
    ),
    "MiniMax-M2": Shape(
        "minimax-m2",
        62,
        3072,
        200_064,
        minimax_layer,
        {
            **expert_keys(256, 8, 1536),
            "expert_gating_func": (U32, 2),
            "rope.dimension_count": (U32, 64),
        },
        n_head=48,
        n_head_kv=8,
        n_ff=1536,
    ),
    "OLMo-2-7B": Shape(
        "olmo2", 32, 4096, 100_352, olmo2_layer, {}, n_ctx=4096, n_head=32, n_head_kv=32, n_ff=11_008
    ),
    "Granite-4-H-Tiny": Shape(
        "granitehybrid",
        40,
        1536,
        100_352,
        granite_hybrid_layer,
        {
            **expert_keys(64, 6, 512),
            "expert_shared_feed_forward_length": (U32, 1024),
            "ssm.conv_kernel": (U32, 4),
            "ssm.inner_size": (U32, 3072),
            "ssm.state_size": (U32, 128),
            "ssm.time_step_rank": (U32, 48),
            "ssm.group_count": (U32, 1),
            "attention.head_count_kv": (ARRAY, Array(U32, [4 if i % 10 == 5 else 0 for i in range(40)])),
        },
        n_head=12,
        n_ff=512,
        is_tied=True,
    ),
}
