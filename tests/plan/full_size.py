"""Full-size models without weights, as the headers of public models have them; tests plan on these.

Shapes and keys are those of the models' own configuration; tensors are of one type each, so that sizes are
exact only where a real file has that type too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.model.writing import ARRAY, BOOL, F32, STRING, U32, Array, Pair, TensorSpec, build

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

def _grouped(
    n_embd: int, n_head: int, n_kv: int, size: int, n_ff: int, *, bias: bool = False, norms: bool = False
) -> Callable[[int], Shapes]:
    """A dense layer with grouped attention."""
    heads = {"E": n_embd, "H": n_head, "KV": n_kv, "D": size}
    rows = {**attention(heads, bias=bias, norms=norms), **dense(n_embd, n_ff)}
    return lambda _: rows


def _with_experts(
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


def _gemma(n_embd: int, n_head: int, n_kv: int, size: int, n_ff: int, *, norms: bool) -> Shapes:
    heads = {"E": n_embd, "H": n_head, "KV": n_kv, "D": size}
    return {
        **attention(heads, norms=norms),
        **dense(n_embd, n_ff),
        "post_attention_norm.weight": (n_embd,),
        "post_ffw_norm.weight": (n_embd,),
    }


def _gemma4_layer(index: int) -> Shapes:
    n_embd, n_head = 3840, 16
    is_full = index % 6 == 5
    size, n_kv = (512, 1) if is_full else (256, 8)
    rows = _gemma(n_embd, n_head, n_kv, size, 15_360, norms=True)
    if is_full:
        del rows["attn_v.weight"]
    return rows


def _phi3_layer(_: int) -> Shapes:
    n_embd, n_ff = 5120, 17_920
    return {
        "attn_norm.weight": (n_embd,),
        "attn_qkv.weight": (n_embd, 5120 + 2 * 1280),
        "attn_output.weight": (5120, n_embd),
        "ffn_norm.weight": (n_embd,),
        "ffn_up.weight": (n_embd, 2 * n_ff),
        "ffn_down.weight": (n_ff, n_embd),
    }


def _command_r_layer(_: int) -> Shapes:
    rows = {**attention({"E": 8192, "H": 64, "KV": 8, "D": 128}), **dense(8192, 24_576)}
    del rows["ffn_norm.weight"]
    return rows


def _glm4_layer(_: int) -> Shapes:
    n_embd, n_ff = 6144, 23_040
    return {
        **attention({"E": n_embd, "H": 48, "KV": 2, "D": 128}),
        "post_attention_norm.weight": (n_embd,),
        "ffn_norm.weight": (n_embd,),
        "ffn_up.weight": (n_embd, 2 * n_ff),
        "ffn_down.weight": (n_ff, n_embd),
        "post_ffw_norm.weight": (n_embd,),
    }


def _shared(n_embd: int, n_ff: int) -> Shapes:
    return {
        "ffn_gate_shexp.weight": (n_embd, n_ff),
        "ffn_up_shexp.weight": (n_embd, n_ff),
        "ffn_down_shexp.weight": (n_ff, n_embd),
    }


def _glm4moe_layer(index: int) -> Shapes:
    n_embd = 4096
    rows: Shapes = {
        **attention({"E": n_embd, "H": 96, "KV": 8, "D": 128}, bias=True),
        "post_attention_norm.weight": (n_embd,),
    }
    if index < 1:
        rows |= {name: size for name, size in dense(n_embd, 10_944).items() if name != "ffn_norm.weight"}
    else:
        rows |= {**experts(n_embd, 1408, 128), **_shared(n_embd, 1408), "exp_probs_b.bias": (128,)}
    if index == 46:
        rows |= {
            "nextn.eh_proj.weight": (2 * n_embd, n_embd),
            "nextn.enorm.weight": (n_embd,),
            "nextn.hnorm.weight": (n_embd,),
            "nextn.shared_head_norm.weight": (n_embd,),
        }
    return rows


def _deepseek_layer(index: int, *, n_head: int, is_lite: bool, is_absorbed: bool) -> Shapes:
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
    shared = _shared(n_embd, 2 * n_ff if is_lite else n_ff)
    probs: Shapes = {} if is_lite else {"exp_probs_b.bias": (n_expert,)}
    return rows | experts(n_embd, n_ff, n_expert) | shared | probs


def _deepseek_keys(*, is_lite: bool, is_absorbed: bool) -> Keys:
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


def _delta_layer(
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


def _delta_keys(n_value_heads: int) -> Keys:
    return {
        "ssm.conv_kernel": (U32, 4),
        "ssm.inner_size": (U32, n_value_heads * 128),
        "ssm.state_size": (U32, 128),
        "ssm.time_step_rank": (U32, n_value_heads),
        "ssm.group_count": (U32, 16),
        "rope.dimension_count": (U32, 64),
    }


def _delta_experts(n_embd: int, n_expert: int) -> Shapes:
    gate: Shapes = {"ffn_gate_inp_shexp.weight": (n_embd,)}
    return {**experts(n_embd, 512, n_expert), **_shared(n_embd, 512), **gate}


def _nemotron_layer(index: int) -> Shapes:
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


def _mamba_layer(_: int) -> Shapes:
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


def _lfm2_layer(index: int) -> Shapes:
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

_NO_HEADS: Keys = {"attention.head_count": (U32, 0), "attention.head_count_kv": (U32, 0)}
_SCALES: Keys = {
    name: (F32, 1.0) for name in ("attention.scale", "embedding_scale", "residual_scale", "logit_scale")
}
_LAYER_NORM: Keys = {"attention.layer_norm_epsilon": (F32, 1e-5), "logit_scale": (F32, 1.0)}


def _by_kind(kinds: str, values: Mapping[str, int]) -> tuple[Any, Any]:
    return (ARRAY, Array(U32, [values.get(kind, 0) for kind in kinds]))


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
        _grouped(4096, 32, 8, 128, 14_336),
        {"rope.dimension_count": (U32, 128)},
        n_head=32,
        n_head_kv=8,
        n_ff=14_336,
        matrix=TensorType.Q4_0,
    ),
    "Mixtral-8x7B": Shape(
        "llama",
        32,
        4096,
        32_000,
        _with_experts(4096, 32, 8, 128, 14_336, 8),
        {
            "rope.dimension_count": (U32, 128),
            "expert_count": (U32, 8),
            "expert_used_count": (U32, 2),
        },
        n_ctx=32_768,
        n_head=32,
        n_head_kv=8,
        n_ff=14_336,
        matrix=TensorType.Q4_K,
        experts=TensorType.Q4_K,
    ),
    "Ministral-3-8B": Shape(
        "mistral3",
        34,
        4096,
        131_072,
        _grouped(4096, 32, 8, 128, 14_336),
        {"rope.dimension_count": (U32, 128)},
        n_ctx=262_144,
        n_head=32,
        n_head_kv=8,
        n_ff=14_336,
    ),
    "Qwen2.5-14B": Shape(
        "qwen2",
        48,
        5120,
        152_064,
        _grouped(5120, 40, 8, 128, 13_824, bias=True),
        {},
        n_ctx=32_768,
        n_head=40,
        n_head_kv=8,
        n_ff=13_824,
        matrix=TensorType.Q4_K,
    ),
    "Qwen3-4B": Shape(
        "qwen3",
        36,
        2560,
        151_936,
        _grouped(2560, 32, 8, 128, 9728, norms=True),
        {},
        n_ctx=40_960,
        n_head=32,
        n_head_kv=8,
        n_ff=9728,
        is_tied=True,
        matrix=TensorType.Q4_K,
    ),
    "Qwen3-30B-A3B": Shape(
        "qwen3moe",
        48,
        2048,
        151_936,
        _with_experts(2048, 32, 4, 128, 768, 128, norms=True),
        expert_keys(128, 8, 768),
        n_ctx=40_960,
        n_head=32,
        n_head_kv=4,
        n_ff=6144,
        matrix=TensorType.Q4_K,
        experts=TensorType.Q4_K,
    ),
    "Qwen3-Next-80B": Shape(
        "qwen3next",
        48,
        2048,
        151_936,
        lambda index: _delta_layer(
            index,
            n_embd=2048,
            n_head=16,
            n_kv=2,
            n_value_heads=32,
            beside=_delta_experts(2048, 512),
            is_joint=True,
        ),
        {
            **_delta_keys(32),
            **expert_keys(512, 10, 512),
            "expert_shared_feed_forward_length": (U32, 512),
        },
        n_ctx=262_144,
        n_head=16,
        n_head_kv=2,
        n_head_size=256,
        n_ff=5120,
        matrix=TensorType.Q4_K,
        experts=TensorType.Q4_K,
    ),
    "Qwen3.6-27B": Shape(
        "qwen35",
        64,
        5120,
        248_320,
        lambda index: _delta_layer(
            index,
            n_embd=5120,
            n_head=24,
            n_kv=4,
            n_value_heads=48,
            beside={name: size for name, size in dense(5120, 17_408).items() if name != "ffn_norm.weight"},
            is_joint=False,
        ),
        {**_delta_keys(48), "rope.dimension_sections": (ARRAY, Array(U32, [11, 11, 10, 0]))},
        n_ctx=262_144,
        n_head=24,
        n_head_kv=4,
        n_head_size=256,
        n_ff=17_408,
        matrix=TensorType.Q4_K,
    ),
    "Qwen3.6-35B-A3B": Shape(
        "qwen35moe",
        40,
        2048,
        248_320,
        lambda index: _delta_layer(
            index,
            n_embd=2048,
            n_head=16,
            n_kv=2,
            n_value_heads=32,
            beside=_delta_experts(2048, 256),
            is_joint=False,
        ),
        {
            **_delta_keys(32),
            **expert_keys(256, 8, 512),
            "expert_shared_feed_forward_length": (U32, 512),
            "rope.dimension_sections": (ARRAY, Array(U32, [11, 11, 10, 0])),
        },
        n_ctx=262_144,
        n_head=16,
        n_head_kv=2,
        n_head_size=256,
        n_ff=0,
        matrix=TensorType.Q4_K,
        experts=TensorType.Q4_K,
    ),
    "gemma-2-9b": Shape(
        "gemma2",
        42,
        3584,
        256_000,
        lambda _: _gemma(3584, 16, 8, 256, 14_336, norms=False),
        {
            "attention.sliding_window": (U32, 4096),
            "attn_logit_softcapping": (F32, 50.0),
            "final_logit_softcapping": (F32, 30.0),
        },
        n_ctx=8192,
        n_head=16,
        n_head_kv=8,
        n_head_size=256,
        n_ff=14_336,
        is_tied=True,
    ),
    "gemma-3-12b": Shape(
        "gemma3",
        48,
        3840,
        262_208,
        lambda _: _gemma(3840, 16, 8, 256, 15_360, norms=True),
        {"attention.sliding_window": (U32, 1024)},
        n_head=16,
        n_head_kv=8,
        n_head_size=256,
        n_ff=15_360,
        is_tied=True,
    ),
    "gemma-4-12B": Shape(
        "gemma4",
        48,
        3840,
        262_144,
        _gemma4_layer,
        {
            "attention.sliding_window": (U32, 1024),
            "attention.sliding_window_pattern": (
                ARRAY,
                Array(BOOL, [index % 6 != 5 for index in range(48)]),
            ),
            "attention.key_length_swa": (U32, 256),
            "attention.value_length_swa": (U32, 256),
            "attention.head_count_kv": (ARRAY, Array(U32, [1 if i % 6 == 5 else 8 for i in range(48)])),
            "embedding_length_per_layer_input": (U32, 0),
            "rope.dimension_count": (U32, 512),
            "rope.dimension_count_swa": (U32, 256),
            "final_logit_softcapping": (F32, 30.0),
        },
        n_ctx=262_144,
        n_head=16,
        n_head_size=512,
        n_ff=15_360,
        is_tied=True,
        whole={"rope_freqs.weight": (256,)},
    ),
    "Phi-4": Shape(
        "phi3",
        40,
        5120,
        100_352,
        _phi3_layer,
        {"rope.dimension_count": (U32, 128), "rope.scaling.original_context_length": (U32, 16_384)},
        n_ctx=16_384,
        n_head=40,
        n_head_kv=10,
        n_ff=17_920,
        matrix=TensorType.Q4_K,
    ),
    "DeepSeek-V2-Lite": Shape(
        "deepseek2",
        27,
        2048,
        102_400,
        lambda index: _deepseek_layer(index, n_head=16, is_lite=True, is_absorbed=False),
        _deepseek_keys(is_lite=True, is_absorbed=False),
        n_ctx=163_840,
        n_head=16,
        n_head_kv=16,
        n_head_size=0,
        n_ff=10_944,
        matrix=TensorType.Q4_0,
        experts=TensorType.Q4_0,
    ),
    "DeepSeek-V3": Shape(
        "deepseek2",
        61,
        7168,
        129_280,
        lambda index: _deepseek_layer(index, n_head=128, is_lite=False, is_absorbed=True),
        _deepseek_keys(is_lite=False, is_absorbed=True),
        n_ctx=163_840,
        n_head=128,
        n_head_kv=1,
        n_head_size=0,
        n_ff=18_432,
        matrix=TensorType.Q8_0,
        experts=TensorType.Q4_0,
    ),
    "GLM-4-32B": Shape(
        "glm4",
        61,
        6144,
        151_552,
        _glm4_layer,
        {"rope.dimension_count": (U32, 64)},
        n_ctx=32_768,
        n_head=48,
        n_head_kv=2,
        n_ff=23_040,
        matrix=TensorType.IQ4_XS,
    ),
    "GLM-4.5-Air": Shape(
        "glm4moe",
        47,
        4096,
        151_552,
        _glm4moe_layer,
        {
            **expert_keys(128, 8, 1408),
            "expert_shared_count": (U32, 1),
            "leading_dense_block_count": (U32, 1),
            "expert_gating_func": (U32, 2),
            "expert_weights_scale": (F32, 1.0),
            "expert_weights_norm": (BOOL, True),
            "nextn_predict_layers": (U32, 1),
            "rope.dimension_count": (U32, 64),
        },
        n_head=96,
        n_head_kv=8,
        n_ff=10_944,
        matrix=TensorType.Q4_K,
        experts=TensorType.Q4_K,
        types={"ffn_down": TensorType.Q8_0},
    ),
    "Granite-3.3-8B": Shape(
        "granite",
        40,
        4096,
        49_159,
        _grouped(4096, 32, 8, 128, 12_800),
        {**_SCALES, "rope.dimension_count": (U32, 128)},
        n_head=32,
        n_head_kv=8,
        n_ff=12_800,
        is_tied=True,
    ),
    "Command-R-08": Shape(
        "command-r",
        40,
        8192,
        256_000,
        _command_r_layer,
        _LAYER_NORM,
        n_head=64,
        n_head_kv=8,
        n_ff=24_576,
        is_tied=True,
    ),
    "Nemotron-3-Nano": Shape(
        "nemotron_h_moe",
        52,
        2688,
        131_072,
        _nemotron_layer,
        {
            **expert_keys(128, 6, 1856),
            "attention.head_count": (U32, 32),
            "attention.head_count_kv": _by_kind(NEMOTRON, {"*": 2}),
            "feed_forward_length": _by_kind(NEMOTRON, {"E": 1856}),
            "attention.layer_norm_epsilon": (F32, 1e-5),
            "expert_shared_feed_forward_length": (U32, 3712),
            "expert_shared_count": (U32, 1),
            "expert_weights_norm": (BOOL, True),
            "expert_weights_scale": (F32, 2.5),
            "ssm.conv_kernel": (U32, 4),
            "ssm.inner_size": (U32, 4096),
            "ssm.state_size": (U32, 128),
            "ssm.time_step_rank": (U32, 64),
            "ssm.group_count": (U32, 8),
        },
        n_ctx=1_048_576,
        matrix=TensorType.Q5_0,
        experts=TensorType.IQ4_NL,
    ),
    "mamba-2.8b": Shape(
        "mamba",
        64,
        2560,
        50_280,
        _mamba_layer,
        {
            **_NO_HEADS,
            "ssm.conv_kernel": (U32, 4),
            "ssm.inner_size": (U32, 5120),
            "ssm.state_size": (U32, 16),
            "ssm.time_step_rank": (U32, 160),
        },
        n_head_size=0,
        is_tied=True,
    ),
    "LFM2-1.2B": Shape(
        "lfm2",
        16,
        2048,
        65_536,
        _lfm2_layer,
        {
            "attention.head_count_kv": (
                ARRAY,
                Array(U32, [8 if index in LFM2_ATTENTION else 0 for index in range(16)]),
            ),
            "shortconv.l_cache": (U32, 3),
        },
        n_head=32,
        n_head_size=64,
        n_ff=8192,
        is_tied=True,
        whole={"token_embd_norm.weight": (2048,)},
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
