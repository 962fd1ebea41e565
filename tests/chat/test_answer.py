"""How an answer is painted: cleaned, dimmed where it is thinking, complete."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.engine.answers import Timings, Usage
from bringup.faces.render.answer import AnswerPainter, usage_line
from bringup.faces.render.console import Console

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OURS = re.compile(r"\x1b\[(?:[0-9;]*)m")


class Screen(io.StringIO):
    """A made terminal: everything that is written to it."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no descriptor")


def painted(
    monkeypatch: pytest.MonkeyPatch, *, reasoning: list[str], content: list[str], colour: bool = True
) -> str:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    painter = AnswerPainter(Console(stdin=None, stdout=screen, stderr=None))
    for piece in reasoning:
        painter.reasoning(piece)
    for piece in content:
        painter.content(piece)
    painter.finish()
    return screen.getvalue()


def test_thinking_is_dim_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = painted(monkeypatch, reasoning=["Let me ", "think."], content=["**Yes**", "."])
    assert OURS.sub("", shown) == "thinking: Let me think.\n\nYes.\n"
    assert "\x1b[2mthink.\x1b[0m" in shown
    assert "\x1b[1mYes\x1b[0m" in shown


def test_folded_thinking_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    painter = AnswerPainter(Console(stdin=None, stdout=screen, stderr=None), shows_thinking=False)
    for piece in ("Let me ", "think."):
        painter.reasoning(piece)
    painter.content("Yes.")
    painter.finish()
    assert OURS.sub("", screen.getvalue()) == "(thought: 2 pieces; /thinking shows it)\n\nYes.\n"


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert painted(monkeypatch, reasoning=["hm"], content=["# T\n`x`"], colour=False) == (
        "thinking: hm\n\nT\nx\n"
    )


def test_an_answer_of_nothing_paints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert painted(monkeypatch, reasoning=[], content=[]) == ""


@given(st.lists(st.text(st.sampled_from("ab \n\x1b[]2;mH\x07\x9b\u202e\u2066*`|\x08\r\x00")), max_size=12))
def test_no_model_drives_the_terminal(pieces: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shown = painted(patch, reasoning=pieces, content=pieces)
    assert not CONTROL.search(OURS.sub("", shown))


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (90, "93 tokens · 34.5 tokens/s · context 512 of 8,192 · 419 reused from the KV cache"),
        (60, "93 tokens · 34.5 tokens/s · context 512 of 8,192"),
        (40, "34.5 tokens/s · context 512 of 8,192"),
    ],
)
def test_the_line_below(width: int, line: str) -> None:
    usage, timings = Usage(419, 93), Timings(419, 1, 0.1, 69, 2.0)
    assert line == usage_line(usage, timings, n_used_tokens=512, n_ctx=8192, width_columns=width)


def test_a_stopped_answer_tells_the_window_only() -> None:
    assert usage_line(None, None, n_used_tokens=9, n_ctx=8192, width_columns=80) == "context 9 of 8,192"
