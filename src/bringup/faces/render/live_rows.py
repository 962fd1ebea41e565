"""Parts as rows of a screen: one below the other, or two side by side where there is the width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import clean_line, display_width
from bringup.faces.render.live_board import Detail, Line, Part, Scene, board_parts
from bringup.records import dataclass

WIDE_COLUMNS: Final = 150
"""From this width on, cards and engines stand two side by side."""

_GAP_COLUMNS: Final = 1
_HANG: Final = "    "


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of a part; an empty name is a place with no part."""

    name: str
    line: Line
    is_head: bool
    width_columns: int


Row = tuple[Cell, ...]


def arrange_rows(scene: Scene, width_columns: int, room: int) -> list[Row]:
    """Rows in the most detail that fits the room; in the least where none does.

    Args:
        scene: what is shown.
        width_columns: of the screen.
        room: how many rows may be seen at once.
    """
    rows: list[Row] = []
    for detail in Detail:
        rows = _rows(scene, detail, width_columns)
        if len(rows) <= room:
            break
    return rows


def _rows(scene: Scene, detail: Detail, width_columns: int) -> list[Row]:
    # A column at the left of each part tells which one is chosen; one at the right stays free.
    whole = max(1, width_columns - 2)
    is_wide = width_columns >= WIDE_COLUMNS
    half = (whole - _GAP_COLUMNS) // 2
    machine, *others = board_parts(
        scene, detail, width_columns=half if is_wide else whole, machine_columns=whole
    )
    rows: list[Row] = [(cell,) for cell in _cells(machine, whole)]
    if not is_wide:
        return rows + [(cell,) for part in others for cell in _cells(part, whole)]
    nothing = Cell("", (), is_head=False, width_columns=half)
    for left, right in zip_longest(others[::2], others[1::2]):
        right_cells = _cells(right, half) if right is not None else []
        rows += [
            (one or nothing, other or nothing) for one, other in zip_longest(_cells(left, half), right_cells)
        ]
    return rows


def _cells(part: Part, width_columns: int) -> list[Cell]:
    lines = [fitted for line in part.lines for fitted in wrap_line(line, width_columns)]
    return [
        Cell(part.name, line, is_head=number == 0, width_columns=width_columns)
        for number, line in enumerate(lines)
    ]


def wrap_line(line: Line, width_columns: int) -> list[Line]:
    """The line, folded between words where it is too wide; what follows is set in."""
    taken = 0
    for piece in line:
        taken += clean_line(piece.text if isinstance(piece, Styled) else piece)[1]
    if taken <= width_columns:
        return [line]
    lines: list[list[str | Styled]] = [[]]
    taken = 0
    for word, style in _words(line):
        columns = display_width(word)
        if taken + display_width(word.rstrip()) > width_columns and taken > len(_HANG):
            lines.append([_HANG])
            taken = len(_HANG)
            word = word.lstrip()
            columns = display_width(word)
        lines[-1].append(Styled(word, style))
        taken += columns
    return [tuple(pieces) for pieces in lines]


def _words(line: Line) -> Sequence[tuple[str, Style]]:
    """Words with the blanks behind them."""
    found: list[tuple[str, Style]] = []
    for piece in line:
        style = piece.style if isinstance(piece, Styled) else Style.PLAIN
        rest = clean_line(piece.text if isinstance(piece, Styled) else piece)[0]
        while rest:
            end = len(rest) - len(rest.lstrip(" "))
            end = rest.find(" ", end)
            end = len(rest) if end < 0 else end + len(rest[end:]) - len(rest[end:].lstrip(" "))
            found.append((rest[:end], style))
            rest = rest[end:]
    return found
