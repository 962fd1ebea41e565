"""The chosen placement against a try of every other one, and the command against what was computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.planning.made import described, file_of

from bringup.actions.live.engine_map import request_of_command
from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.plan import report_of
from bringup.actions.planning.source import find_source
from bringup.actions.planning.start import Planning, PlanWishes, start_planning
from bringup.machine.folders import our_folders
from bringup.machine.live import LiveMachine
from bringup.plan.card_split import lacks_on_cards
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Request
from bringup.stack.engines import option

CASES = [
    ("gpt-oss-20b", ("RTX 3060",), 32),
    ("Qwen3-30B-A3B", ("RTX 4060",), 64),
    ("gpt-oss-20b", ("RTX 2060", "RTX 4060"), 32),
    ("Nemotron-3-Nano", ("RX 7600",), 64),
    ("GLM-4-32B", ("RTX 4060 Ti 16GB",), 32),
    ("Qwen3.6-27B", ("RTX 3060",), 32),
    ("gemma-3-12b", ("Arc B580",), 16),
    ("Qwen2.5-32B", ("RTX 4090", "RTX 4060"), 32),
    ("Llama-3.1-8B", ("RTX 2060", "RTX 4060"), 16),
]
STEPS = 7
"""Every so many-th count of layers and of experts is tried."""


def _planning(folder: Path, name: str, gpus: tuple[str, ...], ram_gib: int, request: Request) -> Planning:
    words = described(*gpus, ram_gib=ram_gib)
    source = find_source(str(file_of(folder, name)), our_folders(), may_send_token=lambda _: False)
    place = look_for_place(LiveMachine(), words, expects_driver=True)
    return start_planning(source, PlanWishes(request=request, described=words), place)


def _others(planning: Planning, chosen: MemoryPlan) -> list[MemoryPlan]:
    """Plans of the same settings, placed in every other way that a step meets."""
    n_layer = len(planning.planner.anatomy.layers)
    has_experts = bool(planning.planner.anatomy.architecture.n_expert)
    names = [card.name for card in planning.place.cards]
    return [
        planning.planner.plan(
            replace(chosen.request, n_gpu_layers=layers, n_cpu_moe=experts, cards=cards, tensor_split=())
        )
        for cards in {(name,) for name in names} | {tuple(names)}
        for layers in (*range(0, n_layer, STEPS), n_layer + 1)
        for experts in (*range(0, n_layer, STEPS), n_layer)[: None if has_experts else 1]
    ]


@pytest.mark.parametrize(("name", "gpus", "ram_gib"), CASES, ids=lambda one: one if type(one) is str else "")
def test_no_placement_that_fits_is_faster(
    tmp_path: Path, name: str, gpus: tuple[str, ...], ram_gib: int
) -> None:
    planning = _planning(tmp_path, name, gpus, ram_gib, Request(n_ctx=16_384))
    chosen = planning.choose()
    assert chosen.fits
    speed = planning.teller.judge(chosen.placement, chosen.run)
    for other in _others(planning, chosen):
        if other.fits and not lacks_on_cards(other):
            assert planning.teller.judge(other.placement, other.run) <= 1.001 * speed, other.placement


@pytest.mark.parametrize(("name", "gpus", "ram_gib"), CASES, ids=lambda one: one if type(one) is str else "")
def test_the_command_asks_for_what_was_computed(
    tmp_path: Path, name: str, gpus: tuple[str, ...], ram_gib: int
) -> None:
    """Planned again from its words alone, every part is the same."""
    planning = _planning(tmp_path, name, gpus, ram_gib, Request())
    chosen = planning.choose()
    command = report_of(planning, chosen, split_mode=None).command
    asked = request_of_command(command)
    card = option(command, "--main-gpu")
    names = tuple(card.name for card in planning.place.cards)
    said = replace(
        asked,
        cards=(names[int(card)],) if card else None,
        n_threads=chosen.request.n_threads,
        margin_bytes=chosen.request.margin_bytes,
        n_ubatch=asked.n_ubatch or 512,
    )
    assert planning.planner.plan(said).parts == chosen.parts


WANTING = [
    ("Qwen2.5-14B", ("RTX 2060",), 8, 32_768),
    ("Qwen2.5-32B", ("RTX 4060",), 16, 131_072),
    ("Qwen3-30B-A3B", ("RTX 4060",), 16, 262_144),
]


@pytest.mark.parametrize(("name", "gpus", "ram_gib", "n_ctx"), WANTING, ids=str)
def test_what_is_named_to_make_it_fit_does(
    tmp_path: Path, name: str, gpus: tuple[str, ...], ram_gib: int, n_ctx: int
) -> None:
    planning = _planning(tmp_path, name, gpus, ram_gib, Request(n_ctx=n_ctx))
    plan = planning.choose()
    assert not plan.fits
    ways = report_of(planning, plan, split_mode=None).alternatives
    assert any(way.fits for way in ways)
    for way in ways:
        window = option(way.options, "--ctx-size")
        if way.fits and window:
            assert planning.choose(replace(planning.request, n_ctx=int(window))).fits
