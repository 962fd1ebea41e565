"""An engine's map: what it was started with, laid over what is seen of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest
from tests.live import made
from tests.plan.models import anatomy

from bringup.actions.live.engine_map import (
    EngineMaps,
    compare,
    draw_map,
    request_of_command,
    request_of_settings,
)
from bringup.machine.folders import our_folders
from bringup.machine.live import LiveMachine
from bringup.plan.request import CPU, Request
from bringup.reading import NOT_LOOKED, Absent, Known, Unreadable
from bringup.units import GIB, MIB


def test_layers_on_the_card_are_those_that_the_log_adds_up_to() -> None:
    engine = made.engine()
    cards = made.cards((engine,))
    found = draw_map(anatomy("gpt-oss-20b"), engine, cards, Request(), "nothing")
    assert found.n_ctx == 16384
    assert found.cards == (("CUDA0", 0),)
    assert abs(found.planned_bytes("CUDA0", "weights") - 6 * GIB) < 450 * MIB, "one layer more or less"
    told = draw_map(anatomy("gpt-oss-20b"), engine, cards, Request(n_gpu_layers=3), "its command line")
    assert told.planned_bytes("CUDA0", "weights") < 2 * GIB, "what was said is not guessed"


def test_plan_and_measurement_side_by_side() -> None:
    engine = made.engine()
    cards = made.cards((engine,))
    found = draw_map(anatomy("gpt-oss-20b"), engine, cards, Request(), "nothing")
    rows = {one.name: one for one in compare(found, engine, "CUDA0", cards[0])}
    assert rows["weights"].measured_bytes == 6 * GIB
    assert rows["KV cache"].measured_bytes == 1024 * MIB
    assert rows["compute"].measured_bytes == 398 * MIB
    assert rows["all of it"].measured_bytes == 7900 * MIB, "as the driver has it"
    planned = sum(one.planned_bytes for name, one in rows.items() if name != "all of it")
    assert rows["all of it"].planned_bytes == planned
    main = {one.name: one for one in compare(found, engine, CPU, None)}
    assert main["weights"].measured_bytes == 5 * GIB
    assert main["KV cache"].measured_bytes is None, "its log says nothing of it"
    assert main["all of it"].measured_bytes == 6 * GIB


def test_an_estimate_is_no_measurement() -> None:
    engine = made.engine()
    assert isinstance(engine.memory, Known)
    memory = Known(replace(engine.memory.value, is_estimate=True), "header")
    engine = replace(engine, memory=memory, resident_bytes=NOT_LOOKED)
    found = draw_map(anatomy("gpt-oss-20b"), engine, (), Request(), "nothing")
    assert found.devices == (CPU,), "without a card that shows it, all of it is in main memory"
    assert {one.measured_bytes for one in compare(found, engine, CPU, None)} == {None}


def test_a_command_line_is_read() -> None:
    words = (
        "llama-server -m a.gguf -c 4096 -np 2 -ngl 20 --n-cpu-moe 4 -ts 3/1 -ctk q8_0 -fa off -ot exps=CPU"
    )
    found = request_of_command(tuple(words.split()))
    assert (found.n_ctx, found.n_parallel, found.n_gpu_layers, found.n_cpu_moe) == (4096, 2, 20, 4)
    assert (found.tensor_split, found.cache_type_k, found.flash_attention) == ((3.0, 1.0), "q8_0", False)
    assert found.overrides == (("exps", "CPU"),)
    odd = request_of_command(("llama-server", "-c", "many", "-ngl", "auto", "-ts", "a,b"))
    assert (odd.n_ctx, odd.n_gpu_layers, odd.tensor_split) == (None, None, ())


def test_the_journal_s_settings_are_read() -> None:
    told = {"n_ctx": 4096, "n_parallel": 2, "kv_offload": False, "cache_type_k": "q8_0", "n_ubatch": "no"}
    found = request_of_settings(told)
    assert (found.n_ctx, found.n_parallel, found.offloads_cache, found.n_ubatch) == (4096, 2, False, None)


@pytest.mark.usefixtures("own_home")
def test_a_model_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    maps = EngineMaps(LiveMachine(), our_folders())
    path = tmp_path / "none.gguf"
    engine = replace(made.engine(), model_path=str(path))
    found = maps.of(engine, ())
    while found is NOT_LOOKED:
        sleep(0.01)
        found = maps.of(engine, ())
    assert isinstance(found, Unreadable)
    assert "none.gguf" in found.why
    assert maps.of(replace(engine, window_tokens=None), ()) is NOT_LOOKED
    assert not isinstance(found, Absent)
