"""From our lines to Textual's text: every piece cleaned, none read as markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.content import Content

from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled

Line = tuple[str | Styled, ...]

_STYLES: Final = {
    Style.PLAIN: "",
    Style.BOLD: "bold",
    Style.DIM: "dim",
    Style.ITALIC: "italic",
    Style.RED: "#e06c75",
    Style.GREEN: "#8ad4a1",
    Style.YELLOW: "#ffc473",
    Style.BLUE: "#61afef",
    Style.MAGENTA: "#c297d6",
    Style.CYAN: "#4ec9c9",
}


def draw(lines: Sequence[Line]) -> Content:
    """Lines as one text."""
    return Content("\n").join([draw_line(line) for line in lines])


def draw_line(line: Line) -> Content:
    """One line."""
    parts = [
        (clean(piece.text, keep_newlines=False), _STYLES[piece.style])
        if isinstance(piece, Styled)
        else (clean(piece, keep_newlines=False), "")
        for piece in line
    ]
    return Content.assemble(*parts)
