"""An answer while it arrives, and the dim line below it."""

from __future__ import annotations

from typing import Final

from bringup.engine.answers import Timings, Usage
from bringup.faces.render.clean import Cleaner
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.format import format_count, format_token_rate
from bringup.faces.render.inline import Piece
from bringup.faces.render.inline import Style as TextStyle
from bringup.faces.render.markdown import MarkdownStream
from bringup.faces.render.wrap import Wrapper

READABLE_WIDTH_COLUMNS: Final = 100
"""Prose in longer lines is hard to follow with the eye; a narrower terminal sets the width itself."""


class AnswerPainter:
    """Paints the deltas of one answer: reasoning dimmed and plain, the answer itself as Markdown."""

    def __init__(self, console: Console, *, shows_thinking: bool = True) -> None:
        """The width is taken now; lines already written are not laid again when the window changes.

        Where thinking is not shown, one line says how much of it there was.
        """
        self._shows_thinking = shows_thinking
        self._n_thinking_pieces = 0
        width = min(console.answer_terminal.width_columns, READABLE_WIDTH_COLUMNS)
        self._console = console
        self._reasoning = Wrapper(width)
        self._reasoning_cleaner = Cleaner()
        self._markdown = MarkdownStream(width)
        self._cleaner = Cleaner()
        self._is_thinking = False

    def reasoning(self, text: str) -> None:
        """A further piece of the model's thinking."""
        self._n_thinking_pieces += 1
        if not self._shows_thinking:
            self._is_thinking = True
            self._console.status(f"thinking, {format_count(self._n_thinking_pieces)} pieces")
            return
        if not self._is_thinking:
            self._is_thinking = True
            self._reasoning.start_line("thinking: ", "", TextStyle.DIM)
        for number, part in enumerate(self._reasoning_cleaner.feed(text).split("\n")):
            if number:
                self._reasoning.end_line()
            self._reasoning.put(Piece(part, TextStyle.DIM))
        self._write(self._reasoning.take())

    def content(self, text: str) -> None:
        """A further piece of the answer."""
        self._end_thinking()
        self._write(self._markdown.feed(self._cleaner.feed(text)))

    def finish(self) -> None:
        """Bring out what was held back; the cursor is at the start of a line afterwards."""
        self._end_thinking()
        self._write(self._markdown.finish())

    def _end_thinking(self) -> None:
        if self._is_thinking:
            self._is_thinking = False
            if not self._shows_thinking:
                folded = f"(thought: {format_count(self._n_thinking_pieces)} pieces; /thinking shows it)\n\n"
                self._write([Piece(folded, TextStyle.DIM)])
                return
            self._reasoning.end_line()
            self._write([*self._reasoning.take(), Piece("\n")])

    def _write(self, pieces: list[Piece]) -> None:
        if pieces:
            self._console.answer_pieces(*(Styled(piece.text, _look(piece.style)) for piece in pieces))


def _look(style: TextStyle) -> Style:
    """The terminal's look of a text style: the strongest one where several apply."""
    for part, look in (
        (TextStyle.DIM, Style.DIM),
        (TextStyle.CODE, Style.CYAN),
        (TextStyle.HEADING, Style.BOLD),
        (TextStyle.STRONG, Style.BOLD),
        (TextStyle.EMPHASIS, Style.ITALIC),
    ):
        if part in style:
            return look
    return Style.PLAIN


def usage_line(
    usage: Usage | None, timings: Timings | None, *, n_used_tokens: int, n_ctx: int, width_columns: int
) -> str:
    """`93 tokens · 34.5 tokens/s · context 512 of 8,192 · 419 reused from the KV cache`, or shorter.

    An answer that was stopped has neither usage nor timings: then only the window is told.
    """
    parts = []
    if usage is not None:
        n_tokens = usage.completion_tokens
        parts.append(f"{format_count(n_tokens)} {'token' if n_tokens == 1 else 'tokens'}")
    rate = timings.predicted_per_second if timings else None
    if rate is not None:
        parts.append(format_token_rate(rate))
    parts.append(f"context {format_count(n_used_tokens)} of {format_count(n_ctx)}")
    if timings is None:
        return " · ".join(parts)
    reused = f"{format_count(timings.cached_tokens)} reused"
    lines = [
        " · ".join(words) for words in ([*parts, f"{reused} from the KV cache"], [*parts, reused], parts)
    ]
    return next((line for line in lines if len(line) <= width_columns), " · ".join(parts[1:]))
