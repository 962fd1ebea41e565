"""The placement search: what gives way, and that explicit wishes stay."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.plan.models import anatomy

from bringup.plan.card_split import is_all_on_cards
from bringup.plan.memory import Planner
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Device, DeviceKind, Request
from bringup.plan.search import choose
from bringup.units import GIB

MAIN = Device("CPU", DeviceKind.CPU, 64 * GIB, 56 * GIB)


def card(free_gib: float, name: str = "CUDA0") -> Device:
    return Device(name, DeviceKind.CUDA, 24 * GIB, int(free_gib * GIB), "made", (8, 6))


def test_all_layers_go_to_a_card_that_holds_them_and_the_window_grows() -> None:
    plan = choose(anatomy("gpt-oss-20b"), Request(), (card(23), MAIN))
    assert is_all_on_cards(plan)
    assert (plan.fits, plan.run.n_ctx, plan.run.type_k) == (True, 32_768, "f16")


def test_experts_leave_a_card_that_is_too_small_and_one_less_would_not_fit() -> None:
    wanted = Request(n_ctx=8192, n_ubatch=512, cache_type_k="f16", cache_type_v="f16")
    plan = choose(anatomy("gpt-oss-20b"), wanted, (card(9), MAIN))
    assert plan.fits
    assert plan.n_gpu_layers == 25
    assert 0 < plan.n_cpu_moe < 24
    more = choose(anatomy("gpt-oss-20b"), replace(wanted, n_cpu_moe=plan.n_cpu_moe - 1), (card(9), MAIN))
    assert more.n_cpu_moe == plan.n_cpu_moe - 1
    assert more.n_gpu_layers < 25


def test_the_window_grows_beside_experts_in_main_memory_until_one_more_would_have_to_leave() -> None:
    model, place = anatomy("gpt-oss-20b"), (card(9.2), MAIN)
    plan = choose(model, Request(), place)
    assert plan.fits and plan.n_cpu_moe and plan.run.n_ctx > 8192
    usual = choose(model, Request(n_ctx=8192), place)
    assert plan.n_cpu_moe == usual.n_cpu_moe, "no expert left the card for it"
    wider = Planner(model, place).plan(replace(plan.request, n_ctx=2 * plan.run.n_ctx))
    assert plan.run.n_ctx == 32_768 or not wider.fits


def test_layers_of_a_dense_model_leave_the_card() -> None:
    plan = choose(anatomy("Llama-3.1-8B"), Request(n_ctx=8192), (card(4), MAIN))
    assert plan.fits
    assert 0 < plan.n_gpu_layers < 33
    kept = choose(anatomy("Llama-3.1-8B"), Request(n_ctx=8192, n_gpu_layers=33), (card(4), MAIN))
    assert kept.n_gpu_layers == 33
    assert not kept.fits


@pytest.mark.parametrize("free_gib", [6.9, 7.4, 7.9])
def test_experts_come_back_where_the_cache_drove_whole_layers_away(free_gib: float) -> None:
    """Found by trying every placement: a layer's caches took more room than its experts."""
    plan = choose(anatomy("DeepSeek-V2-Lite"), Request(n_ctx=262_144), (card(free_gib), MAIN))
    assert plan.fits
    assert 0 < plan.n_gpu_layers < 28
    assert plan.n_cpu_moe < 27
    assert not any("with one more 0 MiB" in reason or "there, 0 MiB" in reason for reason in plan.reasons)


def test_one_card_is_used_where_it_holds_the_model_and_two_where_not() -> None:
    two = (card(10), card(10, "CUDA1"), MAIN)
    assert choose(anatomy("Llama-3.1-8B"), Request(n_ctx=8192), two).placement.cards == ("CUDA0",)
    both = choose(anatomy("gpt-oss-20b"), Request(n_ctx=8192), two)
    assert both.placement.cards == ("CUDA0", "CUDA1")
    assert both.fits
    assert is_all_on_cards(both)


def test_unequal_cards_get_unequal_shares() -> None:
    plan = choose(anatomy("gpt-oss-20b"), Request(n_ctx=8192), (card(8.2), card(5.5, "CUDA1"), MAIN))
    counts = [plan.placement.layers.count(name) for name in ("CUDA0", "CUDA1")]
    assert plan.fits
    assert counts[0] > counts[1] > 0


def test_without_a_card_the_window_gives_way_to_memory() -> None:
    small = Device("CPU", DeviceKind.CPU, 8 * GIB, int(5.2 * GIB))
    plan = choose(anatomy("Llama-3.1-8B"), Request(), (small,))
    assert plan.fits
    assert plan.run.n_ctx < 8192
    kept = choose(anatomy("Llama-3.1-8B"), Request(n_ctx=8192), (small,))
    assert not kept.fits
    assert kept.missing["CPU"] > 0


LADDER = (4096, 8192, 16_384, 32_768, 65_536, 131_072)


def climbed(planner: Planner) -> list[MemoryPlan]:
    """The best plan for each window."""
    return [choose(planner, Request(n_ctx=window), planner.devices) for window in LADDER]


def n_layouts(planner: Planner) -> int:
    """Compute buffers that were laid out: most of a plan's time."""
    return len(planner._layouts._known)


@pytest.mark.parametrize(
    ("name", "cards"),
    [
        ("gpt-oss-20b", (card(11.5),)),
        ("Llama-3.1-8B", (card(4.5),)),
        ("gpt-oss-20b", (card(7), card(3.5, "CUDA1"))),
    ],
)
def test_what_weights_alone_rule_out_is_not_laid_out_and_the_choice_is_the_same(
    name: str, cards: tuple[Device, ...]
) -> None:
    quick = Planner(anatomy(name), (*cards, MAIN))
    # A planner that corrects its plans knows no bounds: it lays everything out.
    thorough = Planner(anatomy(name), (*cards, MAIN), correct=lambda plan: plan)
    assert climbed(quick) == climbed(thorough)
    assert n_layouts(quick) < 0.8 * n_layouts(thorough)


def test_a_ladder_lays_out_few_placements_a_window() -> None:
    planner = Planner(anatomy("gpt-oss-20b"), (card(11.5), MAIN))
    climbed(planner)
    assert n_layouts(planner) <= 6 * len(LADDER)  # 112 without bounds
