"""`--check`: the real engine's dry run judges a plan, and what it says corrects the next one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.planning.made import described, planned
from tests.stubs.command_line import Home, run_cli

from bringup.actions.planning.companions import Beside
from bringup.machine.folders import our_folders
from bringup.plan.request import Request

CARD = described("RTX 3060")
REQUEST = Request(n_ctx=8192)


def test_the_engine_confirms_and_says_what_it_could_see(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD, REQUEST, checks=True)
    (said,) = report.checked
    assert "confirms all" in said
    assert "knows no card" in said


def test_the_engine_counts_what_drafts_too(llama: Path, small_model: Path) -> None:
    """Slots, so that the outputs of both count: 2 x (1 + 3) of the model, 2 of what drafts for it."""
    request = replace(REQUEST, n_parallel=2)
    report = planned(llama, CARD, request, checks=True, beside=Beside(draft=str(small_model)))
    (said,) = report.checked
    assert "confirms all 8 figures" in said
    assert not list(Path(our_folders().dry_runs).glob("*.json")), "the next plan may be one without a draft"


def test_what_the_engine_knows_better_corrects_the_next_plan(gpt_oss: Path) -> None:
    """Made: the kept answer is changed to one in which the engine counts half more of the full layers."""
    before = planned(gpt_oss, CARD, REQUEST, checks=True)
    (kept,) = Path(our_folders().dry_runs).glob("*.json")
    told = json.loads(kept.read_text())
    for row in told["rows"]:
        if row["name"] == "kv_cache":
            row["engine_bytes"] = row["planned_bytes"] * 3 // 2
    kept.write_text(json.dumps(told))
    after = planned(gpt_oss, CARD, REQUEST)
    old = {part.name: part for part in before.parts if part.device == "CUDA0"}
    new = {part.name: part for part in after.parts if part.device == "CUDA0"}
    assert new["kv_cache"].bytes == old["kv_cache"].bytes * 3 // 2
    assert "corrected by the dry run of embedded llama.cpp" in new["kv_cache"].source
    assert new["kv_cache_swa"].bytes == old["kv_cache_swa"].bytes
    assert new["weights"].bytes == old["weights"].bytes


def test_a_plan_without_a_check_asks_no_engine(own_home: Path, gpt_oss: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin/llama-server"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    program.chmod(0o755)
    done = run_cli(Home(own_home), "plan", str(gpt_oss), "--cpu-only", PATH=f"{program.parent}:/usr/bin:/bin")
    assert done.stdout
    assert not (tmp_path / "asked").exists()
