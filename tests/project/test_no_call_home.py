"""No packet unasked (promise 32): commands run where every packet and every question for a name is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants
from tests.stubs.command_line import Home, argv

from bringup.faces.cli.main import COMMANDS

HUB = str(urlsplit(constants.ENDPOINT).hostname)
CASE = "tests/cases/driver-library-mismatch/morning"
QUICK = ("--threads", "1", "--ctx-size", "512")

ASKED_FOR_NOTHING: dict[str, tuple[tuple[str, ...], ...]] = {
    "": ((),),
    "run": (("run", "{model}", "-p", "hi", "--max-tokens", "2", *QUICK),),
    "serve": (("serve", "{model}", "--detach", "--port", "18431", *QUICK),),
    "ps": (("ps",), ("ps", "--json")),
    "logs": (("logs", "18431"),),
    "stop": (("stop", "18431"),),
    "pull": (("pull", "{model}"),),
    "models": (("models",), ("models", "--catalogue")),
    "show": (("show", "{model}"),),
    "doctor": (("doctor",), ("doctor", "--from", CASE)),
    "diagnose": (("diagnose", f"{CASE}/case.toml"),),
    "fix": (("fix", "driver-library-mismatch", "--from", CASE),),
    "faults": (("faults",), ("faults", "driver-library-mismatch")),
    "snapshot": (("snapshot", "{home}/s.tar.zst", "--yes"),),
    "log": (("log",), ("log", "search", "state"), ("log", "export"), ("log", "compare", "first", "now")),
    "explain": (("explain",), ("explain", "vram")),
    "learn": (("learn", "note", "vram", "mine"),),
    "watch": (("watch",), ("watch", "--print-hook")),
    "completion": (("completion", "bash"),),
    "setup": (("setup", "--list"), ("setup", "--dry-run", "--method", "existing")),
    "top": (("top", "--once", "--interval", "0.3"),),
    "plan": (("plan", "{model}", "--gpu", "RTX 3060"),),
    "prompt": (("prompt", "{model}", "hi"),),
    "web": (("web", "--port", "18432"),),
}
"""For each command what a user types who has the model on the disk; a new command needs a line here."""


STOPPED = {"web": ("timeout", "--preserve-status", "--signal=INT", "5")}
"""Commands that go on until Ctrl-C."""


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, small_model: Path
) -> dict[tuple[str, ...], dict[str, Any]]:
    home = Home(tmp_path_factory.mktemp("home"))
    typed = [line for name in ("", *[entry.name for entry in COMMANDS]) for line in ASKED_FOR_NOTHING[name]]
    typed += [("pull", "someone/some-model-GGUF:Q4_K_M")]
    filled = [[word.format(model=small_model, home=home.path) for word in line] for line in typed]
    environment = home.environment(HF_TOKEN="hf_neverSentAnywhere0123456789abcdef", LLAMA_API_KEY="x")
    del environment["HF_ENDPOINT"]
    child = Path(__file__).with_name("packet_child.py")
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, str(child), str(home.path / "resolv.conf")],
        input="".join(
            json.dumps([*STOPPED.get("".join(line[:1]), ()), *argv(*line)]) + "\n" for line in filled
        ),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode and not done.stdout:
        pytest.skip("no network namespace with a tun device")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(typed), done.stderr
    return dict(zip(typed, lines, strict=True))


def test_every_command_is_tried() -> None:
    assert set(ASKED_FOR_NOTHING) == {"", *[entry.name for entry in COMMANDS]}


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_nothing_leaves_the_machine_unasked(answers: dict[tuple[str, ...], dict[str, Any]]) -> None:
    for typed, answer in answers.items():
        if typed[:1] != ("pull",) or "{model}" in typed:
            assert answer["packets"] == [], typed
            ended = (0, 1, 130) if typed[:1] == ("web",) else (0, 1)
            assert answer["code"] in ended, (typed, answer["text"])


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_pull_asks_for_the_hub_alone_and_gives_up_in_time(
    answers: dict[tuple[str, ...], dict[str, Any]],
) -> None:
    """Also the proof that packets are seen at all: here are some."""
    (answer,) = [
        answer
        for typed, answer in answers.items()
        if typed[0:2] == ("pull", "someone/some-model-GGUF:Q4_K_M")
    ]
    assert answer["packets"]
    assert set(answer["packets"]) == {f"dns 10.99.0.53 {HUB}"}
    assert answer["code"] not in (0, 4)
    assert answer["took_s"] < 12, answer["text"]
