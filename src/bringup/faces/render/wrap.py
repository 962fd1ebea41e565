"""Word wrap for text that arrives in bits: a word is held until its end is known, then never moved."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from bringup.faces.render.inline import Piece, Style

_BITS: Final = re.compile(r"\s+|\S+")


def cell_width(text: str) -> int:
    """Cells that a text takes in a terminal: 2 for wide characters, 0 for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or character in "\ufe0e\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Wrapper:
    """Lays words into lines of a width, with a hanging indent; collects pieces until they are taken."""

    def __init__(self, width: int) -> None:
        """`width` in cells."""
        self.width = width
        self.last_character = ""
        self._out: list[Piece] = []
        self._word: list[Piece] = []
        self._space: Piece | None = None
        self._column = 0
        self._hang = ""
        self._hang_style = Style.PLAIN

    def take(self) -> list[Piece]:
        """What was laid since the last call."""
        out, self._out = self._out, []
        return out

    def start_line(self, lead: str, hang: str, style: Style) -> None:
        """Begin a line with `lead` (a bullet, a bar); its further lines begin with `hang`."""
        self.raw(lead, style)
        self._hang, self._hang_style = hang, style

    def put(self, piece: Piece) -> None:
        """Add text that may be wrapped."""
        for match in _BITS.finditer(piece.text):
            bit = match.group()
            self.last_character = bit[-1]
            if bit[0].isspace():
                self._end_word()
                self._space = Piece(" " * min(len(bit), 8), piece.style)
            elif cell_width(bit) == len(bit):
                self._word.append(Piece(bit, piece.style))
            else:
                self._put_wide(bit, piece.style)

    def raw(self, text: str, style: Style) -> None:
        """Add text that is never wrapped (code, tables, rules)."""
        self._end_word()
        if self._space is not None:
            self._out.append(self._space)
            self._space = None
        if text:
            self._out.append(Piece(text, style))
            self._column += cell_width(text)

    def end_line(self) -> None:
        """End the line."""
        self._end_word()
        self._out.append(Piece("\n"))
        self._column, self._hang, self._space, self.last_character = 0, "", None, ""

    def _put_wide(self, bit: str, style: Style) -> None:
        """Scripts without spaces may break before and after each wide character."""
        for character in bit:
            if _cells(character) == 2:
                self._end_word()
            self._word.append(Piece(character, style))
            if _cells(character) == 2:
                self._end_word()

    def _end_word(self) -> None:
        word, self._word = self._word, []
        if not word:
            return
        space, self._space = self._space, None
        width = sum(cell_width(piece.text) for piece in word)
        gap = len(space.text) if space else 0
        if self._column > len(self._hang) and self._column + gap + width > self.width:
            self._out.append(Piece("\n"))
            if self._hang:
                self._out.append(Piece(self._hang, self._hang_style))
            self._column = len(self._hang)
        elif space is not None:
            self._out.append(space)
            self._column += gap
        self._out.extend(word)
        self._column += width
