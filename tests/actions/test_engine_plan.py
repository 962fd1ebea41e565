"""The plan that `run` and `serve` follow: the window gives way, or a refusal; cards by CUDA only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.cases._make.elf_file import elf_file
from tests.plan.full_size import header_bytes
from tests.plan.shapes import SHAPES

from bringup.actions.planning.command import settings_of
from bringup.actions.planning.engine_plan import EnginePlan, plan_for_engine
from bringup.actions.planning.source import of_headers
from bringup.engine.build import EngineBuild, EngineKind
from bringup.errors import DoesNotFit, WrongUse
from bringup.machine.recorded import RecordedMachine
from bringup.model.gguf import read_header
from bringup.model.shards import Model, assemble
from bringup.model.source import BufferSource
from bringup.plan.plan import Residence
from bringup.plan.request import Request
from bringup.store.local import LocalModel, OriginKind
from bringup.units import GIB, KIB, MIB

HOST = Path(__file__).parents[1] / "stack/hosts/desktop-smt"
EMBEDDED = EngineBuild(EngineKind.EMBEDDED, "/site/xllamacpp", "2026.10", "Python package")
EXTERNAL = EngineBuild(EngineKind.EXTERNAL, "/opt/llama/llama-server", "b11434", "PATH")


def model_of(name: str) -> Model:
    data, size_bytes = header_bytes(SHAPES[name])
    return assemble((read_header(BufferSource(data, name=f"/m/{name}.gguf", size_bytes=size_bytes)),))


LLAMA = model_of("Llama-3.1-8B")  # 4.2 GiB


def machine_with(folder: Path, *, free_bytes: int) -> RecordedMachine:
    """Eight cores and so much free memory."""
    if not folder.exists():
        shutil.copytree(HOST, folder)
    meminfo = f"MemTotal: {64 * GIB // KIB} kB\nMemAvailable: {free_bytes // KIB} kB\n"
    (folder / "root/proc/meminfo").write_text(meminfo)
    return RecordedMachine(str(folder))


def chosen(
    machine: RecordedMachine, request: Request | None = None, build: EngineBuild = EMBEDDED
) -> EnginePlan:
    local = LocalModel("llama", (LLAMA.name,), LLAMA.file_size_bytes, OriginKind.PATH)
    return plan_for_engine(
        of_headers(local, LLAMA), build, request=request or Request(), n_threads=4, machine=machine
    )


def test_a_roomy_machine_gets_the_default_window(tmp_path: Path) -> None:
    plan = chosen(machine_with(tmp_path / "m", free_bytes=48 * GIB)).plan
    assert (plan.n_ctx, plan.n_threads, plan.n_gpu_layers) == (8192, 4, None)
    assert plan.part_bytes("kv_cache") == GIB
    assert plan.notes == ()
    assert plan.available_bytes == 48 * GIB


def test_the_window_gives_way_first_and_says_so(tmp_path: Path) -> None:
    plan = chosen(machine_with(tmp_path / "m", free_bytes=5_500 * MIB)).plan
    assert 512 <= plan.n_ctx < 8192
    assert any(f"lowered to {plan.n_ctx:,} tokens" in note for note in plan.notes)


def test_a_smaller_cache_is_said_too(tmp_path: Path) -> None:
    plan = chosen(machine_with(tmp_path / "m", free_bytes=6 * GIB)).plan
    assert (plan.n_ctx, plan.cache_types.k) == (8192, "q8_0")
    assert any("q8_0" in note for note in plan.notes)


def test_a_window_that_was_asked_for_is_kept_or_refused_with_the_figures(tmp_path: Path) -> None:
    asked = Request(n_ctx=65_536, cache_type_k="f16", cache_type_v="f16")
    assert chosen(machine_with(tmp_path / "m", free_bytes=60 * GIB), asked).plan.n_ctx == 65_536
    machine = machine_with(tmp_path / "m", free_bytes=12 * GIB)
    with pytest.raises(DoesNotFit) as caught:
        chosen(machine, asked)
    assert "with a window of 65,536 tokens, 12.0 GiB are free" in caught.value.message
    text = "\n".join(caught.value.context)
    assert "weights" in text and "KV cache" in text and "missing" in text
    fitting = int(caught.value.hint.rsplit(" ", 1)[1].rstrip("."))
    assert chosen(machine, Request(n_ctx=fitting)).plan.n_ctx == fitting


def test_what_can_not_fit_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit) as caught:
        chosen(machine_with(tmp_path / "m", free_bytes=2 * GIB))
    assert "2.0 GiB are free" in caught.value.message
    assert caught.value.hint


def test_weights_that_are_copied_are_private_memory_and_the_limit_knows(tmp_path: Path) -> None:
    plan = chosen(machine_with(tmp_path / "m", free_bytes=48 * GIB)).plan
    weights = {part.residence: part.bytes for part in plan.parts if part.name == "weights"}
    assert sum(weights.values()) == LLAMA.weights_bytes
    mapped = [t for t in LLAMA.tensors if t.name == "token_embd.weight" or len(t.shape) == 1]
    assert weights[Residence.MAPPED] == sum(tensor.size_bytes for tensor in mapped)
    private = sum(part.bytes for part in plan.parts if part.residence is Residence.ANONYMOUS)
    assert plan.memory_limit_bytes is not None
    assert plan.memory_limit_bytes > private


@pytest.mark.parametrize("request_", [Request(n_ctx=-1), Request(n_parallel=0)])
def test_what_cannot_be_is_wrong_use(tmp_path: Path, request_: Request) -> None:
    with pytest.raises(WrongUse):
        chosen(machine_with(tmp_path / "m", free_bytes=48 * GIB), request_)


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(free=st.integers(0, 40 * GIB), slots=st.integers(1, 4), n_ctx=st.none() | st.integers(0, 60_000))
def test_a_plan_never_needs_more_than_is_free(
    tmp_path_factory: pytest.TempPathFactory, free: int, slots: int, n_ctx: int | None
) -> None:
    machine = machine_with(tmp_path_factory.getbasetemp() / "free", free_bytes=free)
    try:
        plan = chosen(machine, Request(n_ctx=n_ctx, n_parallel=slots)).plan
    except DoesNotFit:
        return
    assert plan.total_bytes() <= plan.available_bytes
    assert plan.n_ctx >= (n_ctx or 0)


def with_card(
    folder: Path, *, needs: tuple[str, ...], answers: bool = True, n_cards: int = 1
) -> RecordedMachine:
    """A machine with RTX 3060, its driver, and a llama-server that needs these libraries (made)."""
    machine_with(folder, free_bytes=48 * GIB)
    root = folder / "root"
    files = {
        "opt/llama/llama-server": elf_file(needs),
        "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1": b"",
        "proc/driver/nvidia/gpus/0000:01:00.0/information": b"Model: RTX 3060",
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    device: dict[str, Any] = {
        "handle": {"value": 0},
        "name": {"value": "NVIDIA GeForce RTX 3060"},
        "compute_capability": {"value": [8, 6]},
        "memory": {"value": [12_288 * MIB, 500 * MIB, 11_788 * MIB]},
        "compute_processes": {"value": []},
        "graphics_processes": {"value": []},
    }
    devices = [device | {"index": index} for index in range(n_cards)]
    init = {"value": None} if answers else {"code": 18, "text": "mismatch"}
    told = {"schema": 1, "init": init, "driver_version": {"value": "570.169"}, "devices": devices}
    command = {"argv": ["bringup-nvml"], "exit_code": 0, "stdout": json.dumps(told), "stderr": ""}
    (folder / "commands.json").write_text(json.dumps([command]))
    (folder / "machine.toml").write_text('[environment]\nPATH = "/usr/bin"\n')
    return RecordedMachine(str(folder))


def test_an_engine_with_cuda_gets_the_layers_that_fit(tmp_path: Path) -> None:
    found = chosen(with_card(tmp_path / "m", needs=("libcuda.so.1",)), build=EXTERNAL)
    assert found.plan.n_gpu_layers == 33
    assert found.plan.memory_limit_bytes is None
    assert not found.places_layers
    report = found.report()
    assert report.verdict.startswith("It fits on the card")
    assert report.command[report.command.index("--gpu-layers") + 1] == "33"


def test_one_card_of_two_is_named_to_the_engine(tmp_path: Path) -> None:
    """Left alone, the engine would split the layers over both."""
    found = chosen(with_card(tmp_path / "m", needs=("libcuda.so.1",), n_cards=2), build=EXTERNAL)
    assert found.memory.placement.cards == ("CUDA0",)
    settings = settings_of(
        found.memory, found.planning.request, found.planning.place, model_path="/m", alias="a", port=1
    )
    assert (settings.split_mode, settings.main_gpu, settings.n_gpu_layers) == ("none", 0, 33)


def test_an_engine_without_cuda_runs_beside_the_card_and_says_so(tmp_path: Path) -> None:
    found = chosen(with_card(tmp_path / "m", needs=("libcuda.so.1",)), build=EMBEDDED)
    assert found.plan.n_gpu_layers is None
    assert any("knows no CUDA" in note for note in found.plan.notes)


def test_a_card_that_nobody_could_look_at_is_left_to_the_engine(tmp_path: Path) -> None:
    machine = with_card(tmp_path / "m", needs=("libcuda.so.1",), answers=False)
    found = chosen(machine, build=EXTERNAL)
    assert found.places_layers
    assert found.plan.n_gpu_layers is None
    assert found.plan.memory_limit_bytes is None
    assert any("The engine itself fits the layers" in note for note in found.plan.notes)
    assert any("driver does not start" in note for note in found.plan.notes)
