"""`make test-build`: the real llama.cpp built by `bringup setup`, interrupted, resumed, proved, compared."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from tests.setup.conftest import served
from tests.stubs.command_line import Home, argv, run_cli

OPT_IN = "full build: make test-build"
INTERRUPTED_AT = (10, 60, 150)
LIMIT_S = 3600


def steps_done(log: Path) -> tuple[int, int]:
    """Steps of the run that wrote last, and of how many."""
    text = log.read_text(errors="replace") if log.exists() else ""
    found = re.findall(r"^\[(\d+)/(\d+)\]", text, re.MULTILINE)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


def hear_interrupts() -> None:
    """A shell starts what it puts into the background with SIGINT ignored, and a child inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def speed(home: Home, model: Path, engine: str) -> float:
    words = (
        "--prompt",
        "Tell a long story about a fox.",
        "--max-tokens",
        "96",
        "--temperature",
        "0",
        "--json",
    )
    done = run_cli(home, "run", str(model), "--engine", engine, *words, timeout_s=300)
    assert done.returncode == 0, done.stderr
    rate: float = json.loads(done.stdout)["timings"]["predicted_tokens_per_s"]
    return rate


def take_it_as_a_release(built: Path, small_model: Path, tmp_path: Path) -> None:
    """The same build packed as llama.cpp packs its releases, fetched from a server with its hash, proved."""
    web = tmp_path / "web"
    web.mkdir()
    archive = web / "llama-b11434-bin-made-x64.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        for path in built.iterdir():
            if not path.name.endswith((".json", ".log")):
                packed.add(path, f"llama-b11434/{path.name}")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    home = Home(tmp_path / "other")
    with served(web) as address:
        source = f"{address}/{archive.name}#sha256={sha256}"
        words = ("--method", "release", "--backend", "cpu", "--source", source)
        done = run_cli(home, "setup", *words, "--proof-model", str(small_model), timeout_s=LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert f"SHA-256 {sha256}" in done.stderr and "b11434-cpu-release is the current engine" in done.stderr


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.skipif(os.environ.get("BRINGUP_BUILD") != "1", reason=OPT_IN)
def test_the_real_thing(llama_cpp: Path, small_model: Path, tmp_path: Path) -> None:
    home = Home(tmp_path)
    words = ("setup", "--source", str(llama_cpp), "--version", "b11434", "--backend", "cpu")
    words += ("--proof-model", str(small_model))
    log = home.state / "build-work" / "b11434-cpu" / "build.log"
    begun_s, compiled, before = time.monotonic(), 0, 0
    for wanted in INTERRUPTED_AT:
        child = subprocess.Popen(
            argv(*words), env=home.environment(), stderr=subprocess.PIPE, preexec_fn=hear_interrupts
        )
        while compiled + steps_done(log)[0] < wanted or log.stat().st_size == before:
            assert child.poll() is None and time.monotonic() - begun_s < LIMIT_S
            time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
        assert child.returncode == 130
        assert b"goes on where it stopped" in said
        done, total = steps_done(log)
        compiled, before = compiled + done, log.stat().st_size
        print(f"stopped after {done} of {total} steps")
    whole = run_cli(home, *words, timeout_s=LIMIT_S)
    assert whole.returncode == 0, whole.stderr
    assert not log.parent.exists(), "what only the making needed is removed after the proof"
    built = home.state / "builds" / "b11434-cpu"
    done, total = steps_done(built / "build.log")
    assert done == total and total < 214 - INTERRUPTED_AT[-1] + 2 * len(INTERRUPTED_AT) + 10
    assert "b11434-cpu is the current engine now" in whole.stderr
    print(whole.stderr, f"built and proved in {time.monotonic() - begun_s:.0f} s")

    assert "b11434-cpu: proved in " in " ".join(run_cli(home, "log").stdout.split())
    listed = json.loads(run_cli(home, "setup", "--list", "--json").stdout)
    assert listed["current"] == "b11434-cpu" and listed["builds"][0]["version"].startswith("b11434")
    take_it_as_a_release(built, small_model, tmp_path)
    rates = [(speed(home, small_model, "external"), speed(home, small_model, "embedded")) for _ in range(3)]
    ours, wheel = (max(pair[place] for pair in rates) for place in (0, 1))
    print(f"tokens/s, best of three in turn: built here {ours:.1f}, wheel {wheel:.1f}")
    # A build for this very processor that is far slower than a general wheel was built wrongly.
    assert ours > 0.5 * wheel
