"""The map of layers: every byte of the plan's weights and caches, each once, on its device."""

from __future__ import annotations

import pytest
from tests.plan.models import anatomy

from bringup.plan.layer_map import Piece, map_layers
from bringup.plan.memory import plan_memory
from bringup.plan.request import CPU, Device, DeviceKind, Request
from bringup.units import GIB

CARDS = tuple(Device(f"CUDA{at}", DeviceKind.CUDA, 12 * GIB, 12 * GIB) for at in range(2))
MAIN = Device(CPU, DeviceKind.CPU, 64 * GIB, 64 * GIB)
REQUESTS = {
    "all on cards": Request(n_ctx=8192),
    "main memory": Request(n_ctx=8192, n_gpu_layers=0),
    "half": Request(n_ctx=16384, n_parallel=2, n_gpu_layers=12),
    "experts apart": Request(n_ctx=8192, n_cpu_moe=10),
    "by name": Request(n_ctx=8192, overrides=((r"blk\.3\.attn_q", "CPU"),)),
    "cache in main memory": Request(n_ctx=8192, offloads_cache=False, cache_type_k="q8_0"),
}


@pytest.mark.parametrize(
    "name", ["gpt-oss-20b", "GLM-4.5-Air", "Nemotron-3-Nano", "gemma-3-12b", "Qwen3-Next-80B", "DeepSeek-V3"]
)
@pytest.mark.parametrize("how", REQUESTS)
def test_the_shares_sum_up_to_the_plan(name: str, how: str) -> None:
    model = anatomy(name)
    plan = plan_memory(model, REQUESTS[how], (*CARDS, MAIN))
    layers = map_layers(model, plan)
    for device in (*CARDS, MAIN):
        mine = [one for one in layers if one.device == device.name]
        cached = sum(one.bytes_of(Piece.CACHE, Piece.STATE) for one in mine)
        parts = ("kv_cache", "kv_cache_swa", "recurrent_state")
        assert cached == sum(plan.part_bytes(part, device.name) for part in parts)
        assert sum(one.bytes_of() for one in mine) - cached == plan.part_bytes("weights", device.name)


def test_experts_that_lie_elsewhere_are_a_share_of_their_own() -> None:
    model = anatomy("gpt-oss-20b")
    plan = plan_memory(model, REQUESTS["experts apart"], (CARDS[0], MAIN))
    shares = {(one.index, one.device): one for one in map_layers(model, plan)}
    assert shares[9, CPU].pieces[0][0] is Piece.EXPERTS
    assert shares[9, "CUDA0"].bytes_of(Piece.EXPERTS) == 0
    assert shares[9, "CUDA0"].bytes_of(Piece.ATTENTION) > 0
    assert (10, CPU) not in shares, "the near miss: its experts stay on the card"
    assert shares[10, "CUDA0"].bytes_of(Piece.EXPERTS) > 0


def test_input_comes_first_and_output_last() -> None:
    model = anatomy("gpt-oss-20b")
    layers = map_layers(model, plan_memory(model, REQUESTS["main memory"], (MAIN,)))
    assert [one.index for one in layers] == [None, *range(24), None]
    assert layers[0].pieces[0][0] is Piece.INPUT
    assert layers[-1].pieces[0][0] is Piece.OUTPUT
