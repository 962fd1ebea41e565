"""Terminals: what the stream behind a file object can show."""

from __future__ import annotations

import contextlib
import os
import termios
from collections.abc import Iterator
from typing import TextIO

from bringup.records import dataclass

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


@contextlib.contextmanager
def hidden_typing(stream: TextIO | None) -> Iterator[None]:
    """Show nothing of what a person types meanwhile; it stays to be read. Ctrl-C still interrupts.

    Nothing happens where the stream is no terminal, or one that another job is using: to set its modes
    from the background would stop us.
    """
    try:
        descriptor = stream.fileno()  # type: ignore[union-attr]
        before = termios.tcgetattr(descriptor)
        is_ours = os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, ValueError, AttributeError, termios.error):
        is_ours = False
    if not is_ours:
        yield
        return
    hidden = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, hidden)
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


_PASTE_BEGINS = b"\x1b[200~"
_PASTE_ENDS = b"\x1b[201~"
MARK_PASTES = "\x1b[?2004h"
LEAVE_PASTES = "\x1b[?2004l"
"""Ask a terminal to frame what is pasted, and no longer."""


def read_typed_line(stream: TextIO) -> str | None:
    """A line that a person typed, without its end; `None` at the end of input, empty for anything pasted.

    A paste is known by the frame that `MARK_PASTES` asks for; all of its lines are taken together.
    """
    source = getattr(stream, "buffer", None)
    if source is None:
        line = stream.readline()
        return line.rstrip("\n") if line else None
    data: bytes = source.readline()
    if not data:
        return None
    if _PASTE_BEGINS in data:
        while data and _PASTE_ENDS not in data:
            data = source.readline()
        return ""
    return data.decode("utf-8", "replace").rstrip("\n")


def forget_typed(stream: TextIO | None) -> None:
    """Throw away what was typed and not read yet: it was not meant for a question that is asked only now."""
    with contextlib.suppress(OSError, ValueError, AttributeError, termios.error):
        termios.tcflush(stream.fileno(), termios.TCIFLUSH)  # type: ignore[union-attr]
