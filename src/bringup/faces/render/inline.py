"""Inline Markdown: strong, emphasis, code and links of one stretch of text, as styled pieces.

Made for text that is still arriving: a span whose end has not come yet is reported as such, so that
the caller waits for it instead of printing a marker that it would have to take back.
"""

from __future__ import annotations

import re
from enum import Flag, auto
from typing import Final

from bringup.records import dataclass

SPAN_LIMIT_CHARACTERS: Final = 400
"""A marker without its partner within this stretch is taken as an ordinary character."""

_SPECIAL: Final = re.compile(r"[`*_\[\\]")
_RUN: Final = re.compile(r"(.)\1*")
_LINK: Final = re.compile(r"\[([^\[\]\n]+)\]\(([^()\s]+)\)")
_OPEN_LINK: Final = re.compile(r"\[[^\[\]\n]*(?:\](?:\([^()\s]*)?)?")
_ESCAPABLE: Final = frozenset("\\`*_#~|>")


class Style(Flag):
    """How a piece of an answer looks; combinations are allowed."""

    PLAIN = 0
    STRONG = auto()
    EMPHASIS = auto()
    CODE = auto()
    HEADING = auto()
    DIM = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """Text with one style."""

    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True, slots=True)
class _Span:
    """A whole span: how many characters it took from the text, and what they show as."""

    taken: int
    pieces: tuple[Piece, ...]


_WAIT: Final = _Span(0, ())


def parse_inline(
    text: str, style: Style = Style.PLAIN, *, ended: bool = True, before: str = ""
) -> tuple[tuple[Piece, ...], str]:
    """Pieces of the text, and the tail that has to wait for more of it (always empty when `ended`).

    `before` is the character in front of the text: `_` opens nothing inside a word.
    """
    pieces: list[Piece] = []
    position = 0
    while position < len(text):
        match = _SPECIAL.search(text, position)
        if match is None:
            pieces.append(Piece(text[position:], style))
            return tuple(pieces), ""
        start = match.start()
        if start > position:
            pieces.append(Piece(text[position:start], style))
        previous = text[start - 1] if start else before
        span = _span_at(text[start:], style, previous=previous)
        if not ended and len(text) - start < SPAN_LIMIT_CHARACTERS and _may_change(span, text[start:]):
            return tuple(pieces), text[start:]
        if span is None or span is _WAIT:
            run = _run(text[start:])
            pieces.append(Piece(run, style))
            position = start + len(run)
        else:
            pieces.extend(span.pieces)
            position = start + span.taken
    return tuple(pieces), ""


def _may_change(span: _Span | None, rest: str) -> bool:
    """Whether more text can change this reading: no end came yet, or what follows may undo the last marker.

    `_a_` is emphasis, `_a_b` is none: the last marker counts only once the character after it is known.
    """
    return span is _WAIT or (span is not None and span.taken == len(rest) and rest[-1] in "`*_")


def _run(text: str) -> str:
    match = _RUN.match(text)
    return match.group() if match and text[0] in "`*_" else text[:1]


def _span_at(rest: str, style: Style, *, previous: str) -> _Span | None:
    """The span that begins here; `_WAIT` when its end may still come, `None` when there is none."""
    match rest[0]:
        case "\\":
            return _escape(rest, style)
        case "`":
            return _code(rest, style)
        case "[":
            return _link(rest, style)
        case _:
            return _emphasis(rest, style, previous=previous)


def _escape(rest: str, style: Style) -> _Span | None:
    if len(rest) == 1:
        return _WAIT
    return _Span(2, (Piece(rest[1], style),)) if rest[1] in _ESCAPABLE else None


def _code(rest: str, style: Style) -> _Span:
    fence = _run(rest)
    end = re.search(rf"(?<!`){fence}(?!`)", rest[len(fence) :])
    if end is None or len(fence) + end.end() == len(rest) == 2 * len(fence):
        return _WAIT
    content = rest[len(fence) : len(fence) + end.start()]
    if content.startswith(" ") and content.endswith(" ") and content.strip():
        content = content[1:-1]
    return _Span(len(fence) + end.end(), (Piece(content, style | Style.CODE),))


def _link(rest: str, style: Style) -> _Span | None:
    match = _LINK.match(rest)
    if match is None:
        partial = _OPEN_LINK.fullmatch(rest)
        return _WAIT if partial else None
    label, address = match.groups()
    pieces, _ = parse_inline(label, style)
    if label != address:
        pieces = (*pieces, Piece(f" ({address})", style | Style.DIM))
    return _Span(match.end(), pieces)


def _emphasis(rest: str, style: Style, *, previous: str) -> _Span | None:
    marker = _run(rest)
    width = len(marker)
    if width == len(rest):
        return _WAIT
    in_word = marker[0] == "_" and previous.isalnum()
    if width > 3 or rest[width].isspace() or in_word:
        return None
    after = r"(?!\w)" if marker[0] == "_" else ""
    sign = re.escape(marker[0])
    end = re.search(rf"(?<![\s{sign}]){sign}{{{width}}}(?!{sign}){after}", rest[width:])
    if end is None:
        return _WAIT
    added = {1: Style.EMPHASIS, 2: Style.STRONG, 3: Style.STRONG | Style.EMPHASIS}[width]
    pieces, _ = parse_inline(rest[width : width + end.start()], style | added)
    return _Span(width + end.end(), pieces)
