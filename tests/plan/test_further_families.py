"""Families that the engine's own program makes no skeleton of, in full size, against the engine's dry run.

Figures of llama.cpp b11434 (`llama-fit-params --fit-print on`, with its RPC backend as the card, logits of
all tokens), whole MiB as printed, rounded down: caches and states, then buffers of card and main memory.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from tests.model.writing import BOOL, F32, U32
from tests.plan.full_size import Shape
from tests.plan.layer_shapes import Shapes, attention, dense, expert_keys, experts, shared
from tests.plan.models import anatomy_of

from bringup.model.quants import TensorType
from bringup.plan.anatomy import Anatomy
from bringup.plan.memory import plan_memory
from bringup.plan.request import Device, DeviceKind, Request
from bringup.units import GIB, MIB

CARD = Device("RPC0", DeviceKind.VULKAN, 1024 * GIB, 1024 * GIB)
MAIN = Device("CPU", DeviceKind.CPU, 1024 * GIB, 1000 * GIB)

SETTINGS: dict[str, dict[str, Any]] = {
    "main memory": {},
    "card": {},
    "card, four slots, q8_0": {"n_parallel": 4, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
    "card, half of the layers": {},
    "main memory, unfused": {"flash_attention": False},
}


def _olmoe(_: int) -> Shapes:
    norms: Shapes = {f"{name}.weight": (2048,) for name in ("attn_q_norm", "attn_k_norm", "ffn_norm")}
    return attention({"E": 2048, "H": 16, "KV": 16, "D": 128}) | norms | experts(2048, 1024, 64)


def _with_first_dense(index: int, n_embd: int, n_head: int, first: int, inner: int, n_expert: int) -> Shapes:
    rows = attention({"E": n_embd, "H": n_head, "KV": n_head, "D": 128})
    if index < 1:
        return rows | dense(n_embd, first)
    beside: Shapes = {"ffn_norm.weight": (n_embd,)}
    return rows | beside | experts(n_embd, inner, n_expert) | shared(n_embd, 2 * inner)


def _dots1(index: int) -> Shapes:
    norms: Shapes = {"attn_q_norm.weight": (128,), "attn_k_norm.weight": (128,)}
    bias: Shapes = {"exp_probs_b.bias": (128,)} if index else {}
    return _with_first_dense(index, 4096, 32, 10_944, 1408, 128) | norms | bias


def _minicpm3(_: int) -> Shapes:
    return {
        "attn_norm.weight": (2560,),
        "attn_q_a_norm.weight": (768,),
        "attn_kv_a_norm.weight": (256,),
        "attn_q_a.weight": (2560, 768),
        "attn_q_b.weight": (768, 40 * 96),
        "attn_kv_a_mqa.weight": (2560, 288),
        "attn_kv_b.weight": (256, 40 * 128),
        "attn_output.weight": (40 * 64, 2560),
    } | dense(2560, 6400)


def _plm(_: int) -> Shapes:
    return {
        "attn_norm.weight": (2048,),
        "attn_q.weight": (2048, 16 * 192),
        "attn_kv_a_mqa.weight": (2048, 576),
        "attn_kv_a_norm.weight": (512,),
        "attn_kv_b.weight": (512, 16 * 256),
        "attn_output.weight": (2048, 2048),
        "ffn_norm.weight": (2048,),
        "ffn_up.weight": (2048, 8192),
        "ffn_down.weight": (8192, 2048),
    }


def _chameleon(_: int) -> Shapes:
    rows = attention({"E": 4096, "H": 32, "KV": 32, "D": 128}) | dense(4096, 11_008)
    return rows | {f"attn_{side}_norm.{kind}": (128, 32) for side in "qk" for kind in ("weight", "bias")}


_ONE_DENSE = {"leading_dense_block_count": (U32, 1), "expert_shared_count": (U32, 2)}

SHAPES = {
    "olmoe": Shape(
        "olmoe", 16, 2048, 50_304, _olmoe, expert_keys(64, 8, 1024), n_head=16, n_head_kv=16, n_ff=1024
    ),
    "dots1": Shape(
        "dots1",
        62,
        4096,
        152_064,
        _dots1,
        {
            **expert_keys(128, 6, 1408),
            **_ONE_DENSE,
            "expert_weights_norm": (BOOL, True),
            "expert_gating_func": (U32, 2),
        },
        n_head=32,
        n_head_kv=32,
        n_ff=10_944,
    ),
    "deepseek2-ocr": Shape(
        "deepseek2-ocr",
        12,
        1280,
        129_280,
        lambda index: _with_first_dense(index, 1280, 10, 6848, 896, 64),
        {**expert_keys(64, 6, 896), **_ONE_DENSE, "expert_weights_scale": (F32, 1.0)},
        n_head=10,
        n_head_kv=10,
        n_ff=6848,
    ),
    "minicpm3": Shape(
        "minicpm3",
        62,
        2560,
        73_448,
        _minicpm3,
        {
            "attention.q_lora_rank": (U32, 768),
            "attention.kv_lora_rank": (U32, 256),
            "attention.key_length": (U32, 96),
            "attention.value_length": (U32, 64),
            "rope.dimension_count": (U32, 32),
        },
        n_head=40,
        n_head_kv=40,
        n_head_size=0,
        n_ff=6400,
        is_tied=True,
    ),
    "plm": Shape(
        "plm",
        32,
        2048,
        151_936,
        _plm,
        {
            "attention.kv_lora_rank": (U32, 512),
            "attention.key_length": (U32, 192),
            "attention.value_length": (U32, 128),
            "rope.dimension_count": (U32, 64),
        },
        n_head=16,
        n_head_kv=16,
        n_head_size=0,
        n_ff=8192,
        is_tied=True,
    ),
    "chameleon": Shape(
        "chameleon",
        32,
        4096,
        65_536,
        _chameleon,
        {},
        n_head=32,
        n_head_kv=32,
        n_ff=11_008,
        types={"_norm": TensorType.F32},
    ),
}

PRINTED: dict[str, list[tuple[int, int, int] | None]] = {
    "olmoe": [(1024, 0, 126), (1024, 122, 24), (544, 116, 18), (1024, 212, 24), (1024, 0, 304)],
    "dots1": [(7936, 0, 345), (7936, 337, 40), (4216, 331, 34), (7936, 869, 40), (7936, 0, 592)],
    "deepseek2-ocr": [(480, 0, 273), (480, 270, 18), (255, 264, 12), (480, 262, 18), (480, 0, 286)],
    "minicpm3": [(6200, 0, 181), (6200, 171, 28), (3293, 165, 22), (6200, 163, 28), (6200, 0, 706)],
    "plm": [None, None, None, None, (2560, 0, 340)],  # with fused attention the engine ends in an assertion
    "chameleon": [(4096, 0, 304), (4096, 296, 40), (2176, 290, 34), (4096, 288, 40), (4096, 0, 592)],
}

FAMILIES = frozenset(SHAPES)


@cache
def _model(name: str) -> Anatomy:
    return anatomy_of(SHAPES[name])


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_they_are_planned_as_the_engine_printed(name: str) -> None:
    for (setting, values), printed in zip(SETTINGS.items(), PRINTED[name], strict=True):
        if printed is None:
            continue
        given = dict(values)
        if "half" in setting:
            given["n_gpu_layers"] = SHAPES[name].n_layer // 2
        devices = (CARD, MAIN) if setting.startswith("card") else (MAIN,)
        plan = plan_memory(_model(name), Request(n_ctx=8192, n_outputs=512, **given), devices)
        planned = (
            plan.part_bytes("kv_cache") / MIB,
            plan.part_bytes("compute", "RPC0") / MIB,
            plan.part_bytes("compute", "CPU") / MIB,
        )
        print(f"{name}, {setting}: planned {planned}, printed {printed}")
        assert int(planned[0]) == printed[0], setting
        for size, real in zip(planned[1:], printed[1:], strict=True):
            worst = 0.08 if "half" in setting else 0.03
            assert int(size) == real or abs(size / real - 1) <= worst, (setting, size, real)
