"""Plans against the dry run of the real engine, on full-size headers: caches, state, buffers, weights."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.plan.full_size import header_bytes
from tests.plan.models import anatomy, model
from tests.plan.shapes import SHAPES

from bringup.actions.planning.referee import check_plan, known_differences
from bringup.engine.build import EngineBuild
from bringup.engine.find import find_embedded
from bringup.machine.folders import Folders
from bringup.plan.differences import Differences, corrected
from bringup.plan.memory import plan_memory
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Device, DeviceKind, Request
from bringup.plan.search import choose
from bringup.units import GIB, MIB

MAIN = Device("CPU", DeviceKind.CPU, 1024 * GIB, 1000 * GIB)

FAMILIES = sorted(SHAPES)

SETTINGS = {
    "plain": Request(n_ctx=8192),
    "slots": Request(n_ctx=16_384, n_ubatch=256, n_parallel=4),
    "shared": Request(n_ctx=16_384, n_parallel=4, is_unified=True),
    "q8_0": Request(n_ctx=16_384, cache_type_k="q8_0", cache_type_v="q8_0"),
    "unfused": Request(n_ctx=8192, flash_attention=False),
}

LOADED_TWICE = {"gemma-4-12B", "gemma-4-26B-A4B", "gemma-4-E2B"}
"""The engine reads their tied output matrix a second time even in main memory, unless the file is mapped."""

SOAK = pytest.mark.skipif(not os.environ.get("BRINGUP_SOAK"), reason="long run: make test-soak")


A_FEW = {
    *("Command-R-08", "DeepSeek-V2-Lite", "GLM-4.5-Air", "Granite-4-H-Tiny", "LFM2-1.2B", "Llama-3.1-8B"),
    *("Nemotron-3-Nano", "Phi-4", "Qwen3.6-35B-A3B", "gemma-3-12b", "gemma-4-E2B", "gpt-oss-20b"),
    *("mamba-2.8b", "Qwen3-30B-A3B"),
}
"""Of different families, judged each time; the others and other settings when asked for."""


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(*(str(tmp_path / name) for name in ("configuration", "cache", "state")))


@pytest.fixture(scope="session")
def build() -> EngineBuild:
    found = find_embedded()
    assert found is not None
    return found


def _ask(name: str, plan: MemoryPlan, build: EngineBuild, folders: Folders) -> Differences:
    return check_plan(
        plan, model(name), build, read_head=lambda _: header_bytes(SHAPES[name])[0], folders=folders
    )


def _judge(name: str, told: Differences, *, most: float) -> None:
    rows = {row.name: row for row in told.rows}
    assert {"compute", "output", "weights"} <= set(rows)
    for row in told.rows:
        planned, real = row.planned_bytes / MIB, row.engine_bytes / MIB
        print(f"{name:18} {row.name:16} planned {planned:12.2f} engine {real:12.2f} MiB")
        if row.name == "compute":
            assert planned == pytest.approx(real, rel=most, abs=0.02)
        elif row.name != "weights" or name.split("/")[0] not in LOADED_TWICE:
            assert row.is_same, row


@pytest.mark.parametrize(
    "name", [name if name in A_FEW else pytest.param(name, marks=SOAK) for name in FAMILIES]
)
def test_the_engine_confirms_a_plan(name: str, build: EngineBuild, folders: Folders) -> None:
    plan = plan_memory(anatomy(name), SETTINGS["plain"], (MAIN,))
    _judge(name, _ask(name, plan, build, folders), most=0.001)


@SOAK
@pytest.mark.parametrize("settings", [name for name in SETTINGS if name != "plain"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_engine_confirms_other_settings(
    name: str, settings: str, build: EngineBuild, folders: Folders
) -> None:
    plan = plan_memory(anatomy(name), SETTINGS[settings], (MAIN,))
    told = _ask(name, plan, build, folders)
    _judge(f"{name}/{settings}", told, most=0.025)


def drawn(seed: int) -> tuple[str, Request]:
    """A model and settings, drawn by chance but the same each time."""
    chance = random.Random(seed)
    is_flash = chance.random() < 0.8
    types = ("f16", "f16", "q8_0", "q4_0", "q5_1", "bf16") if is_flash else ("f16", "f16", "f32")
    both = chance.choice(types)
    n_parallel = chance.choice((1, 1, 2, 3, 4, 8))
    request = Request(
        n_ctx=chance.choice((2048, 5000, 8192, 16_384, 40_000, 131_072)) * chance.choice((1, n_parallel)),
        n_batch=chance.choice((256, 512, 2048, 2048)),
        n_ubatch=chance.choice((64, 128, 256, 512, 512, 1024, 2048)),
        n_parallel=n_parallel,
        is_unified=chance.random() < 0.3,
        has_full_swa=chance.random() < 0.2,
        flash_attention=is_flash,
        cache_type_k=both,
        cache_type_v=both,
    )
    return chance.choice(FAMILIES), request


@SOAK
@pytest.mark.parametrize("seed", range(100))
def test_the_engine_confirms_settings_drawn_by_chance(
    seed: int, build: EngineBuild, folders: Folders
) -> None:
    name, request = drawn(seed)
    plan = plan_memory(anatomy(name), request, (MAIN,))
    told = _ask(name, plan, build, folders)
    _judge(f"{name}/{seed}", told, most=0.025)


def test_an_engine_without_a_card_checks_the_same_run_in_main_memory(
    build: EngineBuild, folders: Folders
) -> None:
    card = Device("CUDA0", DeviceKind.CUDA, 12 * GIB, 11 * GIB, "", (8, 6))
    plan = choose(anatomy("gpt-oss-20b"), Request(n_ctx=8192), (card, MAIN))
    assert plan.placement.cards == ("CUDA0",)
    told = _ask("gpt-oss-20b", plan, build, folders)
    assert not told.has_cards
    assert told.is_confirmed
    kept = known_differences(model("gpt-oss-20b"), build, is_flash=True, folders=folders)
    assert kept == told
    other = replace(build, version="another")
    assert known_differences(model("gpt-oss-20b"), other, is_flash=True, folders=folders) is None
    assert corrected(plan, told) == plan


def test_nothing_is_left_behind(build: EngineBuild, folders: Folders) -> None:
    plan = plan_memory(anatomy("Qwen3-4B"), SETTINGS["plain"], (MAIN,))
    _ask("Qwen3-4B", plan, build, folders)
    left = [path.suffix for path in Path(folders.dry_runs).iterdir()]
    assert left == [".json"]
