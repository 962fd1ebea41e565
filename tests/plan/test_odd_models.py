"""Plans of models that are not as their family is: never a crash, and what is not sure is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.plan.full_size import Shape
from tests.plan.layer_shapes import Shapes
from tests.plan.models import anatomy, anatomy_of
from tests.plan.shapes import SHAPES

from bringup.plan.memory import plan_memory
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Device, DeviceKind, Request
from bringup.plan.search import choose
from bringup.units import GIB, MIB

DEVICES = (
    Device("CUDA0", DeviceKind.CUDA, 8 * GIB, 7 * GIB, "made", (8, 6)),
    Device("CPU", DeviceKind.CPU, 64 * GIB, 56 * GIB),
)


def _without(name: str, *parts: str) -> Shape:
    whole = SHAPES[name]

    def layer(index: int) -> Shapes:
        rows = whole.layer(index)
        return {suffix: size for suffix, size in rows.items() if not any(part in suffix for part in parts)}

    return replace(whole, layer=layer)


def _plan(shape: Shape) -> MemoryPlan:
    return choose(anatomy_of(shape), Request(), DEVICES)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Llama-3.1-8B", ("attn_q",)),
        ("Llama-3.1-8B", ("ffn_up",)),
        ("DeepSeek-V3", ("kv_a",)),
        ("mamba-2.8b", ("ssm_x", "ssm_dt")),
    ],
)
def test_layers_that_lack_a_tensor_get_an_estimate_that_says_so(name: str, parts: tuple[str, ...]) -> None:
    plan = _plan(_without(name, *parts))
    assert any("other tensors than their family" in note for note in plan.notes)
    known = plan_memory(anatomy(name), plan.request, DEVICES)
    assert plan.part_bytes("compute", "CPU") >= known.part_bytes("compute", "CPU")


@pytest.mark.parametrize("parts", [("attn_k",), ("ffn_down",), ("attn_", "ffn_")])
def test_layers_that_lack_a_part_are_planned_without_it(parts: tuple[str, ...]) -> None:
    plan = _plan(_without("Llama-3.1-8B", *parts))
    assert plan.fits
    assert plan.part_bytes("compute") > 0


def test_an_unknown_architecture_says_so_and_leans_on_the_dry_run() -> None:
    plan = _plan(replace(SHAPES["Llama-3.1-8B"], family="made-up"))
    known = _plan(SHAPES["Llama-3.1-8B"])
    assert any("'made-up' is not known here" in note and "--check" in note for note in plan.notes)
    assert not any("not known" in note for note in known.notes)
    for name in ("weights", "kv_cache"):
        assert plan.part_bytes(name) == known.part_bytes(name)


def test_an_encoder_keeps_nothing_and_masks_its_own_batch_only() -> None:
    shape = replace(SHAPES["Llama-3.1-8B"], family="bert")
    short, long = (
        plan_memory(anatomy_of(shape), Request(n_ctx=n_ctx, n_gpu_layers=0, cards=()), DEVICES)
        for n_ctx in (4096, 65_536)
    )
    assert short.part_bytes("kv_cache") == 0
    assert short.part_bytes("compute") == long.part_bytes("compute")


@pytest.mark.parametrize("find", [lambda plan: plan.part_bytes("weights"), lambda plan: plan.n_gpu_layers])
def test_drafting_layers_are_left_out(find: Callable[[MemoryPlan], int]) -> None:
    whole = SHAPES["GLM-4.5-Air"]
    drafting = plan_memory(anatomy("GLM-4.5-Air"), Request(n_ctx=4096), DEVICES)
    keys = {name: value for name, value in whole.keys.items() if name != "nextn_predict_layers"}
    plain = replace(whole, keys=keys, n_layer=46)
    assert find(drafting) - find(plan_memory(anatomy_of(plain), Request(n_ctx=4096), DEVICES)) in (0, 1)
    assert any("1 drafting layer" in note for note in drafting.notes)


def test_a_compute_buffer_is_of_a_plausible_size() -> None:
    plan = _plan(SHAPES["Llama-3.1-8B"])
    assert 50 * MIB < plan.part_bytes("compute", "CUDA0") < 500 * MIB
