"""The one place that writes: colour, redrawing, closed and full outputs, and cleaning of all text."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest
from tests.faces.hostile import FORBIDDEN, OUR_SGR, hostile_texts

from bringup.errors import BringupError, FileTrouble
from bringup.faces.render.console import Console, OutputClosed, Style, Styled
from bringup.faces.render.errors import render_error
from bringup.faces.render.format import Column, format_table
from bringup.machine.terminal import Terminal

COLOURFUL = Terminal(is_terminal=True, can_redraw=True, can_colour=True, width_columns=80)
FUZZED = 100_000 if os.environ.get("BRINGUP_SOAK") else 2_000


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TextIO, int]]:
    """A pseudo-terminal: the stream that a program writes to, and the descriptor that shows what came."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    shown, program = pty.openpty()
    with open(program, "w", encoding="utf-8") as stream:
        yield stream, shown
    os.close(shown)


def console_on(stream: TextIO | None) -> Console:
    return Console(stdin=None, stdout=stream, stderr=stream)


def seen(descriptor: int) -> str:
    """What came until nothing more does for 0.1 s."""
    came = b""
    while select.select([descriptor], [], [], 0.1)[0]:
        came += os.read(descriptor, 65536)
    return came.decode()


def test_colour_on_a_terminal_and_nowhere_else(terminal: tuple[TextIO, int]) -> None:
    stream, shown = terminal
    console_on(stream).line(Styled("error:", Style.RED), " plain")
    assert seen(shown) == "\x1b[31merror:\x1b[0m plain\r\n"
    pipe = io.StringIO()
    console_on(pipe).line(Styled("error:", Style.RED), " plain")
    assert pipe.getvalue() == "error: plain\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_colour_is_off_where_it_is_not_wanted(
    terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    stream, shown = terminal
    monkeypatch.setenv(name, value)
    console_on(stream).line(Styled("error:", Style.RED))
    assert seen(shown) == "error:\r\n"


def test_no_variable_brings_colour_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    pipe = io.StringIO()
    console_on(pipe).line(Styled("bold", Style.BOLD))
    assert pipe.getvalue() == "bold\n"


def test_the_status_line_is_redrawn_and_taken_away_before_anything_else(terminal: tuple[TextIO, int]) -> None:
    stream, shown = terminal
    console = console_on(stream)
    console.status("10 %\nforged")
    console.status("20 %")
    console.answer("done")
    assert seen(shown) == "\r\x1b[K10 % forged\r\x1b[K20 %\r\x1b[Kdone\r\n"


def test_many_lines_look_as_one_after_the_other(terminal: tuple[TextIO, int]) -> None:
    stream, shown = terminal
    lines: list[tuple[str | Styled, ...]] = [("a\x1b[2J", Styled("b", Style.RED)), ("",), ("c",)]
    console = console_on(stream)
    console.status("10 %")
    console.answer_lines(lines)
    together = seen(shown)
    console.status("10 %")
    for line in lines:
        console.answer(*line)
    assert together == seen(shown)
    assert together.endswith("\x1b[31mb\x1b[0m\r\n\r\nc\r\n")


def test_the_status_line_never_wraps(terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch) -> None:
    stream, shown = terminal
    monkeypatch.setenv("COLUMNS", "20")
    console_on(stream).status("x" * 500)
    assert seen(shown) == "\r\x1b[K" + "x" * 18 + "…"


def test_no_status_line_in_a_pipe_or_on_a_dumb_terminal(
    terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = io.StringIO()
    console_on(pipe).status("10 %")
    assert pipe.getvalue() == ""
    stream, shown = terminal
    monkeypatch.setenv("TERM", "dumb")
    console = console_on(stream)
    console.status("10 %")
    console.line("done")
    assert seen(shown) == "done\r\n"


def test_a_sequence_split_over_two_pieces_of_an_answer_is_still_taken_out() -> None:
    pipe = io.StringIO()
    console = console_on(pipe)
    for piece in ("before \x1b", "]8;;http://evil.ex", "ample\x1b", "\\after"):
        console.answer_piece(piece)
    assert pipe.getvalue() == "before after"


def test_json_is_ascii_and_says_the_same() -> None:
    pipe = io.StringIO()
    value = {"text": "\x1b[31m\u202e日本\x9b"}
    console_on(pipe).answer_json(value)
    assert pipe.getvalue().isascii()
    assert "\x1b" not in pipe.getvalue()
    assert json.loads(pipe.getvalue()) == value


def test_a_closed_stream_swallows() -> None:
    console = Console(stdin=None, stdout=None, stderr=None)
    console.answer("text")
    console.line("text")
    console.status("text")
    assert not console.confirm("Delete?")
    assert not console.is_interactive


def test_a_reader_that_left_and_a_full_disk_are_told_apart() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = open(writing, "w", encoding="utf-8")  # noqa: SIM115 - closing it would fail on purpose
    with pytest.raises(OutputClosed):
        console_on(stream).answer("text")
    os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
    stream.close()
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115
    with pytest.raises(FileTrouble, match="No space left"):
        console_on(full).answer("text")
    os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    full.close()


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("yessir\n", False)]
)
def test_only_a_typed_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown, program = pty.openpty()
    os.write(shown, b"no\ny\n")  # typed before anything was asked: answers nothing
    came: list[bytes] = []

    def person() -> None:
        while not b"".join(came).endswith(b"[y/N] "):
            came.append(os.read(shown, 65536))
        os.write(shown, typed.encode())

    with open(program, encoding="utf-8") as stdin, open(os.ttyname(program), "w", encoding="utf-8") as stderr:
        console = Console(stdin=stdin, stdout=None, stderr=stderr)
        threading.Thread(target=person, daemon=True).start()
        assert console.confirm("Use the token of \x1b[8mhidden?") is agreed
        assert b"Use the token of hidden? [y/N] " in b"".join(came)
    os.close(shown)


def test_without_a_terminal_nothing_is_agreed_to() -> None:
    console = Console(stdin=io.StringIO("y\n"), stdout=None, stderr=io.StringIO())
    assert not console.confirm("Sure?")


def test_an_encoding_that_lacks_a_character_gets_a_question_mark() -> None:
    code = "from bringup.faces.render.console import Console; Console.of_process().answer('caf\u00e9 \u65e5')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"caf? ?\n"


# Promise 20: nothing foreign drives the terminal.


def assert_only_ours(shown: str) -> None:
    assert FORBIDDEN.search(OUR_SGR.sub("", shown)) is None


def test_fuzzed_text_through_every_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "answer_terminal", property(lambda _self: COLOURFUL))
    monkeypatch.setattr(Console, "note_terminal", property(lambda _self: COLOURFUL))
    pipe = io.StringIO()
    console = console_on(pipe)
    for text in hostile_texts(FUZZED):
        console.answer(text, Styled(text, Style.DIM))
        console.answer_piece(text)
        console.answer_piece("\n", Styled(text, Style.BOLD))
        console.line(text)
        console.answer_json({text: text})
        for line in format_table((Column("A"), Column(text)), [(text, text)]):
            console.answer(line)
        for pieces in render_error(BringupError(text, context=(text,), hint=text)):
            console.line(*pieces)
    assert_only_ours(pipe.getvalue())


def test_a_fuzzed_status_line_holds_nothing_but_its_own_redrawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "note_terminal", property(lambda _self: COLOURFUL))
    pipe = io.StringIO()
    console = console_on(pipe)
    for text in hostile_texts(FUZZED):
        console.status(text)
    console.end_status()
    shown = pipe.getvalue().replace("\r\x1b[K", "")
    assert "\n" not in shown
    assert_only_ours(shown)


def test_no_line_of_an_error_can_pass_for_ours() -> None:
    lines = render_error(BringupError("a\n[forged]", context=("b\nhint: forged",), hint="c\nerror: forged"))
    pipe = io.StringIO()
    for line in lines:
        console_on(pipe).line(*line)
    assert pipe.getvalue() == (
        "error: a\n  [forged]\n  b\n  hint: forged\nhint: c\n  error: forged\n[failure]\n"
    )


def test_an_error_is_broken_between_words_on_a_terminal_and_never_in_a_command() -> None:
    problem = BringupError(
        "a very long message about something that did not go as anybody here would have wished for",
        context=("short", "/a/path/without/any/place/to/break/it/that/is/longer/than/the/terminal.gguf"),
        hint="Free some space there, or look at the list of what was left: "
        "bringup models --unfinished --json, "
        "then say which of them can go",
    )
    shown = Terminal(is_terminal=True, can_redraw=False, can_colour=False, width_columns=60)
    pipe = io.StringIO()
    for line in render_error(problem, shown):
        console_on(pipe).line(*line)
    assert pipe.getvalue() == (
        "error: a very long message about something that did not go\n"
        "  as anybody here would have wished for\n"
        "  short\n"
        "  /a/path/without/any/place/to/break/it/that/is/longer/than/the/terminal.gguf\n"
        "hint: Free some space there, or look at the list of what was\n"
        "  left: bringup models --unfinished --json, then say which\n"
        "  of them can go\n"
        "[failure]\n"
    )
    assert len(render_error(problem)[0][-1]) == len(problem.message), "a pipe gets it on one line"
