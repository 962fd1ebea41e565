"""Bars of characters: how much, and of which parts; told apart with and without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bringup.faces.render.console import Style, Styled
from bringup.records import dataclass

_EMPTY: Final = "·"
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
BAR_CHARACTERS: Final = "█▓▒░▚·▁▂▃▄▅▆▇"
_PLAIN: Final = str.maketrans(BAR_CHARACTERS, "#=-:%.__--==#")
"""For a terminal that has none of them; the parts of a bar stay apart."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar: how much, its character (which tells it apart without colour) and its colour."""

    amount: float
    character: str
    style: Style


def stacked_bar(segments: Sequence[Segment], total: float, width_columns: int) -> tuple[Styled, ...]:
    """Parts to scale within `width_columns`; a part that is not nothing gets a column while there is room.

    What the parts leave of `total` stays empty. The widths never exceed the whole.
    """
    widths = _widths([max(0.0, segment.amount) for segment in segments], total, width_columns)
    pieces = [
        Styled(segment.character * width, segment.style)
        for segment, width in zip(segments, widths, strict=True)
        if width
    ]
    left = width_columns - sum(widths)
    return (*pieces, Styled(_EMPTY * left, Style.DIM)) if left > 0 else tuple(pieces)


def _widths(amounts: Sequence[float], total: float, width_columns: int) -> list[int]:
    """Columns of each part: the edges are rounded, so that the parts end where their sum does."""
    if total <= 0 or width_columns <= 0:
        return [0] * len(amounts)
    widths: list[int] = []
    sum_before = 0.0
    for amount in amounts:
        start = round(min(1.0, sum_before / total) * width_columns)
        sum_before += amount
        widths.append(round(min(1.0, sum_before / total) * width_columns) - start)
    for place, amount in enumerate(amounts):
        if amount > 0 and widths[place] == 0:
            largest = max(range(len(widths)), key=lambda index: widths[index])
            is_room = sum(widths) < width_columns
            if is_room or widths[largest] > 2:
                widths[place] = 1
                widths[largest] -= 0 if is_room else 1
    return widths


def without_blocks(line: Sequence[str | Styled]) -> tuple[str | Styled, ...]:
    """A line with characters that every terminal has in the place of those of the bars."""
    return tuple(
        piece.translate(_PLAIN)
        if isinstance(piece, str)
        else Styled(piece.text.translate(_PLAIN), piece.style)
        for piece in line
    )


def sparkline(values: Sequence[float], most: float, width_columns: int) -> str:
    """The last values as a line of blocks, the newest at the right; `most` is the height of a full block."""
    shown = list(values)[-width_columns:] if width_columns > 0 else []
    step = (len(_BLOCKS) - 1) / most if most > 0 else 0.0
    line = "".join([_BLOCKS[int(min(most, value) * step + 0.5) if value > 0 else 0] for value in shown])
    return line.rjust(max(0, width_columns))


def level_style(share: float, *, warn: float = 0.75, alarm: float = 0.9) -> Style:
    """Green, yellow from `warn` on, red from `alarm` on."""
    if share >= alarm:
        return Style.RED
    return Style.YELLOW if share >= warn else Style.GREEN
