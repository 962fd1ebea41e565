"""Runs at the limit of a card: what ended in cudaMalloc failing must not be said to fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.plan.fresh_shapes import FRESH
from tests.plan.models import anatomy_of
from tests.plan.shared_data import shared_path
from tests.plan.test_against_logs import JUDGED, anatomy_of_run, plan_of_run

from bringup.actions.planning.place import reserved_bytes
from bringup.plan.anatomy import Anatomy
from bringup.plan.card_names import card_named
from bringup.plan.memory import plan_memory
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Device, DeviceKind, Request
from bringup.plan.search import choose
from bringup.units import GIB, MIB

RUNS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "limits.json").read_text())["runs"]

_TWELVE, _SEEN_MIB = "NVIDIA GeForce RTX 3060", 11_911
"""The card of most public runs with all their settings, and what the engine sees of it."""

MAIN = Device("CPU", DeviceKind.CPU, 512 * GIB, 512 * GIB)


def _cards(run: dict[str, Any], weights: MemoryPlan | None) -> tuple[Device, ...]:
    """The cards as the engine saw them, smaller by what the real file's weights take more than those here."""
    found = []
    for index, (title, free) in enumerate(zip(run["cards"], run["free_mib"], strict=True)):
        name, card = f"CUDA{index}", card_named(title)
        capability = tuple(int(part) for part in card.compute_capability.split("."))
        size = free * MIB
        if run.get("note") == "Windows":
            size -= reserved_bytes(card.memory_bytes, (capability[0], capability[1]))
        if weights is not None:
            mine = weights.part_bytes("weights", name)
            all_of_mine = sum(weights.part_bytes("weights", f"CUDA{n}") for n in range(len(run["cards"])))
            size -= int(mine * (run["weights_mib"] * MIB / all_of_mine - 1))
        found.append(Device(name, DeviceKind.CUDA, free * MIB, size, title, (capability[0], capability[1])))
    return tuple(found)


def _chosen(run: dict[str, Any]) -> MemoryPlan:
    """What is planned where the user has fixed everything, as in the run."""
    model: Anatomy = anatomy_of(FRESH[run["model"]])
    given: dict[str, Any] = {
        "n_gpu_layers": 999,
        "n_ubatch": 512,
        "n_cpu_moe": 0,
        "cache_type_k": "f16",
        "cache_type_v": "f16",
    }
    given |= run["args"]
    if "tensor_split" in given:
        given["tensor_split"] = tuple(given["tensor_split"])
    request = Request(build=run["build"], **given)
    mine = plan_memory(model, request, (*_cards(run, None), MAIN))
    return choose(model, request, (*_cards(run, mine), MAIN))


def test_what_ended_in_cudamalloc_failing_is_not_said_to_fit() -> None:
    ended = [run for run in RUNS if not run["ran"]]
    said = {run["id"]: _chosen(run).fits for run in ended}
    assert not any(said.values()), said
    assert len(said) >= 12


def test_what_ran_is_said_to_fit_or_lacks_less_than_the_least_margin() -> None:
    fitting = 0
    for run in RUNS:
        if not run["ran"]:
            continue
        plan = _chosen(run)
        lacking = sum(plan.missing.values()) / MIB
        print(f"{run['id']}: {'fits' if plan.fits else f'lacks {lacking:.0f} MiB of the margin'}")
        fitting += plan.fits
        margins = sum(part.bytes for part in plan.parts if part.name == "margin" and part.device != "CPU")
        assert plan.fits or sum(plan.missing.values()) < margins
    assert fitting >= 3


def test_a_plan_that_only_just_fits_says_that_it_is_tight() -> None:
    run = next(run for run in RUNS if run["id"] == "27B q8_0 25344")
    assert not any("tight" in note for note in _chosen(run).notes)
    plan = _chosen(run | {"free_mib": [15_700]})  # made: the same with less
    assert plan.fits
    assert any(note.startswith("It is tight: CUDA0 has ") for note in plan.notes)


def test_public_runs_on_cards_of_12_gib_are_said_to_fit() -> None:
    fitting, told = 0, []
    for line in shared_path("cases/memory.jsonl").read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        weights = run["buffers_mib"].get("model") or {}
        if run["id"] not in JUDGED or run.get("gpu") != _TWELVE or "CUDA0" not in weights:
            continue
        mine = plan_of_run(run)
        larger = int(weights["CUDA0"] * MIB) - mine.part_bytes("weights", "CUDA0")
        free = (_SEEN_MIB - int(run.get("vram_idle_mib") or 0)) * MIB
        card = Device("CUDA0", DeviceKind.CUDA, free, free - larger, _TWELVE, (8, 6))
        plan = choose(anatomy_of_run(run), mine.request, (card, MAIN))
        told.append(run["id"])
        fitting += plan.fits
        if not plan.fits:
            print(f"{run['id']} lacks {sum(plan.missing.values()) / MIB:.0f} MiB of the margin")
    assert len(told) >= 9
    assert fitting >= len(told) - 1
