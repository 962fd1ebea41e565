"""From our lines to what Textual shows: every piece cleaned, none read as markup."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from rich.segment import Segment
from rich.style import Style as Look
from textual.content import Content
from textual.strip import Strip

from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import clean_line
from bringup.faces.render.live_board import MACHINE
from bringup.faces.render.live_rows import Cell
from bringup.records import dataclass

Line = tuple[str | Styled, ...]

_BACKGROUND: Final = "#121212"
_STYLES: Final = {
    Style.PLAIN: "",
    Style.BOLD: "bold",
    Style.DIM: "#8f949c",
    Style.ITALIC: "italic",
    Style.RED: "#e06c75",
    Style.GREEN: "#8ad4a1",
    Style.YELLOW: "#ffc473",
    Style.BLUE: "#61afef",
    Style.MAGENTA: "#c297d6",
    Style.CYAN: "#4ec9c9",
}
PLAIN: Final = f"#d8d8d8 on {_BACKGROUND}"
TITLE: Final = "bold #aeb4bd on #24272c"
HERE: Final = "#ffffff on #2f4b6b"
THERE: Final = f"bold {PLAIN}"
_LOOKS: Final = {style: f"{PLAIN} {words}" for style, words in _STYLES.items()}
_MARK: Final = f"#61afef on {_BACKGROUND}"
_RULE: Final = f"#4a4f57 on {_BACKGROUND}"


@dataclass(frozen=True, slots=True)
class PartRow:
    """A row of the upper part: one or two cells, and the part that is chosen."""

    cells: tuple[Cell, ...]
    chosen: str


@dataclass(frozen=True, slots=True)
class TextRow:
    """One text in one look."""

    text: str
    look: str


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line of ours."""

    line: Line


DrawnRow = PartRow | TextRow | LineRow


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


def draw_row(row: DrawnRow, width_columns: int) -> Strip:
    """A row of exactly this width."""
    if isinstance(row, TextRow):
        segment, columns = _piece(row.text, row.look)
        return Strip([segment], columns).adjust_cell_length(width_columns, _look(row.look))
    if isinstance(row, LineRow):
        made, columns = _segments(row.line)
        return Strip(made, columns).adjust_cell_length(width_columns, _look(PLAIN))
    segments: list[Segment] = []
    taken = 0
    for cell in row.cells:
        segments += _cell(cell, is_chosen=cell.name == row.chosen)
        taken += cell.width_columns + 1
    return Strip(segments, taken).adjust_cell_length(width_columns, _look(PLAIN))


def blank_row(width_columns: int) -> Strip:
    """Nothing."""
    return Strip.blank(width_columns, _look(PLAIN))


@lru_cache
def _look(words: str) -> Look:
    """Rich's form of a look."""
    return Look.parse(words)


@lru_cache(maxsize=4096)
def _piece(text: str, look: str) -> tuple[Segment, int]:
    """A cleaned piece and its columns; most pieces are as they were a second ago."""
    shown, columns = clean_line(text)
    return Segment(shown, _look(look)), columns


def _segments(line: Line) -> tuple[list[Segment], int]:
    """The pieces of a line and their columns."""
    segments: list[Segment] = []
    taken = 0
    for part in line:
        if isinstance(part, Styled):
            segment, columns = _piece(part.text, _LOOKS[part.style])
        else:
            segment, columns = _piece(part, PLAIN)
        segments.append(segment)
        taken += columns
    return segments, taken


def _cell(cell: Cell, *, is_chosen: bool) -> list[Segment]:
    """A mark, the line, and blanks or a rule up to the cell's width."""
    mark = _piece("▎" if is_chosen and cell.name else " ", _MARK)[0]
    segments, taken = _segments(cell.line)
    left = cell.width_columns - taken
    if left < 0:
        return [mark, *Strip(segments, taken).adjust_cell_length(cell.width_columns, _look(PLAIN))]
    if cell.is_head and cell.name != MACHINE and left > 2:
        return [mark, *segments, _piece(f" {'─' * (left - 2)} ", _RULE)[0]]
    return [mark, *segments, _piece(" " * left, PLAIN)[0]] if left else [mark, *segments]
