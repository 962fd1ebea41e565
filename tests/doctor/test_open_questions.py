"""A paste that tells of a failure and not of its cause is never called healthy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.doctor.schema import load_schema, problems
from tests.stubs.command_line import Home, run_cli

from bringup.actions.diagnosis.doctor import Verdict, examine_text

SMI = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest"
    " NVIDIA driver is installed and running."
)


@pytest.mark.parametrize(
    ("text", "layer", "decides"),
    [
        (SMI, "kernel", "sudo modprobe nvidia"),
        ("Failed to initialize NVML: Something New", "kernel", "sudo dmesg"),
        ("CUDA error: a thing that nobody has seen", "nvml", "nvidia-smi"),
        ("main: exiting due to model loading error", "model", "llama-server --verbose -m MODEL.gguf"),
        ("Segmentation fault (core dumped)", "runtime", "sudo dmesg"),
        ("make: *** [Makefile:10: all] Error 2", "build", ""),
        ("Traceback (most recent call last):\n  File x\nKeyError: 1", "runtime", ""),
    ],
)
def test_a_failure_without_a_cause_cannot_be_told(text: str, layer: str, decides: str) -> None:
    examination = examine_text(f"$ something\n{text}\n", subject="pasted text")
    assert examination.verdict is Verdict.CANNOT_TELL
    (question,) = examination.unseen
    assert (question.layer, question.decides) == (layer, decides)
    assert question.source == "pasted text, line 2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "main: server is listening on http://127.0.0.1:8080\nsrv  update_slots: all slots are idle",
        "Thu Nov 26 10:00:00 2026\n| NVIDIA-SMI 570.169   Driver Version: 570.169   CUDA Version: 12.8 |",
    ],
)
def test_nothing_that_failed_is_healthy(text: str) -> None:
    assert examine_text(text, subject="x").verdict is Verdict.HEALTHY


def test_a_cause_leaves_no_question() -> None:
    text = f"{SMI}\nmodprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n"
    examination = examine_text(text, subject="x")
    assert [root.fault.id for root in examination.diagnosis.roots] == ["secure-boot-unsigned"]
    assert examination.unseen == ()


def test_it_is_said_with_the_look_that_would_decide(own_home: Path) -> None:
    home = Home(own_home)
    done = run_cli(home, "diagnose", "-", stdin=SMI.encode())
    assert done.returncode == 3
    assert done.stdout.startswith("Cannot tell: ")
    assert "$ sudo modprobe nvidia" in done.stdout
    done = run_cli(home, "diagnose", "--json", "-", stdin=SMI.encode())
    value = json.loads(done.stdout)
    assert problems(value, load_schema("examination")) == []
    assert value["verdict"] == "cannot-tell"
    assert value["faults"] == []


def test_an_empty_paste_is_no_healthy_machine(own_home: Path) -> None:
    for nothing in (b"", b" \n\n"):
        done = run_cli(Home(own_home), "diagnose", "-", stdin=nothing)
        assert (done.returncode, "standard input: empty" in done.stderr) == (2, True)
