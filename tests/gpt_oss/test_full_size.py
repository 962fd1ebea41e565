"""gpt-oss-20b at full size without its weights: true metadata, shapes and types, sparse on the disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, run_cli
from tools.gpt_oss import FULL, N_MERGES, N_VOCAB, write_model

from bringup.actions.planning.referee import check_plan
from bringup.engine.find import find_embedded
from bringup.machine.folders import Folders
from bringup.plan.anatomy import take_apart
from bringup.plan.memory import plan_memory
from bringup.plan.request import CPU, Device, DeviceKind, Request
from bringup.store.header import load_model
from bringup.units import GIB, MIB

MAIN = Device(CPU, DeviceKind.CPU, 64 * GIB, 60 * GIB, "main memory")


@pytest.fixture(scope="module")
def full_size(materials: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "gpt-oss-20b-mxfp4.gguf"
    write_model(materials, path, FULL)
    return path


def test_the_file(full_size: Path) -> None:
    """Twelve gigabytes, and hardly anything of them on the disk."""
    status = full_size.stat()
    assert 12.1e9 < status.st_size < 12.12e9
    assert status.st_blocks * 512 < 64 * 1024**2


def test_show(full_size: Path, tmp_path: Path) -> None:
    done = run_cli(Home(tmp_path), "show", str(full_size), "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["problems"] == []
    # 459 tensors: 98 in Q8_0, 72 in MXFP4, the rest in F32; 20.9 thousand million parameters.
    assert {name: share["tensors"] for name, share in shown["by_type"].items()} == {
        "F32": 289, "Q8_0": 98, "MXFP4": 72,
    }  # fmt: skip
    assert 20.9e9 < shown["parameters"] < 20.95e9
    figures = shown["architecture"]
    assert (figures["name"], figures["n_layer"], figures["n_vocab"]) == ("gpt-oss", 24, N_VOCAB)
    assert shown["tokenizer"]["n_merges"] == N_MERGES


def test_prompt_of_the_full_size(full_size: Path, tmp_path: Path) -> None:
    """Of twelve gigabytes only the header is read."""
    done = run_cli(Home(tmp_path), "prompt", str(full_size), "Hello", "--reasoning", "high", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert "Reasoning: high" in shown["rendered"] and shown["trained_tokens"] == 131_072
    # 24 layers of 8 heads of 64 columns, K and V in f16; shorter than the window, so every layer keeps all.
    assert shown["kv_cache_bytes"] == shown["n_tokens"] * 24 * 2 * 512 * 2


WINDOWS = {
    "8,192 tokens": (Request(n_ctx=8192), 192, 18),
    "131,072 tokens": (Request(n_ctx=131_072), 3072, 18),
    "a micro-batch of 2,048": (Request(n_ctx=8192, n_ubatch=2048), 192, 54),
}
"""What is asked for, and llama.cpp's own caches for it in MiB: full and sliding."""


@pytest.mark.skipif(not os.environ.get("BRINGUP_SOAK"), reason="long run: make test-soak")
@pytest.mark.parametrize("words", WINDOWS)
def test_the_engine_prints_the_memory_that_is_planned(full_size: Path, tmp_path: Path, words: str) -> None:
    """The engine itself reads the header and plans: nothing of the weights is loaded."""
    request, full_mib, sliding_mib = WINDOWS[words]
    folders = Folders(*(str(tmp_path / name) for name in ("configuration", "cache", "state")))
    model = load_model(str(full_size), folders=folders)
    build = find_embedded()
    assert build is not None
    plan = plan_memory(take_apart(model), request, (MAIN,))
    told = check_plan(plan, model, build, folders=folders)
    for row in told.rows:
        planned, real = row.planned_bytes / MIB, row.engine_bytes / MIB
        print(f"{words:24} {row.name:14} planned {planned:10.2f} engine {real:10.2f} MiB")
    rows = {row.name: row for row in told.rows}
    assert set(rows) == {"weights", "kv_cache", "kv_cache_swa", "compute", "output"}
    assert rows["kv_cache"].engine_bytes == full_mib * MIB
    assert rows["kv_cache_swa"].engine_bytes == sliding_mib * MIB
    assert told.is_confirmed


@pytest.mark.skipif(not os.environ.get("BRINGUP_SOAK"), reason="long run: make test-soak")
def test_the_command_says_that_the_engine_confirms(full_size: Path, tmp_path: Path) -> None:
    words = ("--cpu-only", "--ctx-size", "8192", "--check", "--json")
    done = run_cli(Home(tmp_path), "plan", str(full_size), *words)
    assert done.returncode in (0, 1), done.stderr  # 1: this machine has too little free for it
    assert "confirms all 5 figures" in json.loads(done.stdout)["checked"][0]
