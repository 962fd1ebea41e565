"""Errors as people see them: what, where, what to do next, and a name to search for."""

from __future__ import annotations

from bringup.errors import BringupError
from bringup.faces.render.console import Style, Styled

Line = tuple[str | Styled, ...]


def render_error(error: BringupError) -> tuple[Line, ...]:
    """Lines for stderr.

    error: could not read /models/a.gguf: Permission denied
      further lines, indented
    hint: what to do next
    [file-trouble]
    """
    lines: list[Line] = [(Styled("error:", Style.RED), " ", _indented(error.message))]
    lines += [("  ", _indented(line)) for line in error.context]
    if error.hint:
        lines.append((Styled("hint:", Style.CYAN), " ", _indented(error.hint)))
    lines.append((Styled(f"[{error.reference}]", Style.DIM),))
    return tuple(lines)


def _indented(text: str) -> str:
    """Further lines of a text stay below their first, so that none can pass for a line of ours."""
    return text.replace("\n", "\n  ")
