"""What an engine took is held against the plan; where the plan is wrong, the next one is corrected by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bringup.actions.running.measured_memory import keep_measured
from bringup.actions.running.preparation import EngineWishes, Preparation, prepare
from bringup.actions.surroundings import look_around
from bringup.machine.folders import our_folders
from bringup.store.local import LocalModel, OriginKind

# Recorded: SmolLM2-135M-Instruct, window of 8,192 tokens, xllamacpp 2026.10 (llama.cpp b11434) on a CPU.
LOG = """\
0.00.120.466 I llama_model_loader: - kv   2:                          general.name str = Smollm2
0.00.986.437 I load_tensors:   CPU_Mapped model buffer size =    92.10 MiB
0.01.016.782 I llama_context: constructing llama_context
0.01.016.790 I llama_context: n_ctx                 = 8192
0.01.016.845 I llama_context:        CPU  output buffer size =     0.19 MiB
0.01.017.025 I llama_kv_cache:        CPU KV buffer size =   180.00 MiB
0.01.475.169 I llama_kv_cache: size =  180.00 MiB (  8192 cells,  30 layers,  1/1 seqs), K (f16):   90.00 MiB
0.01.502.973 I sched_reserve:        CPU compute buffer size =    22.64 MiB
0.01.991.644 I srv    load_model: initializing, n_slots = 1, n_ctx_slot = 8192, kv_unified = 'false'
"""
WISHES = EngineWishes(n_ctx=8192, n_threads=1)


@pytest.fixture
def prepared(small_model: Path, tmp_path: Path) -> Preparation:
    size = small_model.stat().st_size
    model = LocalModel(str(small_model), (str(small_model),), size, OriginKind.PATH)
    preparation = replace(prepare(model, WISHES, look_around()), log_path=str(tmp_path / "8080.log"))
    Path(preparation.log_path).write_text(LOG)
    return preparation


def kept_files() -> list[Path]:
    return list(Path(our_folders().dry_runs).glob("*.json"))


def test_a_plan_that_is_right_keeps_nothing(prepared: Preparation) -> None:
    assert keep_measured(prepared, our_folders()) is None
    assert kept_files() == [], "or every later plan would look for an engine"


def test_a_part_that_differs_corrects_the_next_plan_once(prepared: Preparation) -> None:
    """Made: the engine says a quarter more of its compute buffer."""
    Path(prepared.log_path).write_text(LOG.replace("22.64 MiB", "28.30 MiB"))
    told = keep_measured(prepared, our_folders())
    assert told is not None and told.was_run
    again = prepare(prepared.model, WISHES, look_around())
    (compute,) = [part for part in again.chosen.memory.parts if part.name == "compute"]
    assert round(compute.bytes / 2**20, 2) == 28.30
    assert "corrected by a start of embedded llama.cpp" in compute.source
    # The plan that is corrected meets the same engine: the factor stays that of the formula.
    assert keep_measured(replace(again, log_path=prepared.log_path), our_folders()) is None
    # The next start says what the formula says: nothing is left of the correction.
    Path(prepared.log_path).write_text(LOG)
    assert keep_measured(replace(again, log_path=prepared.log_path), our_folders()) is not None
    parts = prepare(prepared.model, WISHES, look_around()).chosen.memory.parts
    assert not any("corrected" in part.source for part in parts)


@pytest.mark.parametrize(
    "line",
    [
        "0.00.120.466 I llama_model_loader: - kv 2: general.name str = llama_kv_cache: size = 9.00 MiB",
        "0.00.120.466 I print_info: general.name = sched_reserve:   CPU compute buffer size =    99.00 MiB",
    ],
)
def test_a_models_words_are_no_measurement(prepared: Preparation, line: str) -> None:
    Path(prepared.log_path).write_text(f"{line}\n{LOG}{line}\n")
    assert keep_measured(prepared, our_folders()) is None


@pytest.mark.parametrize("is_embeddings", [True, False])
def test_nothing_is_kept_of_what_the_plan_does_not_speak_of(
    prepared: Preparation, *, is_embeddings: bool
) -> None:
    Path(prepared.log_path).write_text(LOG.replace("22.64 MiB", "28.30 MiB"))
    settings = replace(prepared.settings, embeddings=is_embeddings)
    chosen = replace(prepared.chosen, may_know_more=not is_embeddings)
    assert keep_measured(replace(prepared, settings=settings, chosen=chosen), our_folders()) is None


def test_a_log_that_was_turned_over_still_tells(prepared: Preparation) -> None:
    Path(f"{prepared.log_path}.1").write_text(LOG.replace("22.64 MiB", "28.30 MiB"))
    Path(prepared.log_path).write_text("0.99.000.000 I slot release: id 0\n")
    assert keep_measured(prepared, our_folders()) is not None
