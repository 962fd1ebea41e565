"""Short texts side by side, in as many lines as they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bringup.faces.render.console import Styled

Line = tuple[str | Styled, ...]

_INDENT_COLUMNS: Final = 2
_GAP: Final = "   "


def side_by_side(words: Sequence[str | Styled], width_columns: int) -> list[Line]:
    """Lines set in by two blanks, three blanks between two texts; one in brackets stays with its text."""
    lines: list[list[str | Styled]] = [[]]
    taken = 0
    for group in _groups(words):
        columns = sum(len(_text(word)) + 1 for word in group) - 1
        if lines[-1] and taken + len(_GAP) + columns > width_columns:
            lines.append([])
        if lines[-1]:
            lines[-1].append(_GAP)
            taken += len(_GAP)
        else:
            lines[-1].append(" " * _INDENT_COLUMNS)
            taken = _INDENT_COLUMNS
        for place, word in enumerate(group):
            lines[-1] += [" ", word] if place else [word]
        taken += columns
    return [tuple(line) for line in lines if line]


def _groups(words: Sequence[str | Styled]) -> list[list[str | Styled]]:
    groups: list[list[str | Styled]] = []
    for word in words:
        if groups and _text(word).startswith("("):
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _text(word: str | Styled) -> str:
    return word.text if isinstance(word, Styled) else word
