"""Errors as people see them: what, where, what to do next, and a name to search for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.errors import BringupError
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.sentences import lay_out

if TYPE_CHECKING:
    from bringup.machine.terminal import Terminal

Line = tuple[str | Styled, ...]


def render_error(error: BringupError, shown: Terminal | None = None) -> tuple[Line, ...]:
    """Lines for stderr; on a terminal broken between words, but never within a command.

    error: could not read /models/a.gguf: Permission denied
      further lines, indented
    hint: what to do next
    [file-trouble]
    """
    width = shown.width_columns if shown is not None and shown.is_terminal else None
    lines: list[Line] = [(Styled("error:", Style.RED), " ", lay_out(error.message, 7, width))]
    lines += [("  ", lay_out(line, 2, width)) for line in error.context]
    if error.hint:
        lines.append((Styled("hint:", Style.CYAN), " ", lay_out(error.hint, 6, width)))
    lines.append((Styled(f"[{error.reference}]", Style.DIM),))
    return tuple(lines)
