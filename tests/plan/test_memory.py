"""Memory plans: llama.cpp's own figures for the caches, parts and totals, notes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.plan.models import anatomy

from bringup.errors import WrongUse
from bringup.model.architecture import RopeScaling
from bringup.plan.memory import plan_memory
from bringup.plan.request import Device, DeviceKind, Request
from bringup.units import GIB, MIB

CARD = Device("CUDA0", DeviceKind.CUDA, 12 * GIB, 11 * GIB, "NVIDIA GeForce RTX 3060", (8, 6))
MAIN = Device("CPU", DeviceKind.CPU, 64 * GIB, 56 * GIB)


@pytest.mark.parametrize(
    ("n_ctx", "n_ubatch", "full_mib", "sliding_mib"),
    [(8192, 512, 192, 18), (131_072, 512, 3072, 18), (131_072, 2048, 3072, 54)],
)
def test_gpt_oss_keeps_what_llama_cpp_says(
    n_ctx: int, n_ubatch: int, full_mib: int, sliding_mib: int
) -> None:
    plan = plan_memory(anatomy("gpt-oss-20b"), Request(n_ctx=n_ctx, n_ubatch=n_ubatch), (CARD, MAIN))
    assert plan.part_bytes("kv_cache") == full_mib * MIB
    assert plan.part_bytes("kv_cache_swa") == sliding_mib * MIB


def test_totals_are_sums_of_parts_and_margins_are_parts() -> None:
    plan = plan_memory(anatomy("gpt-oss-20b"), Request(n_ctx=8192), (CARD, MAIN))
    on_card = [part for part in plan.parts if part.device == "CUDA0"]
    counted = sum(part.bytes for part in on_card if part.name != "other_programs")
    assert plan.needed_bytes("CUDA0") == counted
    assert {part.name for part in on_card} == {
        *("weights", "kv_cache", "kv_cache_swa", "compute", "overhead", "margin", "other_programs")
    }
    assert plan.missing == {"CUDA0": counted - CARD.free_bytes}
    assert all(part.formula and part.source for part in plan.parts)


def test_a_window_beyond_training_is_allowed_and_told() -> None:
    plan = plan_memory(anatomy("Llama-3.1-8B"), Request(n_ctx=262_144), (MAIN,))
    assert plan.run.n_ctx == 262_144
    assert any("--rope-scale 2 --yarn-orig-ctx 131072" in note for note in plan.notes)
    within = plan_memory(anatomy("Llama-3.1-8B"), Request(n_ctx=131_072), (MAIN,))
    assert not any("rope" in note for note in within.notes)


def test_a_file_that_stretches_its_positions_already_is_stretched_further() -> None:
    """4,096 x 32 tokens by the file's own YaRN: 75 times the original is what 300K need."""
    model = anatomy("gpt-oss-20b")
    figures = replace(model.architecture, rope_scaling=RopeScaling("yarn", 32.0, 4096))
    plan = plan_memory(replace(model, architecture=figures), Request(n_ctx=307_200), (MAIN,))
    assert any("--rope-scale 75 --yarn-orig-ctx 4096" in note for note in plan.notes)


def test_a_padded_window_is_told() -> None:
    plan = plan_memory(anatomy("Llama-3.1-8B"), Request(n_ctx=8200, n_parallel=8), (MAIN,))
    assert plan.run.n_ctx == 10_240
    assert any("from 8,200 to 10,240 tokens for 8 slots" in note for note in plan.notes)


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(WrongUse, match="-1 tokens cannot be"):
        plan_memory(anatomy("Llama-3.1-8B"), Request(n_ctx=-1), (MAIN,))


def test_a_card_that_others_fill_is_told() -> None:
    full = Device("CUDA0", DeviceKind.CUDA, 24 * GIB, 2 * GIB, "made", (8, 9))
    plan = plan_memory(anatomy("Llama-3.1-8B"), Request(n_ctx=8192), (full, MAIN))
    assert not plan.fits
    assert any("other programs hold 22,528 MiB" in note for note in plan.notes)


@pytest.mark.parametrize("flash_attention", [True, False])
def test_of_a_cache_in_main_memory_the_card_needs_room_for_one_layer(flash_attention: bool) -> None:
    """Keys and values of a layer (65,536 tokens x 1,024 elements x 2 bytes each) are copied to attend."""
    card = replace(CARD, total_bytes=24 * GIB, free_bytes=23 * GIB)
    asked = Request(n_ctx=65_536, flash_attention=flash_attention)
    there = plan_memory(anatomy("Llama-3.1-8B"), asked, (card, MAIN))
    away = plan_memory(anatomy("Llama-3.1-8B"), replace(asked, offloads_cache=False), (card, MAIN))
    assert (there.part_bytes("kv_cache", "CUDA0"), away.part_bytes("kv_cache", "CPU")) == (8192 * MIB,) * 2
    one_layer = 2 * 65_536 * 1024 * 2
    grown = away.part_bytes("compute", "CUDA0") - there.part_bytes("compute", "CUDA0")
    assert one_layer // 2 < grown <= one_layer, "some of it lies where something else is not needed any more"
