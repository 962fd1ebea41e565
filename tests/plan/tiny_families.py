"""Tiny models of the families in `tensor_split.json`, which the real engine loaded. All are made."""

from __future__ import annotations

from typing import Any

from tests.model.writing import (
    F32,
    STRING,
    TOKENS,
    U32,
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


# family: (further keys, tensors of a layer)
FAMILIES: dict[str, tuple[Keys, Rows]] = {
    "llama": ({}, PLAIN),
    "qwen2": ({}, {**PLAIN, **QKV_BIAS}),
    "qwen3": ({}, {**PLAIN, **QK_NORMS}),
    "gemma2": (WINDOW, {**PLAIN, **POST_NORMS}),
    "gemma3": (WINDOW, {**PLAIN, **QK_NORMS, **POST_NORMS}),
    "cohere2": ({**WINDOW, **COHERE}, {"attn_norm": (N_EMBD,), **QKV, **MLP}),
    "command-r": (COHERE, {"attn_norm": (N_EMBD,), **QKV, **MLP}),
    "granite": ({name: (F32, 1.0) for name in SCALES}, PLAIN),
    "phi3": ({**WINDOW, "rope.scaling.original_context_length": (U32, 8192)}, _phi3()),
    "gpt-oss": ({**WINDOW, **EXPERTS}, _gpt_oss()),
}


def tiny(name: str) -> Built:
    """A tiny model of a family, 8 layers."""
    keys, rows = FAMILIES[name]
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
    tensors = [TensorSpec("token_embd.weight", vocabulary), TensorSpec("output_norm.weight", (N_EMBD,))]
    if name == "gpt-oss":  # the others have a tied output matrix
        tensors.append(TensorSpec("output.weight", vocabulary))
    for index in range(N_LAYER):
        tensors += [
            TensorSpec(f"blk.{index}.{row if row.endswith('.bias') else row + '.weight'}", shape)
            for row, shape in rows.items()
        ]
    return build(pairs, tensors)
