"""The first plan: context down, then a refusal with the figures; never more than is free."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.errors import DoesNotFit, WrongUse
from bringup.plan.kv_cache import LayerCache
from bringup.plan.plan import Residence
from bringup.plan.simple import ModelNeeds, PlanRequest, plan_run
from bringup.units import GIB, MIB

# An 8B Llama, Q4_K_M: 32 layers, 8 KV heads of 128.
LLAMA_8B = ModelNeeds(
    name="Llama-3.1-8B",
    weights_bytes=4_900 * MIB,
    repacked_bytes=0,
    layers=tuple(LayerCache(1024, 1024) for _ in range(32)),
    n_swa=0,
    n_embd=4096,
    n_ff_active=14336,
    n_vocab=128256,
    n_ctx_train=131072,
)


def test_a_roomy_machine_gets_the_default_window() -> None:
    plan = plan_run(LLAMA_8B, available_bytes=64 * GIB, request=PlanRequest())
    assert plan.n_ctx == 8192
    assert plan.part_bytes("kv_cache") == GIB
    assert plan.notes == ()


def test_a_short_trained_context_is_not_exceeded() -> None:
    plan = plan_run(replace(LLAMA_8B, n_ctx_train=2048), available_bytes=64 * GIB, request=PlanRequest())
    assert plan.n_ctx == 2048


def test_the_window_gives_way_first_and_says_so() -> None:
    plan = plan_run(LLAMA_8B, available_bytes=6_656 * MIB, request=PlanRequest())
    assert plan.n_ctx == 4096
    assert "lowered" in plan.notes[0]


def test_a_window_that_was_asked_for_is_kept_or_refused() -> None:
    asked = PlanRequest(n_ctx=65536)
    assert plan_run(LLAMA_8B, available_bytes=64 * GIB, request=asked).n_ctx == 65536
    with pytest.raises(DoesNotFit) as caught:
        plan_run(LLAMA_8B, available_bytes=8 * GIB, request=asked)
    assert "--ctx-size" in caught.value.hint
    fitting = int(caught.value.hint.rsplit(" ", 1)[1].rstrip("."))
    assert plan_run(LLAMA_8B, available_bytes=8 * GIB, request=PlanRequest(n_ctx=fitting)).n_ctx == fitting


def test_a_refusal_carries_every_figure() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan_run(LLAMA_8B, available_bytes=2 * GIB, request=PlanRequest())
    text = "\n".join(caught.value.context)
    assert "weights" in text
    assert "kv_cache" in text
    assert "missing" in text
    assert "2.0 GiB are free" in caught.value.message


def test_zero_means_the_trained_context() -> None:
    assert plan_run(LLAMA_8B, available_bytes=64 * GIB, request=PlanRequest(n_ctx=0)).n_ctx == 131072


def test_more_than_trained_is_allowed_and_warned_of() -> None:
    short = replace(LLAMA_8B, n_ctx_train=2048)
    plan = plan_run(short, available_bytes=64 * GIB, request=PlanRequest(n_ctx=4096))
    assert plan.n_ctx == 4096
    assert "trained" in plan.notes[0]


def test_slots_each_get_whole_blocks_of_cells() -> None:
    """llama.cpp pads each slot: -c 8200 -np 8 becomes 10,240."""
    plan = plan_run(LLAMA_8B, available_bytes=64 * GIB, request=PlanRequest(n_ctx=8200, n_parallel=8))
    assert plan.n_ctx == 10240


def test_a_card_is_left_to_the_engine() -> None:
    request = PlanRequest(engine_places_layers=True)
    plan = plan_run(LLAMA_8B, available_bytes=2 * GIB, request=request)
    assert plan.memory_limit_bytes is None
    assert any("card" in note for note in plan.notes)


@pytest.mark.parametrize("request_", [PlanRequest(n_ctx=-1), PlanRequest(n_parallel=0)])
def test_what_cannot_be_is_wrong_use(request_: PlanRequest) -> None:
    with pytest.raises(WrongUse):
        plan_run(LLAMA_8B, available_bytes=64 * GIB, request=request_)


@given(st.integers(0, 40 * GIB), st.integers(1, 8), st.none() | st.integers(0, 200_000))
def test_a_plan_never_needs_more_than_is_free(available: int, slots: int, n_ctx: int | None) -> None:
    try:
        plan = plan_run(
            LLAMA_8B, available_bytes=available, request=PlanRequest(n_ctx=n_ctx, n_parallel=slots)
        )
    except DoesNotFit:
        return
    assert plan.total_bytes() <= available
    assert plan.n_ctx >= (n_ctx or 0)
    assert plan.memory_limit_bytes is not None
    private = sum(part.bytes for part in plan.parts if part.residence is Residence.ANONYMOUS)
    assert plan.memory_limit_bytes > private
