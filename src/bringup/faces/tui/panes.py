"""The parts of the screen above the table: machine, cards, engines. Each can be chosen and explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.widgets import Static

from bringup.faces.render.console import Styled
from bringup.faces.tui.drawing import Line, draw

Render = Callable[[int], Sequence[Line]]
"""Lines for a width in columns."""


class Pane(Static, can_focus=True):
    """Lines that fit its width, drawn again for each sample and each size."""

    def __init__(self, name: str) -> None:
        """`name` is what it shows: `machine`, `card 0`, `engine 8080`."""
        super().__init__("", markup=False)
        self.subject = name
        self._lines: Render = lambda _: ()
        self._shown: list[Line] = []

    def show(self, lines: Render) -> None:
        """Draw these from now on."""
        self._lines = lines
        self._draw()

    def on_resize(self) -> None:
        """Lines depend on the width."""
        self._draw()

    def _draw(self) -> None:
        width = self.content_size.width
        if width <= 0:
            return
        lines = list(self._lines(width))
        if lines == self._shown:
            return
        # A layout of the whole screen costs more than all the rest of a look; most looks need none.
        is_higher = len(lines) != len(self._shown) or any(_columns(line) > width for line in lines)
        self._shown = lines
        self.update(draw(lines), layout=is_higher)


def _columns(line: Line) -> int:
    return sum(len(piece.text if isinstance(piece, Styled) else piece) for piece in line)
