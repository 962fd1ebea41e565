"""Cards that share matrices, against what llama.cpp asked each of them for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.plan.models import anatomy
from tests.plan.tiny_families import tiny

from bringup.model.gguf import read_header
from bringup.model.shards import assemble
from bringup.model.source import BufferSource
from bringup.plan.anatomy import Anatomy, take_apart
from bringup.plan.memory import plan_memory
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.place import Placement, place_layers
from bringup.plan.request import Device, DeviceKind, Request, SplitMode
from bringup.plan.shared_weights import split_rows
from bringup.plan.weights import tensors_with_devices
from bringup.store.header import load_model
from bringup.units import GIB, MIB

PRINTED: dict[str, Any] = json.loads((Path(__file__).parent / "tensor_split.json").read_text())
MAIN = Device("CPU", DeviceKind.CPU, 64 * GIB, 60 * GIB)


def cards(count: int, *, capability: tuple[int, int] = (8, 6)) -> tuple[Device, ...]:
    return tuple(
        Device(f"CUDA{place}", DeviceKind.CUDA, 48 * GIB, 48 * GIB, "", capability) for place in range(count)
    )


def of_family(name: str) -> Anatomy:
    return take_apart(assemble((read_header(BufferSource(tiny(name).data)),)))


def check(model: Anatomy, shares: tuple[float, ...], printed: dict[str, list[int]]) -> MemoryPlan:
    """Caches to the byte; weights but for the padding of rows and tensors."""
    request = Request(n_ctx=8192, tensor_split=shares, split_mode=SplitMode.TENSOR, has_full_swa=True)
    plan = plan_memory(model, request, (*cards(len(shares) or 2), MAIN))
    for place, size in enumerate(printed["weights"]):
        padding = plan.part_bytes("weights", f"CUDA{place}") - size
        assert 0 <= padding <= size // 1000 + 128 * 200
    for place, size in enumerate(printed.get("caches", ())):
        kept = plan.part_bytes("kv_cache", f"CUDA{place}") + plan.part_bytes("kv_cache_swa", f"CUDA{place}")
        assert kept == size
    return plan


@pytest.mark.parametrize("shares", sorted(PRINTED["small_model"]))
def test_a_real_model_on_cards_that_share_all(small_model: Path, shares: str) -> None:
    model = take_apart(load_model(str(small_model)))
    check(model, tuple(float(one) for one in shares.split(",")), PRINTED["small_model"][shares])


@pytest.mark.parametrize("family", sorted(PRINTED["families"]))
def test_families_on_two_cards_that_share_all(family: str) -> None:
    check(of_family(family), (), PRINTED["families"][family])


@pytest.mark.parametrize("name", sorted(PRINTED["one_device_mib"]))
def test_each_card_has_the_buffers_of_a_card_alone(name: str) -> None:
    two = tuple(Device(f"RPC{place}", DeviceKind.VULKAN, 48 * GIB, 48 * GIB) for place in range(2))
    request = Request(n_ctx=8192, split_mode=SplitMode.TENSOR, n_outputs=512)
    plan = plan_memory(anatomy(name), request, (*two, MAIN))
    for device, printed in zip(("RPC0", "CPU"), PRINTED["one_device_mib"][name], strict=True):
        assert printed <= plan.part_bytes("compute", device) / MIB < printed + 1
    assert plan.part_bytes("compute", "RPC1") == plan.part_bytes("compute", "RPC0")


def test_rows_are_split_as_four_cards_printed_it() -> None:
    """Qwen3-30B-A3B in Q8_0 on four Tesla K80 (b5261), github.com/ggml-org/llama.cpp/issues/13661.

    Each figure is of the matrices whose layers a card computes, all cards' shares of them together. The small
    matrix that picks the experts is split only where the card itself would have some of its rows.
    """
    model = anatomy("Qwen3-30B-A3B")
    four = cards(4, capability=(3, 7))
    names = tuple(card.name for card in four)
    layers, output = place_layers(48, n_gpu_layers=-1, cards=names, shares=(1, 1, 1, 1))
    placement = Placement(layers, output, cards=names, mode=SplitMode.ROW)
    sums = dict.fromkeys(names, 0.0)
    for tensor, device in tensors_with_devices(model, placement):
        if split_rows(tensor, device, placement, four) is not None:
            bytes_each = 4.0 if tensor.name.endswith("ffn_gate_inp.weight") else 34 / 32
            sums[device] += tensor.n_elements * bytes_each / MIB
    assert [round(size, 2) for size in sums.values()] == [248.62, 241.5, 229.5, 536.67]


def test_rows_of_all_cards_are_the_whole_matrix() -> None:
    model = anatomy("Llama-3.1-8B")
    layered = plan_memory(model, Request(n_ctx=4096), (*cards(2), MAIN))
    rows = plan_memory(
        model,
        Request(n_ctx=4096, split_mode=SplitMode.ROW, tensor_split=(3, 1), build=9400),
        (*cards(2), MAIN),
    )
    total = rows.part_bytes("weights", "CUDA0") + rows.part_bytes("weights", "CUDA1")
    assert total == layered.part_bytes("weights", "CUDA0") + layered.part_bytes("weights", "CUDA1")
    assert 2.8 < rows.part_bytes("weights", "CUDA0") / rows.part_bytes("weights", "CUDA1") < 3.2
