"""Terminals: what the stream behind a file object can show."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TextIO

_DEFAULT_WIDTH_COLUMNS = 80


@dataclass(frozen=True, slots=True)
class Terminal:
    """What can be shown on a stream.

    `can_redraw` is a terminal that understands cursor movement; `can_colour` one on which colour is
    also wanted. `width_columns` is 80 where nothing says otherwise.
    """

    is_terminal: bool
    can_redraw: bool
    can_colour: bool
    width_columns: int


def look_at_terminal(stream: TextIO | None) -> Terminal:
    """Facts on a stream now (a window can be resized, so nothing is kept).

    `NO_COLOR` and `TERM=dumb` are obeyed and `COLUMNS` beats the window's own width. No variable
    brings colour into a pipe.
    """
    is_terminal = is_a_terminal(stream)
    can_redraw = is_terminal and os.environ.get("TERM", "") not in ("", "dumb")
    return Terminal(
        is_terminal=is_terminal,
        can_redraw=can_redraw,
        can_colour=can_redraw and not os.environ.get("NO_COLOR"),
        width_columns=_width(stream, is_terminal=is_terminal),
    )


def is_a_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; a closed one is not."""
    if stream is None:
        return False
    try:
        return stream.isatty()
    except (ValueError, OSError):
        return False


def _width(stream: TextIO | None, *, is_terminal: bool) -> int:
    asked = os.environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdigit() and 0 < int(asked[:6]) <= 10_000:
        return int(asked[:6])
    if is_terminal and stream is not None:
        with contextlib.suppress(OSError, ValueError):
            return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_WIDTH_COLUMNS
    return _DEFAULT_WIDTH_COLUMNS


def silence(stream: TextIO | None) -> None:
    """Point a stream's descriptor at /dev/null, so that what is still buffered fails no more at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        target = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.dup2(target, stream.fileno())  # type: ignore[union-attr]
        finally:
            os.close(target)
