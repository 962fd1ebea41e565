"""Markdown of an answer that is still arriving, written once and never taken back.

No cursor is moved and nothing is drawn twice: an answer longer than the screen scrolls like any other
text, a slow line does not flicker, and the scrollback holds exactly what was said. The price: a span
such as `**bold**` appears when it is whole, a line of code when its line is, a table when it or its first
dozen rows are.
"""

from __future__ import annotations

import re
from typing import Final

from bringup.faces.render.inline import Piece, Style, parse_inline
from bringup.faces.render.wrap import Wrapper, cell_width

_FENCE: Final = re.compile(r"(`{3,}|~{3,})[^`\n]*")
_ITEM: Final = re.compile(r"([-*+]|\d{1,9}[.)]) +")
_HEADING: Final = re.compile(r"#{1,6} +")
_RULE: Final = re.compile(r"([-*_])\1{2,}\s*")
_UNDECIDED: Final = re.compile(r"|`{1,2}|~{1,2}|#{1,6} *|> *|([-*+_])\1*|[-*+] +|\d{1,9}([.)] *)?")
_TABLE_BAR: Final = re.compile(r"[\s|:-]*-[\s|:-]*")
_ROWS_THAT_SET_WIDTHS: Final = 12
"""A longer table flows: its first rows decide how wide the columns are."""


class MarkdownStream:
    """Turns deltas of Markdown into styled pieces for a terminal of a given width.

    Text must have passed the cleaner already: control characters are not looked at here.
    """

    def __init__(self, width: int) -> None:
        """`width` is that of the terminal in cells."""
        self._wrap = Wrapper(max(width, 20))
        self._head = ""
        self._tail = ""
        self._style = Style.PLAIN
        self._in_text = False
        self._fence = ""
        self._table: list[str] = []
        self._widths: list[int] = []
        self._was_blank = True

    def feed(self, text: str) -> list[Piece]:
        """Pieces that can be written now that this delta has come."""
        for number, part in enumerate(text.split("\n")):
            if number:
                self._end_line()
            if part:
                self._more(part)
        return self._wrap.take()

    def finish(self) -> list[Piece]:
        """Pieces of all that was held back, with a line end; the answer has ended."""
        if self._head or self._in_text:
            self._end_line()
        self._end_table()
        return self._wrap.take()

    def _more(self, part: str) -> None:
        if self._in_text:
            self._inline(part, ended=False)
            return
        self._head += part
        if not self._fence:
            self._begin(ended=False)

    def _end_line(self) -> None:
        if self._fence or not self._in_text:
            self._whole_line()
        if self._in_text:
            self._inline("", ended=True)
            self._wrap.end_line()
            self._in_text = False
        self._head = ""

    def _whole_line(self) -> None:
        """A line whose kind is known only at its end: code, table, rule, blank, or undecided till now."""
        line, body = self._head, self._head.strip()
        if self._fence:
            self._code_line(line, body)
        elif fence := _FENCE.fullmatch(body):
            self._end_table()
            self._fence = fence.group(1)
        elif body.startswith("|"):
            self._table.append(body)
            if self._widths or len(self._table) >= _ROWS_THAT_SET_WIDTHS:
                self._write_table()
        else:
            self._end_table()
            self._plain_line(body)

    def _plain_line(self, body: str) -> None:
        if not body:
            if not self._was_blank:
                self._wrap.end_line()
            self._was_blank = True
        elif _RULE.fullmatch(body):
            self._wrap.raw("─" * min(self._wrap.width, 40), Style.DIM)
            self._wrap.end_line()
        else:
            self._begin(ended=True)

    def _code_line(self, line: str, body: str) -> None:
        if body.startswith(self._fence) and not body.strip(self._fence[0]):
            self._fence = ""
            return
        self._wrap.raw("  " + line, Style.CODE)
        self._wrap.end_line()
        self._was_blank = False

    def _begin(self, *, ended: bool) -> None:
        """Decide what kind of line has begun, as soon as that can be told; then its text can flow."""
        body = self._head.lstrip(" ")
        indent = min(len(self._head) - len(body), 12)
        if not ended and (_UNDECIDED.fullmatch(body) or _FENCE.match(body) or body.startswith("|")):
            return
        self._end_table()
        self._was_blank = False
        self._in_text, self._style = True, Style.PLAIN
        if heading := _HEADING.match(body):
            self._style, body = Style.HEADING, body[heading.end() :]
        elif item := _ITEM.match(body):
            mark = item.group(1) if item.group(1)[0].isdigit() else "•"
            self._wrap.start_line(" " * indent + mark + " ", " " * (indent + len(mark) + 1), Style.PLAIN)
            body = body[item.end() :]
        elif body.startswith(">"):
            self._wrap.start_line("│ ", "│ ", Style.DIM)
            body = body[1:].lstrip(" ")
        elif indent:
            self._wrap.start_line(" " * indent, " " * indent, Style.PLAIN)
        self._inline(body, ended=ended)

    def _inline(self, part: str, *, ended: bool) -> None:
        pieces, self._tail = parse_inline(
            self._tail + part, self._style, ended=ended, before=self._wrap.last_character
        )
        for piece in pieces:
            self._wrap.put(piece)

    def _end_table(self) -> None:
        self._write_table()
        self._widths = []

    def _write_table(self) -> None:
        """Rows that wait, in columns as wide as those before them or wider."""
        rows, self._table = self._table, []
        if not rows:
            return
        cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
        shown = [
            [parse_inline(cell)[0] for cell in line]
            for row, line in zip(rows, cells, strict=True)
            if not _TABLE_BAR.fullmatch(row)
        ]
        is_first = not self._widths
        self._widths = _column_widths(shown, self._widths)
        for number, line in enumerate(shown):
            is_heading = is_first and number == 0 and len(shown) < len(rows)
            self._table_row(line, self._widths, heading=is_heading)
        self._was_blank = False

    def _table_row(self, line: list[tuple[Piece, ...]], widths: list[int], *, heading: bool) -> None:
        for column, pieces in enumerate(line):
            for piece in pieces:
                self._wrap.raw(piece.text, piece.style | Style.STRONG if heading else piece.style)
            if column + 1 < len(line):
                self._wrap.raw(" " * (widths[column] - _width(pieces) + 2), Style.PLAIN)
        self._wrap.end_line()


def _width(pieces: tuple[Piece, ...]) -> int:
    return sum(cell_width(piece.text) for piece in pieces)


def _column_widths(rows: list[list[tuple[Piece, ...]]], least: list[int]) -> list[int]:
    n_columns = max((len(row) for row in rows), default=0)
    widths = least + [0] * (n_columns - len(least))
    for row in rows:
        for column, pieces in enumerate(row):
            widths[column] = max(widths[column], _width(pieces))
    return widths
