"""The one cleaner at the door: foreign text loses everything that could drive or deceive a terminal.

Taken out: escape sequences with their payload (CSI, OSC with its hyperlinks and titles, DCS, SOS, PM,
APC), C0 controls but newline and tab, DEL, C1 controls, bidirectional overrides, embeddings, isolates
and marks, line and paragraph separators, zero-width and tag characters. A lone surrogate becomes
U+FFFD. The two joiners (U+200C, U+200D) stay after a character outside ASCII: Persian, the Indic
scripts and joined emoji need them there, and in `pay<joiner>pal` they only deceive.

An escape sequence ends where a terminal would end it, and at a line's end or after a bounded length
at the latest, so that an unfinished one cannot hide the rest of a text.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass

_ESCAPE: Final = "\x1b"
_JOINERS: Final = "\u200c\u200d"
_INVISIBLE: Final = (
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e01ef"
)
_SUSPECT: Final = regex(f"[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f{_JOINERS}{_INVISIBLE}\\ud800-\\udfff]")
_DROPPED_RUN: Final = regex(
    f"[\\x00-\\x08\\x0b-\\x1a\\x1c-\\x1f\\x7f-\\x8f\\x91-\\x97\\x99\\x9a\\x9c{_INVISIBLE}]+"
)
_STRING_OPENERS: Final = frozenset("\x90\x98\x9d\x9e\x9f")
_STRING_OPENERS_7BIT: Final = frozenset("PX]^_")


class _State(Enum):
    GROUND = "ground"
    ESCAPE = "escape"
    INTERMEDIATE = "intermediate"
    CSI = "csi"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class _Sequence:
    """How a sequence goes on and ends: a bounded body, then one final character that belongs to it."""

    body: re.Pattern[str]
    final: re.Pattern[str]
    limit: int


_SEQUENCES: Final = {
    _State.INTERMEDIATE: _Sequence(regex(r"[\x20-\x2f]*"), regex(r"[\x30-\x7e]"), 256),
    _State.CSI: _Sequence(regex(r"[\x20-\x3f]*"), regex(r"[\x40-\x7e]"), 256),
    _State.STRING: _Sequence(regex(r"[^\x07\x1b\x9c\n]*"), regex(r"[\x07\x9c]"), 8192),
}


class Cleaner:
    """Cleans a text that comes in pieces; a sequence split between two pieces is still one sequence.

    Feeding the pieces gives the same as `clean` on the whole, whatever the cuts.
    """

    def __init__(self) -> None:
        self._state = _State.GROUND
        self._eaten = 0
        self._last = ""

    def feed(self, piece: str) -> str:
        """The clean part of the next piece; may be empty."""
        if self._state is _State.GROUND and _SUSPECT.search(piece) is None:
            self._last = piece[-1:] or self._last
            return piece
        kept: list[str] = []
        at = 0
        while at < len(piece):
            at = self._ground(piece, at, kept) if self._state is _State.GROUND else self._inside(piece, at)
        return "".join(kept)

    def _ground(self, piece: str, at: int, kept: list[str]) -> int:
        found = _SUSPECT.search(piece, at)
        end = len(piece) if found is None else found.start()
        if end > at:
            kept.append(piece[at:end])
            self._last = piece[end - 1]
        if found is None:
            return end
        character = found.group()
        if "\ud800" <= character <= "\udfff":
            kept.append("\ufffd")
            self._last = "\ufffd"
            return end + 1
        if character in _JOINERS:
            if self._last > "\x7f" and self._last not in _JOINERS:
                kept.append(character)
                self._last = character
            return end + 1
        run = _DROPPED_RUN.match(piece, end)
        if run is None:
            self._open(character)
            return end + 1
        return run.end()

    def _open(self, character: str) -> None:
        self._eaten = 0
        if character == _ESCAPE:
            self._state = _State.ESCAPE
        elif character == "\x9b":
            self._state = _State.CSI
        elif character in _STRING_OPENERS:
            self._state = _State.STRING

    def _inside(self, piece: str, at: int) -> int:
        if self._state is _State.ESCAPE:
            return self._after_escape(piece, at)
        sequence = _SEQUENCES[self._state]
        body = sequence.body.match(piece, at, at + sequence.limit - self._eaten)
        end = at if body is None else body.end()
        self._eaten += end - at
        if self._eaten >= sequence.limit:
            self._state = _State.GROUND
            return end
        if end == len(piece):
            return end
        self._state = _State.GROUND
        final = sequence.final.match(piece, end)
        return end if final is None else final.end()

    def _after_escape(self, piece: str, at: int) -> int:
        character = piece[at]
        self._eaten = 0
        if character == "[":
            self._state = _State.CSI
        elif character in _STRING_OPENERS_7BIT:
            self._state = _State.STRING
        elif "\x20" <= character <= "\x2f":
            self._state = _State.INTERMEDIATE
        elif "\x30" <= character <= "\x7e":
            self._state = _State.GROUND
        else:
            self._state = _State.GROUND
            return at
        return at + 1


def clean(text: str, *, keep_newlines: bool = True) -> str:
    """A text that may be written to a terminal; cleaning twice changes nothing.

    Args:
        text: anything, from anywhere.
        keep_newlines: whether newlines and tabs stay; otherwise each becomes a space, for a text that
            has to stay on its line.
    """
    cleaned = text if _SUSPECT.search(text) is None else Cleaner().feed(text)
    return cleaned if keep_newlines else cleaned.replace("\n", " ").replace("\t", " ")
