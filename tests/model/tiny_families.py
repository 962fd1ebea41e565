"""Tiny models of several families: keys and tensors that the real engine loads. All are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model.writing import (
    ARRAY,
    F32,
    STRING,
    TOKENS,
    U32,
    Array,
    Built,
    Pair,
    TensorSpec,
    build,
    llama_pairs,
)

N_LAYER, N_EMBD, N_FF, N_HEAD, N_HEAD_KV, HEAD = 8, 64, 128, 4, 2, 16
Q, KV = N_HEAD * HEAD, N_HEAD_KV * HEAD
Rows = dict[str, tuple[int, ...]]
Keys = dict[str, tuple[Any, Any]]

QKV: Rows = {
    "attn_q": (N_EMBD, Q),
    "attn_k": (N_EMBD, KV),
    "attn_v": (N_EMBD, KV),
    "attn_output": (Q, N_EMBD),
}
MLP: Rows = {"ffn_gate": (N_EMBD, N_FF), "ffn_up": (N_EMBD, N_FF), "ffn_down": (N_FF, N_EMBD)}
NORMS: Rows = {"attn_norm": (N_EMBD,), "ffn_norm": (N_EMBD,)}
PLAIN: Rows = {**NORMS, **QKV, **MLP}
QK_NORMS: Rows = {"attn_q_norm": (HEAD,), "attn_k_norm": (HEAD,)}
POST_NORMS: Rows = {"post_attention_norm": (N_EMBD,), "post_ffw_norm": (N_EMBD,)}
QKV_BIAS: Rows = {"attn_q.bias": (Q,), "attn_k.bias": (KV,), "attn_v.bias": (KV,)}

WINDOW: Keys = {"attention.sliding_window": (U32, 1024)}
COHERE: Keys = {"attention.layer_norm_epsilon": (F32, 1e-5), "logit_scale": (F32, 1.0)}
EXPERTS: Keys = {
    "expert_count": (U32, 4),
    "expert_used_count": (U32, 2),
    "expert_feed_forward_length": (U32, N_FF),
}
SCALES = ("attention.scale", "embedding_scale", "residual_scale", "logit_scale")


def _gpt_oss() -> Rows:
    wide: Rows = {
        "ffn_gate_inp": (N_EMBD, 4),
        "ffn_gate_exps": (N_EMBD, N_FF, 4),
        "ffn_up_exps": (N_EMBD, N_FF, 4),
        "ffn_down_exps": (N_FF, N_EMBD, 4),
        "attn_output.bias": (N_EMBD,),
        "ffn_gate_inp.bias": (4,),
        "ffn_gate_exps.bias": (N_FF, 4),
        "ffn_up_exps.bias": (N_FF, 4),
        "ffn_down_exps.bias": (N_EMBD, 4),
    }
    norms: Rows = {"attn_norm": (N_EMBD,), "post_attention_norm": (N_EMBD,), "attn_sinks": (N_HEAD,)}
    return {**norms, **QKV, **QKV_BIAS, **wide}


def _phi3() -> Rows:
    return {
        **NORMS,
        "attn_qkv": (N_EMBD, Q + 2 * KV),
        "attn_output": (Q, N_EMBD),
        "ffn_up": (N_EMBD, 2 * N_FF),
        "ffn_down": (N_FF, N_EMBD),
    }


def _mamba() -> Rows:
    return {
        "attn_norm": (N_EMBD,),
        "ssm_in": (N_EMBD, 256),
        "ssm_conv1d": (4, 128),
        "ssm_conv1d.bias": (128,),
        "ssm_x": (128, 36),
        "ssm_dt": (4, 128),
        "ssm_dt.bias": (128,),
        "ssm_a.": (16, 128),
        "ssm_d.": (128,),
        "ssm_out": (128, N_EMBD),
    }


MAMBA_KEYS: Keys = {
    "attention.head_count": (U32, 0),
    "attention.head_count_kv": (U32, 0),
    "ssm.conv_kernel": (U32, 4),
    "ssm.inner_size": (U32, 128),
    "ssm.state_size": (U32, 16),
    "ssm.time_step_rank": (U32, 4),
}


def _deepseek2() -> Rows:
    return {
        **NORMS,
        "attn_q_a_norm": (32,),
        "attn_kv_a_norm": (32,),
        "attn_q_a": (N_EMBD, 32),
        "attn_q_b": (32, N_HEAD * 24),
        "attn_kv_a_mqa": (N_EMBD, 40),
        "attn_k_b": (16, 32, N_HEAD),
        "attn_v_b": (32, 16, N_HEAD),
        "attn_output": (N_HEAD * 16, N_EMBD),
        **MLP,
    }


DEEPSEEK2_KEYS: Keys = {
    **EXPERTS,
    **{
        name: (U32, value)
        for name, value in {
            "attention.head_count_kv": 1,
            "attention.key_length": 40,
            "attention.value_length": 32,
            "attention.key_length_mla": 24,
            "attention.value_length_mla": 16,
            "attention.kv_lora_rank": 32,
            "attention.q_lora_rank": 32,
            "rope.dimension_count": 8,
            "leading_dense_block_count": N_LAYER,
            "expert_shared_count": 1,
            "vocab_size": len(TOKENS),
        }.items()
    },
    "expert_weights_scale": (F32, 1.0),
}


def _lfm2(index: int) -> Rows:
    if index % 4 == 2:
        return {**NORMS, **MLP, **QKV, **QK_NORMS}
    conv: Rows = {"shortconv.conv": (3, N_EMBD), "shortconv.in_proj": (N_EMBD, 3 * N_EMBD)}
    return {**NORMS, **MLP, **conv, "shortconv.out_proj": (N_EMBD, N_EMBD)}


def _same(rows: Rows) -> Callable[[int], Rows]:
    return lambda _: rows


# family: (further keys, tensors of a layer, tensors beside the layers and the embedding)
FAMILIES: dict[str, tuple[Keys, Callable[[int], Rows], tuple[str, ...]]] = {
    "llama": ({}, _same(PLAIN), ("output_norm",)),
    "qwen2": ({}, _same({**PLAIN, **QKV_BIAS}), ("output_norm",)),
    "qwen3": ({}, _same({**PLAIN, **QK_NORMS}), ("output_norm",)),
    "gemma2": (WINDOW, _same({**PLAIN, **POST_NORMS}), ("output_norm",)),
    "gemma3": (WINDOW, _same({**PLAIN, **QK_NORMS, **POST_NORMS}), ("output_norm",)),
    "cohere2": ({**WINDOW, **COHERE}, _same({"attn_norm": (N_EMBD,), **QKV, **MLP}), ("output_norm",)),
    "command-r": (COHERE, _same({"attn_norm": (N_EMBD,), **QKV, **MLP}), ("output_norm",)),
    "granite": ({name: (F32, 1.0) for name in SCALES}, _same(PLAIN), ("output_norm",)),
    "phi3": (
        {**WINDOW, "rope.scaling.original_context_length": (U32, 8192)},
        _same(_phi3()),
        ("output_norm",),
    ),
    "olmo2": (
        WINDOW,
        _same({**QKV, **MLP, **POST_NORMS, "attn_q_norm": (Q,), "attn_k_norm": (KV,)}),
        ("output_norm", "output"),
    ),
    "gpt-oss": ({**WINDOW, **EXPERTS}, _same(_gpt_oss()), ("output_norm", "output")),
    "mamba": (MAMBA_KEYS, _same(_mamba()), ("output_norm",)),
    "deepseek2": (DEEPSEEK2_KEYS, _same(_deepseek2()), ("output_norm", "output")),
    "lfm2": (
        {"attention.head_count_kv": (ARRAY, Array(U32, [0, 0, 2, 0] * 2)), "shortconv.l_cache": (U32, 3)},
        _lfm2,
        ("token_embd_norm",),
    ),
}


def tiny(name: str) -> Built:
    """A tiny model of a family, 8 layers."""
    keys, rows_of, beside = FAMILIES[name]
    figures: Keys = {
        "block_count": (U32, N_LAYER),
        "context_length": (U32, 8192),
        "embedding_length": (U32, N_EMBD),
        "feed_forward_length": (U32, N_FF),
        "attention.head_count": (U32, N_HEAD),
        "attention.head_count_kv": (U32, N_HEAD_KV),
        "attention.layer_norm_rms_epsilon": (F32, 1e-5),
        **keys,
    }
    pairs: list[Pair] = [("general.architecture", STRING, name)]
    pairs += [(f"{name}.{suffix}", kind, value) for suffix, (kind, value) in figures.items()]
    pairs += [pair for pair in llama_pairs() if pair[0].startswith("tokenizer.")]
    vocabulary = (N_EMBD, len(TOKENS))
    tensors = [TensorSpec("token_embd.weight", vocabulary)]
    tensors += [TensorSpec(f"{one}.weight", vocabulary if one == "output" else (N_EMBD,)) for one in beside]
    for index in range(N_LAYER):
        tensors += [TensorSpec(f"blk.{index}.{_full(row)}", shape) for row, shape in rows_of(index).items()]
    return build(pairs, tensors)


def _full(row: str) -> str:
    """`attn_q` is `attn_q.weight`; a name with a bias stays, one that ends in a dot has no suffix at all."""
    if row.endswith((".bias", ".")):
        return row.rstrip(".")
    return f"{row}.weight"
