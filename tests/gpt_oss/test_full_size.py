"""gpt-oss-20b at full size without its weights: true metadata, shapes and types, sparse on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, run_cli
from tools.gpt_oss import FULL, N_MERGES, N_VOCAB, write_model


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
