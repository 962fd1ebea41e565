"""Plans against what llama.cpp printed for real runs (the rows beside the repository, where they are).

Judged are runs of 2026 whose tensor types the shapes here have; caches of every run that names its settings.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.plan.models import anatomy, anatomy_of
from tests.plan.shapes import SHAPES
from tests.plan.shared_data import shared_path

from bringup.model.quants import TensorType
from bringup.plan.anatomy import Anatomy
from bringup.plan.memory import plan_memory
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Device, DeviceKind, Request
from bringup.units import GIB, MIB

MODELS = {
    "gpt-oss-20b": "gpt-oss-20b",
    "Llama-3.1-8B": "Llama-3.1-8B",
    "Meta-Llama-3-8B": "Llama-3.1-8B",
    "Mixtral-8x7B-Instruct-v0.1": "Mixtral-8x7B",
    "Qwen2.5-Coder-14B": "Qwen2.5-14B",
    "Qwen2.5-Coder-32B": "Qwen2.5-32B",
    "Qwen3-4B": "Qwen3-4B",
    "Qwen3-30B-A3B": "Qwen3-30B-A3B",
    "Qwen3-Coder-30B-A3B": "Qwen3-30B-A3B",
    "Qwen3-Coder-Next": "Qwen3-Next-80B",
    "Qwen3-Next-80B-A3B": "Qwen3-Next-80B",
    "Qwen3.6-27B": "Qwen3.6-27B",
    "Qwen3.6-35B-A3B": "Qwen3.6-35B-A3B",
    "gemma-4-12B-it": "gemma-4-12B",
    "gemma-4-12B-it-QAT": "gemma-4-12B",
    "DeepSeek-Coder-V2-Lite": "DeepSeek-V2-Lite",
    "DeepSeek-Coder-V2-Lite (16B)": "DeepSeek-V2-Lite",
    "GLM-Z1-32B-0414": "GLM-4-32B",
    "Nemotron-3-Nano-30B-A3B": "Nemotron-3-Nano",
    "Phi-4 14B": "Phi-4",
}

OLDER = {
    *("mem-002", "mem-050", "mem-051", "mem-054", "mem-055", "mem-060", "mem-061", "mem-064", "mem-087"),
    *("mem-089", "mem-108"),
}
"""Runs of the first half of 2026, whose builds reserved logits for every token and f32 masks."""

SWA_SIZED_OTHERWISE = {"mem-004", "mem-015"}
"""Builds before September 2025 sized sliding caches by other rules; and a port that keeps four of them."""

JUDGED = {
    *("mem-009", "mem-010", "mem-013", "mem-024", "mem-026", "mem-027", "mem-028", "mem-031", "mem-033"),
    *("mem-034", "mem-036", "mem-040", "mem-042", "mem-044", "mem-127", "mem-131", "mem-135"),
}
"""Compute buffers of b10644 and later, but mem-021 and mem-022: the types of their files are not known."""


@dataclass(frozen=True)
class Row:
    """One run: what was printed and what is planned for it."""

    id: str
    printed: dict[str, dict[str, float]]
    plan: MemoryPlan
    used_mib: dict[str, float]

    def printed_mib(self, *kinds: str) -> float:
        """Sum of the printed buffers of some kinds."""
        return sum(value for kind in kinds for value in (self.printed.get(kind) or {}).values())


def _rows() -> Iterator[Row]:
    for line in shared_path("cases/memory.jsonl").read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        if run["model"] in MODELS and not run["args"].get("override_tensor"):
            yield Row(run["id"], run["buffers_mib"], plan_of_run(run), _used_mib(run))


def _used_mib(run: dict[str, Any]) -> dict[str, float]:
    """What `nvidia-smi` said of each card beside what was there before."""
    told = run.get("vram_used_mib") or {}
    idle = run.get("vram_idle_mib") or 0
    cards = told if isinstance(told, dict) else {"0": told}
    return {f"CUDA{index}": used - idle for index, used in cards.items()}


def anatomy_of_run(run: dict[str, Any]) -> Anatomy:
    name = MODELS[run["model"]]
    if (
        run["quant"] == "Q4_K_M" and name == "Qwen3-30B-A3B"
    ):  # its wider matrices are Q6_K in half of the layers
        return anatomy_of(replace(SHAPES[name], types={"ffn_down_exps": TensorType.Q6_K}))
    return anatomy(name)


def plan_of_run(run: dict[str, Any]) -> MemoryPlan:
    given = run["args"]
    title = str(run.get("gpu") or "").removeprefix("2 x ")
    n_cards = (run.get("n_gpu") or 1) if run["backend"] != "CPU" else 0
    devices = [
        Device(f"CUDA{index}", DeviceKind.CUDA, 96 * GIB, 96 * GIB, title, (8, 6)) for index in range(n_cards)
    ]
    request = Request(
        n_ctx=given["n_ctx"],
        n_parallel=given.get("n_seq_max") or 1,
        n_ubatch=given.get("n_ubatch"),
        n_gpu_layers=given.get("n_gpu_layers"),
        n_cpu_moe=given.get("n_cpu_moe"),
        cache_type_k=given.get("cache_type_k"),
        cache_type_v=given.get("cache_type_v"),
        is_unified=bool(given.get("kv_unified")),
        has_full_swa=bool(given.get("swa_full")),
        flash_attention=given.get("flash_attn"),
        n_outputs=given.get("n_outputs_max"),
        build=int((run["build"] or ("b9200" if run["id"] in OLDER else "b11434"))[1:]),
    )
    return plan_memory(
        anatomy_of_run(run), request, (*devices, Device("CPU", DeviceKind.CPU, 512 * GIB, 512 * GIB))
    )


def test_every_cache_is_as_printed() -> None:
    checked = 0
    for row in _rows():
        printed = row.printed_mib("kv", "kv_swa")
        if not printed or row.id in SWA_SIZED_OTHERWISE:
            continue
        planned = (row.plan.part_bytes("kv_cache") + row.plan.part_bytes("kv_cache_swa")) / MIB
        print(f"{row.id} cache planned {planned:10.2f} printed {printed:10.2f} MiB")
        assert planned == pytest.approx(printed, abs=1.0 if printed == int(printed) else 0.02)
        checked += 1
    assert checked >= 30


def test_recurrent_state_is_as_printed() -> None:
    rows = [row for row in _rows() if row.printed_mib("recurrent")]
    for row in rows:
        planned = row.plan.part_bytes("recurrent_state") / MIB
        assert planned == pytest.approx(row.printed_mib("recurrent"), abs=0.01)
    assert len(rows) >= 8


def test_weights_on_the_card_are_as_printed() -> None:
    judged = [row for row in _rows() if row.id in {"mem-006", "mem-009", "mem-010", "mem-013"}]
    for row in judged:
        printed = row.printed["model"]["CUDA0"]
        assert row.plan.part_bytes("weights", "CUDA0") / MIB == pytest.approx(printed, rel=0.001)
    assert len(judged) == 4


def test_compute_buffers_come_near_what_was_printed() -> None:
    errors: dict[str, float] = {}
    for row in _rows():
        if row.id not in JUDGED:
            continue
        for buffer, printed in row.printed["compute"].items():
            device = buffer if buffer.startswith("CUDA") and buffer[4:].isdigit() else "CPU"
            device = "CUDA0" if buffer == "MTL0" else device
            planned = row.plan.part_bytes("compute", device) / MIB
            errors[f"{row.id} {buffer}"] = planned / printed - 1
            print(f"{row.id} {buffer:10} planned {planned:8.2f} printed {printed:8.2f} MiB", end=" ")
            print(f"({100 * (planned / printed - 1):+.1f} %)")
    sizes = [abs(error) for error in errors.values()]
    assert len(sizes) >= 24
    assert statistics.median(sizes) <= 0.01, errors
    assert max(sizes) <= 0.05, errors


def test_older_builds_have_rules_of_their_own() -> None:
    on_cards, on_hosts = [], []
    for row in _rows():
        if row.id not in OLDER:
            continue
        for buffer, printed in row.printed["compute"].items():
            is_host = buffer == "CPU" or buffer.endswith("_Host")
            planned = row.plan.part_bytes("compute", "CPU" if is_host else "CUDA0") / MIB
            (on_hosts if is_host else on_cards).append(planned / printed - 1)
            print(f"{row.id} {buffer:11} planned {planned:8.2f} printed {printed:8.2f} MiB")
    assert len(on_hosts) >= 10
    assert max(map(abs, on_hosts)) <= 0.002
    assert statistics.median(map(abs, on_cards)) <= 0.05
    assert max(map(abs, on_cards)) <= 0.15


def test_the_sum_of_a_card_comes_near_what_was_printed() -> None:
    errors: dict[str, float] = {}
    for row in _rows():
        model = row.printed.get("model") or {}
        if row.id not in JUDGED or "CUDA0" not in model:
            continue
        kinds = ("kv", "kv_swa", "recurrent", "compute")
        printed = sum((row.printed.get(kind) or {}).get("CUDA0", 0.0) for kind in kinds)
        names = ("kv_cache", "kv_cache_swa", "recurrent_state", "compute")
        planned = sum(row.plan.part_bytes(name, "CUDA0") for name in names) / MIB
        if "recurrent" not in row.printed:  # the breakdown of two cards prints it within its context figure
            planned -= row.plan.part_bytes("recurrent_state", "CUDA0") / MIB
        # Weights are the file's own bytes: the shapes here have other types than some of these files.
        whole = model["CUDA0"] + printed
        errors[row.id] = (planned - printed) / whole
        print(f"{row.id} beside weights planned {planned:8.1f} printed {printed:8.1f} of {whole:9.1f} MiB")
    sizes = [abs(error) for error in errors.values()]
    assert len(sizes) >= 12
    assert statistics.median(sizes) <= 0.01, errors
    assert max(sizes) <= 0.04, errors


def test_the_whole_of_a_card_comes_near_what_nvidia_smi_said() -> None:
    errors: dict[str, float] = {}
    for row in _rows():
        for card, used in row.used_mib.items():
            weights = (row.printed.get("model") or {}).get(card)
            if row.id not in JUDGED - {"mem-135"} or weights is None:  # a desktop was on that card
                continue
            names = ("kv_cache", "kv_cache_swa", "recurrent_state", "compute", "overhead")
            planned = weights + sum(row.plan.part_bytes(name, card) for name in names) / MIB
            errors[f"{row.id} {card}"] = planned / used - 1
            print(f"{row.id} {card} planned {planned:8.0f} used {used:8.0f} MiB", end=" ")
            print(f"({100 * (planned / used - 1):+.2f} %)")
    sizes = [abs(error) for error in errors.values()]
    assert len(sizes) >= 12
    assert statistics.median(sizes) <= 0.01, errors
    assert max(sizes) <= 0.04, errors
