"""Tensors of a layer of several families, by their names behind `blk.N.`, in full size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.model.writing import BOOL, F32, U32

Shapes = dict[str, tuple[int, ...]]
Keys = dict[str, tuple[Any, Any]]


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


def gpt_oss_layer(_: int) -> Shapes:
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


def grouped(
    n_embd: int, n_head: int, n_kv: int, size: int, n_ff: int, *, bias: bool = False, norms: bool = False
) -> Callable[[int], Shapes]:
    """A dense layer with grouped attention."""
    heads = {"E": n_embd, "H": n_head, "KV": n_kv, "D": size}
    rows = {**attention(heads, bias=bias, norms=norms), **dense(n_embd, n_ff)}
    return lambda _: rows


def with_experts(
    n_embd: int, n_head: int, n_kv: int, size: int, n_ff: int, n_expert: int, *, norms: bool = False
) -> Callable[[int], Shapes]:
    """A layer with grouped attention and experts."""
    heads = {"E": n_embd, "H": n_head, "KV": n_kv, "D": size}
    rows = {
        **attention(heads, norms=norms),
        "ffn_norm.weight": (n_embd,),
        **experts(n_embd, n_ff, n_expert),
    }
    return lambda _: rows


def gemma(n_embd: int, n_head: int, n_kv: int, size: int, n_ff: int, *, norms: bool) -> Shapes:
    heads = {"E": n_embd, "H": n_head, "KV": n_kv, "D": size}
    return {
        **attention(heads, norms=norms),
        **dense(n_embd, n_ff),
        "post_attention_norm.weight": (n_embd,),
        "post_ffw_norm.weight": (n_embd,),
    }


def gemma4_layer(index: int) -> Shapes:
    n_embd, n_head = 3840, 16
    is_full = index % 6 == 5
    size, n_kv = (512, 1) if is_full else (256, 8)
    rows = gemma(n_embd, n_head, n_kv, size, 15_360, norms=True)
    if is_full:
        del rows["attn_v.weight"]
    return rows


def phi3_layer(_: int) -> Shapes:
    n_embd, n_ff = 5120, 17_920
    return {
        "attn_norm.weight": (n_embd,),
        "attn_qkv.weight": (n_embd, 5120 + 2 * 1280),
        "attn_output.weight": (5120, n_embd),
        "ffn_norm.weight": (n_embd,),
        "ffn_up.weight": (n_embd, 2 * n_ff),
        "ffn_down.weight": (n_ff, n_embd),
    }


def command_r_layer(_: int) -> Shapes:
    rows = {**attention({"E": 8192, "H": 64, "KV": 8, "D": 128}), **dense(8192, 24_576)}
    del rows["ffn_norm.weight"]
    return rows


def glm4_layer(_: int) -> Shapes:
    n_embd, n_ff = 6144, 23_040
    return {
        **attention({"E": n_embd, "H": 48, "KV": 2, "D": 128}),
        "post_attention_norm.weight": (n_embd,),
        "ffn_norm.weight": (n_embd,),
        "ffn_up.weight": (n_embd, 2 * n_ff),
        "ffn_down.weight": (n_ff, n_embd),
        "post_ffw_norm.weight": (n_embd,),
    }


def shared(n_embd: int, n_ff: int) -> Shapes:
    return {
        "ffn_gate_shexp.weight": (n_embd, n_ff),
        "ffn_up_shexp.weight": (n_embd, n_ff),
        "ffn_down_shexp.weight": (n_ff, n_embd),
    }


def glm4moe_layer(index: int) -> Shapes:
    n_embd = 4096
    rows: Shapes = {
        **attention({"E": n_embd, "H": 96, "KV": 8, "D": 128}, bias=True),
        "post_attention_norm.weight": (n_embd,),
    }
    if index < 1:
        rows |= {name: size for name, size in dense(n_embd, 10_944).items() if name != "ffn_norm.weight"}
    else:
        rows |= {**experts(n_embd, 1408, 128), **shared(n_embd, 1408), "exp_probs_b.bias": (128,)}
    if index == 46:
        rows |= {
            "nextn.eh_proj.weight": (2 * n_embd, n_embd),
            "nextn.enorm.weight": (n_embd,),
            "nextn.hnorm.weight": (n_embd,),
            "nextn.shared_head_norm.weight": (n_embd,),
        }
    return rows


def deepseek_layer(index: int, *, n_head: int, is_lite: bool, is_absorbed: bool) -> Shapes:
    n_embd, n_expert, n_ff = (2048, 64, 1408) if is_lite else (7168, 256, 2048)
    query: Shapes = (
        {"attn_q.weight": (n_embd, n_head * 192)}
        if is_lite
        else {
            "attn_q_a_norm.weight": (1536,),
            "attn_q_a.weight": (n_embd, 1536),
            "attn_q_b.weight": (1536, n_head * 192),
        }
    )
    latent: Shapes = (
        {"attn_k_b.weight": (128, 512, n_head), "attn_v_b.weight": (512, 128, n_head)}
        if is_absorbed
        else {"attn_kv_b.weight": (512, n_head * 256)}
    )
    rows: Shapes = {
        "attn_norm.weight": (n_embd,),
        **query,
        "attn_kv_a_norm.weight": (512,),
        "attn_kv_a_mqa.weight": (n_embd, 576),
        **latent,
        "attn_output.weight": (n_head * 128, n_embd),
        "ffn_norm.weight": (n_embd,),
    }
    if index < (1 if is_lite else 3):
        return rows | dense(n_embd, 10_944 if is_lite else 18_432)
    always = shared(n_embd, 2 * n_ff if is_lite else n_ff)
    probs: Shapes = {} if is_lite else {"exp_probs_b.bias": (n_expert,)}
    return rows | experts(n_embd, n_ff, n_expert) | always | probs


def deepseek_keys(*, is_lite: bool, is_absorbed: bool) -> Keys:
    n_expert, n_used, n_ff = (64, 6, 1408) if is_lite else (256, 8, 2048)
    keys: Keys = {
        **expert_keys(n_expert, n_used, n_ff),
        "attention.kv_lora_rank": (U32, 512),
        "attention.key_length": (U32, 576 if is_absorbed else 192),
        "attention.value_length": (U32, 512 if is_absorbed else 128),
        "rope.dimension_count": (U32, 64),
        "leading_dense_block_count": (U32, 1 if is_lite else 3),
        "expert_shared_count": (U32, 2 if is_lite else 1),
        "expert_weights_scale": (F32, 1.0 if is_lite else 2.5),
        "expert_weights_norm": (BOOL, not is_lite),
        "expert_gating_func": (U32, 1 if is_lite else 2),
    }
    if is_absorbed:
        keys |= {"attention.key_length_mla": (U32, 192), "attention.value_length_mla": (U32, 128)}
    if not is_lite:
        keys["attention.q_lora_rank"] = (U32, 1536)
    return keys


def delta_layer(
    index: int, *, n_embd: int, n_head: int, n_kv: int, n_value_heads: int, beside: Shapes, is_joint: bool
) -> Shapes:
    """Gated delta net in three layers of four, gated attention in the fourth."""
    rows: Shapes = {"attn_norm.weight": (n_embd,), "post_attention_norm.weight": (n_embd,)}
    if index % 4 == 3:
        size = 256
        rows |= {
            "attn_q.weight": (n_embd, 2 * n_head * size),
            "attn_k.weight": (n_embd, n_kv * size),
            "attn_v.weight": (n_embd, n_kv * size),
            "attn_output.weight": (n_head * size, n_embd),
            "attn_q_norm.weight": (size,),
            "attn_k_norm.weight": (size,),
        }
    else:
        keys, values = 16 * 128, n_value_heads * 128
        rows |= {
            "attn_qkv.weight": (n_embd, 2 * keys + values),
            "attn_gate.weight": (n_embd, values),
            "ssm_conv1d.weight": (4, 2 * keys + values),
            "ssm_dt.bias": (n_value_heads,),
            "ssm_a": (n_value_heads,),
            **(
                {"ssm_ba.weight": (n_embd, 2 * n_value_heads)}
                if is_joint
                else {"ssm_beta.weight": (n_embd, n_value_heads), "ssm_alpha.weight": (n_embd, n_value_heads)}
            ),
            "ssm_norm.weight": (128,),
            "ssm_out.weight": (values, n_embd),
        }
    return rows | beside


def delta_keys(n_value_heads: int) -> Keys:
    return {
        "ssm.conv_kernel": (U32, 4),
        "ssm.inner_size": (U32, n_value_heads * 128),
        "ssm.state_size": (U32, 128),
        "ssm.time_step_rank": (U32, n_value_heads),
        "ssm.group_count": (U32, 16),
        "rope.dimension_count": (U32, 64),
    }


def delta_experts(n_embd: int, n_expert: int) -> Shapes:
    gate: Shapes = {"ffn_gate_inp_shexp.weight": (n_embd,)}
    return {**experts(n_embd, 512, n_expert), **shared(n_embd, 512), **gate}


def nemotron_layer(index: int) -> Shapes:
    """Nemotron 3 Nano: Mamba 2, experts and a few layers of attention, one kind in each layer."""
    n_embd = 2688
    kind = NEMOTRON[index]
    if kind == "M":
        return {
            "attn_norm.weight": (n_embd,),
            "ssm_in.weight": (n_embd, 2 * 4096 + 2 * 8 * 128 + 64),
            "ssm_conv1d.weight": (4, 4096 + 2 * 8 * 128),
            "ssm_conv1d.bias": (4096 + 2 * 8 * 128,),
            "ssm_dt.bias": (64,),
            "ssm_a": (1, 64),
            "ssm_d": (1, 64),
            "ssm_norm.weight": (512, 8),
            "ssm_out.weight": (4096, n_embd),
        }
    if kind == "*":
        return attention({"E": n_embd, "H": 32, "KV": 2, "D": 128})
    return {
        "attn_norm.weight": (n_embd,),
        "ffn_gate_inp.weight": (n_embd, 128),
        "exp_probs_b.bias": (128,),
        "ffn_up_exps.weight": (n_embd, 1856, 128),
        "ffn_down_exps.weight": (1856, n_embd, 128),
        "ffn_up_shexp.weight": (n_embd, 3712),
        "ffn_down_shexp.weight": (3712, n_embd),
    }


NEMOTRON = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"


def mamba_layer(_: int) -> Shapes:
    n_embd, n_inner = 2560, 5120
    return {
        "attn_norm.weight": (n_embd,),
        "ssm_in.weight": (n_embd, 2 * n_inner),
        "ssm_conv1d.weight": (4, n_inner),
        "ssm_conv1d.bias": (n_inner,),
        "ssm_x.weight": (n_inner, 160 + 32),
        "ssm_dt.weight": (160, n_inner),
        "ssm_dt.bias": (n_inner,),
        "ssm_a": (16, n_inner),
        "ssm_d": (n_inner,),
        "ssm_out.weight": (n_inner, n_embd),
    }


def lfm2_layer(index: int) -> Shapes:
    n_embd, n_ff = 2048, 8192
    if index in LFM2_ATTENTION:
        heads = {"E": n_embd, "H": 32, "KV": 8, "D": 64}
        return {**attention(heads, norms=True), **dense(n_embd, n_ff)}
    return {
        "attn_norm.weight": (n_embd,),
        **dense(n_embd, n_ff),
        "shortconv.conv.weight": (3, n_embd),
        "shortconv.in_proj.weight": (n_embd, 3 * n_embd),
        "shortconv.out_proj.weight": (n_embd, n_embd),
    }


LFM2_ATTENTION = (2, 5, 8, 10, 12, 14)
