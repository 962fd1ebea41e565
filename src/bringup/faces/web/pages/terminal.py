"""Lines that were laid out for a terminal, as they are, with their colours as classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bringup.faces.render.console import Style, Styled
from bringup.faces.web.html import Html, join, tag, text

_CLASSES: Final = {
    Style.BOLD: "t-bold",
    Style.DIM: "soft",
    Style.RED: "t-red",
    Style.GREEN: "t-green",
    Style.YELLOW: "t-yellow",
    Style.CYAN: "t-cyan",
    Style.BLUE: "t-cyan",
    Style.MAGENTA: "t-yellow",
}


def preformatted(lines: Iterable[tuple[str | Styled, ...]], *, label: str) -> Html:
    """A block that scrolls sideways where it has to."""
    drawn = [join([_piece(piece) for piece in line]) for line in lines]
    return tag("pre", join(drawn, "\n"), class_="terminal", tabindex=0, role="region", aria_label=label)


def _piece(piece: str | Styled) -> Html:
    if isinstance(piece, str):
        return text(piece)
    look = _CLASSES.get(piece.style)
    return tag("span", piece.text, class_=look) if look else text(piece.text)
