"""`bringup run` without a terminal: one answer on stdout and nothing else, or an error with its figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, argv, engine_processes, run_cli


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def run_one(home: Home, model: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return run_cli(home, "run", str(model), "--threads", "1", "--temperature", "0", *arguments, stdin=stdin)


def test_a_prompt_gives_the_answer_and_nothing_else(small_model: Path, home: Home) -> None:
    answer = run_one(home, small_model, "--prompt", "What is the capital of France?", "--system", "Be brief.")
    assert answer.returncode == 0
    assert "Paris" in answer.stdout
    assert answer.stdout.endswith("\n") and not answer.stdout.endswith("\n\n")
    assert answer.stderr == ""
    assert engine_processes(home) == []


def test_standard_input_is_a_question_and_a_seed_makes_it_repeatable(small_model: Path, home: Home) -> None:
    told = [
        run_cli(
            home,
            "run",
            str(small_model),
            "--threads",
            "1",
            "--seed",
            "5",
            "--max-tokens",
            "9",
            stdin=b"A colour?\n",
        ).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1] != ""


def test_json_tells_everything(small_model: Path, home: Home) -> None:
    answer = run_one(home, small_model, "--json", "--max-tokens", "5", "--ctx-size", "1k", stdin=b"Hello")
    told = json.loads(answer.stdout)
    assert told["schema"] == 1
    assert told["ending"] == "limit"
    assert told["usage"]["completion_tokens"] == 5
    assert told["timings"]["predicted_tokens"] == 5
    assert told["context"] == {
        "size_tokens": 1024,
        "used_tokens": told["usage"]["prompt_tokens"] + 5,
        "trained_tokens": 8192,
    }
    assert told["model"]["path"] == str(small_model)
    assert told["model"]["architecture"] == "llama"
    assert told["engine"]["kind"] == "embedded"
    assert answer.stdout.isascii()
    assert answer.stderr == "The answer ends at the limit of 5 tokens (--max-tokens).\n"


def test_an_answer_needs_no_record_of_the_engine(small_model: Path, home: Home) -> None:
    """As on a full disk: the records' folder can be read and not written, not even by root."""
    home.state.mkdir(parents=True)
    (home.state / "engines").symlink_to("/proc/tty")
    done = run_cli(home, "run", str(small_model), "--prompt", "hi", "--max-tokens", "2", "--threads", "1")
    assert done.returncode == 0 and done.stdout.strip()
    assert "do not know of this engine: could not " in done.stderr and "Traceback" not in done.stderr


def test_verbose_says_on_stderr_what_runs(small_model: Path, home: Home) -> None:
    answer = run_one(home, small_model, "-v", "-p", "Hi", "--max-tokens", "2")
    assert "embedded" in answer.stderr and "context 8,192" in answer.stderr
    assert "context" not in answer.stdout


def test_the_built_in_question(small_model: Path, home: Home) -> None:
    answer = run_one(home, small_model, "--demo", "--max-tokens", "40")
    assert answer.returncode == 0
    assert "language model" in answer.stdout.lower()
    assert "> In one sentence: what is a language model?" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        ((), b"", 2, "there is no question"),
        ((), b" \n", 2, "there is no question"),
        ((), b"ab\xff", 2, "byte 0xff at offset 2"),
        ((), b"a\0b", 2, "byte 0x00 at offset 1"),
        (("--prompt", " "), b"", 2, "the prompt is empty"),
        (("--temperature", "hot"), b"x", 2, "'hot' is not a"),
        (("--engine", "/nowhere/llama-server"), b"x", 1, "the engine /nowhere/llama-server was not found"),
        (("--ctx-size", "900m"), b"x", 1, "GiB are free"),
        (("--ctx-size", "512"), b"word " * 3000, 1, "the context window 512"),
    ],
)
def test_what_cannot_be_answered_is_said(
    small_model: Path, home: Home, arguments: tuple[str, ...], stdin: bytes, code: int, words: str
) -> None:
    answer = run_cli(home, "run", str(small_model), "--threads", "1", *arguments, stdin=stdin)
    assert answer.returncode == code
    assert words in answer.stderr
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    assert engine_processes(home) == []


def test_a_prompt_that_does_not_fit_names_both_figures(small_model: Path, home: Home) -> None:
    answer = run_one(home, small_model, "--ctx-size", "512", stdin=b"word " * 3000)
    assert "error: the prompt has 3,0" in answer.stderr
    assert "hint: Shorten it, or take a larger window: --ctx-size 4096\n" in answer.stderr


def test_an_answer_cut_by_the_window_is_an_error(small_model: Path, home: Home) -> None:
    answer = run_one(home, small_model, "--ctx-size", "256", "-p", "Count from one to a thousand, in words.")
    assert answer.returncode == 1
    assert "the answer is not whole: the context window is full (256 of 256 tokens)" in answer.stderr
    assert answer.stdout


def test_without_the_model_and_a_network_the_host_is_named(home: Home) -> None:
    answer = run_cli(home, "run", "qwen3-4b", "-p", "hi")
    assert answer.returncode == 1
    assert "127.0.0.1" in answer.stderr
    assert answer.stdout == ""


def test_ctrl_c_ends_with_130_and_leaves_nothing(small_model: Path, home: Home) -> None:
    process = subprocess.Popen(
        argv("run", str(small_model), "--threads", "1", "-p", "Tell me a very long story."),
        env=home.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said == b""
    until = time.monotonic() + 30
    while engine_processes(home) and time.monotonic() < until:
        time.sleep(0.02)
    assert engine_processes(home) == []


def test_a_reader_that_has_enough_is_no_error(small_model: Path, home: Home) -> None:
    process = subprocess.Popen(
        argv("run", str(small_model), "--threads", "1", "-p", "Tell me a very long story."),
        env=home.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert os.read(process.stdout.fileno(), 1)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(15), said) == (141, b"")
    assert engine_processes(home) == []
