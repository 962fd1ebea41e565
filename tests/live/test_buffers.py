"""The buffers that `top` shows are those that the real engine says it took while it loaded."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.stubs.command_line import Home, run_cli

from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings
from bringup.engine.environment import clean_environment
from bringup.engine.key import read_or_create_key
from bringup.engine.registry import record_of, write_record
from bringup.engine.start import start_engine
from bringup.machine.folders import Folders
from bringup.machine.sockets import free_port
from bringup.units import MIB

WINDOW_TOKENS = 768
SLOTS = 3
ROUNDING_BYTES = 0.005 * MIB + 1
"""The log tells hundredths of a MiB."""


@dataclass(frozen=True)
class Watched:
    """A real engine and what `top --json` says of it."""

    log: str
    key: str
    engine: dict[str, Any]
    slots: list[dict[str, Any]]


@pytest.fixture(scope="module")
def watched(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    home = Home(tmp_path_factory.mktemp("buffers"))
    folders = Folders(str(home.path / ".config/bringup"), str(home.path / ".cache/bringup"), str(home.state))
    key = read_or_create_key(folders)
    settings = EngineSettings(
        model_path=str(small_model),
        alias="small",
        port=free_port(),
        n_ctx=WINDOW_TOKENS,
        n_parallel=SLOTS,
        n_threads=1,
        cache_ram_mib=0,
        api_key_file=folders.key_file,
        metrics=True,
        fits_itself=False,
    )
    log_path = str(home.state / "logs" / f"{settings.port}.log")
    build = EngineBuild(EngineKind.EMBEDDED, "", "", "Python package")
    environment = clean_environment(os.environ, is_external=True).variables
    running = start_engine(build, settings, log_path=log_path, environment=environment)
    with running:
        running.wait_ready()
        record = record_of(running)
        assert record is not None
        write_record(folders, record)
        body = json.dumps({"prompt": "one two three four", "n_predict": 5, "cache_prompt": True}).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        urllib.request.urlopen(
            urllib.request.Request(f"{running.base_url}/completion", body, headers), timeout=60
        ).read()
        slots = urllib.request.urlopen(
            urllib.request.Request(f"{running.base_url}/slots", headers=headers), timeout=60
        ).read()
        engine = look(home, settings.port)
        yield Watched(Path(log_path).read_text(errors="replace"), key, engine, json.loads(slots))


def look(home: Home, port: int) -> dict[str, Any]:
    """What `top` says once the engine answered it in time: on a busy machine one look may be too short."""
    for _ in range(10):
        done = run_cli(home, "top", "--json", "--interval", "0.3")
        assert (done.returncode, done.stderr) == (0, "")
        (engine,) = [one for one in json.loads(done.stdout)["engines"] if one["port"] == port]
        if engine["slots"] is not None and engine["buffers"]:
            return dict(engine)
    raise AssertionError(f"it never answered: {engine}")


def of_log(log: str, use: str) -> dict[str, float]:
    """Bytes by device of one kind of buffer, by its own words; nothing of ours reads the log here."""
    found = re.findall(rf"(\S+) +{use} buffer size = +([\d.]+) MiB", log)
    return {device: float(mib) * MIB for device, mib in found}


@pytest.mark.parametrize("use", ["model", "KV", "compute", "output"])
def test_each_buffer_is_the_engines_own_figure(watched: Watched, use: str) -> None:
    told = of_log(watched.log, use)
    assert told, f"the engine says nothing of its {use} buffer"
    shown = {one["device"]: one["size_bytes"] for one in watched.engine["buffers"] if one["use"] == use}
    assert shown.keys() == told.keys()
    for device, size in told.items():
        assert abs(shown[device] - size) <= ROUNDING_BYTES, (device, use)
    assert watched.engine["buffers_source"].endswith(".log")


def test_it_loads_loudly_and_serves_quietly(watched: Watched) -> None:
    assert "sampler chain" not in watched.log, "what verbosity 4 tells of each request"
    assert "launch_slot_" in watched.log, "what the engine's default tells of one"
    assert watched.key[-4:] not in watched.log, "of a single key it would log the end"
    assert "projected to use" not in watched.log, "it was told not to load twice"


def test_the_engines_figures_are_those_of_the_arithmetic(watched: Watched, small_model: Path) -> None:
    sizes: dict[str, int] = {}
    for one in watched.engine["buffers"]:
        sizes[one["use"]] = sizes.get(one["use"], 0) + one["size_bytes"]
    # 30 layers, 3 heads of 64 for keys and for values, two bytes each.
    assert abs(sizes["KV"] - 30 * 2 * 3 * 64 * 2 * WINDOW_TOKENS) <= ROUNDING_BYTES
    assert 0.9 < sizes["model"] / small_model.stat().st_size < 1.2


def test_windows_and_fill_are_those_of_slots(watched: Watched) -> None:
    assert len(watched.engine["slots"]) == len(watched.slots) == SLOTS
    assert [one["window_tokens"] for one in watched.engine["slots"]] == [
        one["n_ctx"] for one in watched.slots
    ]
    assert sum(one["window_tokens"] for one in watched.engine["slots"]) == WINDOW_TOKENS
    kept = {one["id"]: one.get("n_prompt_tokens", 0) for one in watched.slots}
    assert {one["id"]: one["filled_tokens"] for one in watched.engine["slots"]} == kept
    assert any(kept.values()), "one slot keeps what it was asked"
