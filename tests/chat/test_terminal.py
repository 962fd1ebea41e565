"""The chat in a real pseudo-terminal with the real engine and the real small model."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, argv, engine_processes, run_cli
from tests.stubs.terminal import Terminal

READY = "Ctrl-D leaves"
USAGE = r"(\d+) tokens? · [\d.]+ tokens/s · context ([\d,]+) of ([\d,]+) · ([\d,]+) reused"
BEGUN = r"(\w+\W+){8}"
LONG = "Tell me a very long story about the sea.\r"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@contextmanager
def chatting(home: Home, model: Path, *arguments: str, columns: int = 80, **more: str) -> Iterator[Terminal]:
    words = argv("run", str(model), "--threads", "1", "--temperature", "0", *arguments)
    with Terminal(words, home.environment(**more), columns=columns) as terminal:
        terminal.wait_for(READY)
        yield terminal
    until = time.monotonic() + 30
    while engine_processes(home) and time.monotonic() < until:
        time.sleep(0.02)
    assert engine_processes(home) == []


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_a_talk_from_start_to_quit(small_model: Path, home: Home) -> None:
    with chatting(home, small_model, "--max-tokens", "12") as terminal:
        terminal.say("What is the capital of France?\r")
        assert re.search(r"France|Paris|Marseil", terminal.wait_for(USAGE))
        terminal.say("And of Italy?\r")
        reused = re.search(USAGE, terminal.wait_for(USAGE))
        assert reused is not None
        assert number(reused.group(4)) > 20
        terminal.say("/context\r")
        assert "questions" in terminal.wait_for(r"free +[\d,]+")
        terminal.say("/save talk\r")
        terminal.wait_for("Saved to")
        terminal.say("/quit\r")
        assert terminal.wait_end() == 0
    saved = json.loads((home.state / "chats/talk.json").read_text())
    assert [turn["role"] for turn in saved["turns"]] == ["user", "assistant"] * 2
    history = home.state / "chat-history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "And of Italy?" in history.read_text()


def test_ctrl_c_stops_the_answer_then_says_how_to_leave_and_ctrl_d_leaves(
    small_model: Path, home: Home
) -> None:
    with chatting(home, small_model) as terminal:
        terminal.say(LONG)
        terminal.wait_for(BEGUN)
        terminal.send("\x03")
        terminal.wait_for(r"\(stopped\).*context [\d,]+ of")
        terminal.say("\x03")
        terminal.wait_for("Ctrl-D or /quit leaves.")
        terminal.say("/context\r")
        terminal.wait_for("answers")
        terminal.say("\x04")
        assert terminal.wait_end() == 0


def test_the_window_fills_up_and_the_user_chooses(small_model: Path, home: Home) -> None:
    with chatting(home, small_model, "--ctx-size", "256") as terminal:
        terminal.say(LONG)
        shown = terminal.wait_for(r"n/l/k\?", 90)
        assert "The context window is full: the answer above is unfinished." in shown
        assert "restart with a window of 512 tokens" in shown
        assert "drop the oldest turns and answer again" not in shown
        terminal.send("k\r")
        terminal.say("Now say yes.\r")
        shown = terminal.wait_for(r"d/n/l/k\?", 90)
        assert "This does not fit: the prompt has" in shown
        terminal.send("d\r")
        terminal.wait_for("Dropped the oldest 1 of 2 questions")
        terminal.wait_for(BEGUN)
        terminal.send("\x03")
        terminal.wait_for(r"context [\d,]+ of 256", 60)
        terminal.say("/context 1k\r")
        terminal.wait_for("context window: 1,024 tokens")
        terminal.say("\x04")
        assert terminal.wait_end() == 0


def test_what_is_typed_into_an_answer_neither_shows_nor_decides(small_model: Path, home: Home) -> None:
    with chatting(home, small_model, "--ctx-size", "256") as terminal:
        terminal.say(LONG)
        terminal.wait_for(BEGUN)
        terminal.send("next question\r")  # its first letter is one of those offered
        assert "next question" not in terminal.wait_for(r"n/l/k\?", 90)
        terminal.send("k\r")
        terminal.say("/quit\r")
        assert terminal.wait_end() == 0


def test_what_is_typed_into_a_whole_answer_comes_next(small_model: Path, home: Home) -> None:
    with chatting(home, small_model, "--max-tokens", "60") as terminal:
        terminal.say(LONG)
        terminal.wait_for(BEGUN)
        terminal.send("/context\r")
        assert "/context" not in terminal.wait_for(USAGE)
        terminal.wait_for("context window: [\\d,]+ tokens")
        terminal.send("/quit\r")
        assert terminal.wait_end() == 0


def test_a_paste_of_five_thousand_characters_is_one_message(small_model: Path, home: Home) -> None:
    words = "information environment international understanding development"  # a token each
    pasted = "\n".join(f"{number} {words}" for number in range(1, 90))[:5000]
    with chatting(home, small_model, "--max-tokens", "3") as terminal:
        terminal.wait_for("<ready>")
        terminal.send(f"\x1b[200~{pasted}\x1b[201~\r")
        shown = re.search(USAGE, terminal.wait_for(USAGE, 90))
        assert shown is not None
        assert number(shown.group(2)) > 500
        terminal.say("/save pasted\r")
        terminal.wait_for("Saved to")
        terminal.say("/quit\r")
        assert terminal.wait_end() == 0
    saved = json.loads((home.state / "chats/pasted.json").read_text())
    assert saved["turns"][0]["text"] == pasted


def test_several_lines_by_alt_enter_and_by_backslash(small_model: Path, home: Home) -> None:
    with chatting(home, small_model, "--max-tokens", "2") as terminal:
        terminal.say("first\x1b\rsecond\\\rthird\r")
        terminal.wait_for(USAGE)
        terminal.say("/save lines\r")
        terminal.wait_for("Saved to")
        terminal.say("/quit\r")
        assert terminal.wait_end() == 0
    saved = json.loads((home.state / "chats/lines.json").read_text())
    assert saved["turns"][0]["text"] == "first\nsecond\nthird"


def test_an_engine_that_is_killed_is_named_and_started_again(small_model: Path, home: Home) -> None:
    with chatting(home, small_model) as terminal:
        engine = json.loads(run_cli(home, "ps", "--json").stdout)["engines"][0]
        terminal.say(LONG)
        terminal.wait_for(BEGUN)
        os.kill(engine["pid"], signal.SIGKILL)
        shown = terminal.wait_for(r"r/k\?")
        assert "(cut off: the engine ended before the answer did)" in shown
        assert "error: somebody killed the engine" in shown
        assert "The conversation is kept." in shown
        terminal.send("r\r")
        terminal.wait_for(r"MiB RAM\n")
        terminal.wait_for(BEGUN)
        terminal.send("\x03")
        terminal.wait_for(r"context [\d,]+ of")
        terminal.say("\x04")
        assert terminal.wait_end() == 0


def test_a_closed_terminal_leaves_nothing_behind(small_model: Path, home: Home) -> None:
    with chatting(home, small_model) as terminal:
        terminal.say(LONG)
        terminal.wait_for(BEGUN)
        terminal.hang_up()
        terminal.process.wait(60)


def test_without_colour_nothing_is_coloured(small_model: Path, home: Home) -> None:
    with chatting(home, small_model, "--max-tokens", "5", NO_COLOR="1") as terminal:
        terminal.say("Hi\r")
        terminal.wait_for(USAGE)
        terminal.say("/help\r")
        terminal.wait_for("drop the line")
        terminal.say("\x04")
        terminal.wait_end()
    assert not re.search(rb"\x1b\[(?:[1-9]|3[0-7]|9[0-7]|38[;0-9]*)m", terminal.raw)


@pytest.mark.parametrize("columns", [40, 80])
def test_no_line_of_ours_is_wider_than_the_terminal(small_model: Path, home: Home, columns: int) -> None:
    with chatting(home, small_model, "--max-tokens", "60", columns=columns) as terminal:
        terminal.say("Tell me about the sea.\r")
        shown = terminal.wait_for(r"context [\d,]+ of [\d,]+")
        terminal.say("/help\r")
        shown += "\n" + terminal.wait_for("drop the line")
        terminal.say("\x04")
        terminal.wait_end()
    assert max(len(line) for line in shown.splitlines()) <= columns
