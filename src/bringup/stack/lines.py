"""Lines that programs printed: a paste, a kernel log, an engine log."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Final, TypeVar, cast

from bringup.patterns import needed_words, regex
from bringup.records import dataclass

T = TypeVar("T")

_WORD: Final = regex(rb"[a-z0-9_]+")
_WORD_BYTES: Final = b"abcdefghijklmnopqrstuvwxyz0123456789_"
_WORDS_ONLY: Final = bytes(byte if byte in _WORD_BYTES else ord(" ") for byte in range(256))
_CAPITAL: Final = regex(r"(?<!\\)[A-Z]")
_VOCABULARY_ABOVE_CHARACTERS: Final = 20_000
"""In a longer text an anchor is first looked up among its words."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a program printed: its number (from 1), its text without log prefix, its source."""

    number: int
    text: str
    source: str


@dataclass(frozen=True)
class Lines:
    """Lines of a paste, a kernel log, an engine log; searched without ever being copied per rule."""

    lines: tuple[Line, ...] = ()

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """Each line in lower case, for anchors."""
        return tuple(line.text.lower() for line in self.lines)

    @cached_property
    def whole(self) -> str:
        """All lines in lower case in one string, for a quick no."""
        return "\n".join(self.folded)

    @cached_property
    def _vocabulary(self) -> bytes:
        """Every different word with a letter in it, one a line: short where a log repeats itself."""
        words = set(self.whole.encode(errors="replace").translate(_WORDS_ONLY).split())
        return b"\n".join(word for word in words if not word.isdigit())

    @cached_property
    def _first_places(self) -> dict[str, int]:
        """Where in `whole` each anchor asked for begins, -1 for nowhere: many rules ask for the same."""
        return {}

    @cached_property
    def _starts(self) -> list[int]:
        """Where in `whole` each line begins."""
        return list(accumulate((len(text) + 1 for text in self.folded), initial=0))

    @cached_property
    def _worked_out(self) -> dict[object, object]:
        return {}

    def once(self, read: Callable[[Lines], T]) -> T:
        """What a pure reader makes of these lines, worked out once however many rules ask."""
        if read not in self._worked_out:
            self._worked_out[read] = read(self)
        return cast(T, self._worked_out[read])

    def has(self, anchor: str) -> bool:
        """Whether a lower-case literal stands anywhere."""
        return self._first_place(anchor) >= 0

    def _first_place(self, anchor: str) -> int:
        place = self._first_places.get(anchor)
        if place is None:
            place = self.whole.find(anchor) if self._may_have(anchor) else -1
            self._first_places[anchor] = place
        return place

    def _may_have(self, anchor: str) -> bool:
        if len(self.whole) <= _VOCABULARY_ABOVE_CHARACTERS:
            return True
        words = _WORD.findall(anchor.encode(errors="replace"))
        return all(word in self._vocabulary for word in words if not word.isdigit())

    def has_any(self, *anchors: str) -> bool:
        """Whether one of some lower-case literals stands anywhere."""
        return any(self.has(anchor) for anchor in anchors)

    def with_anchor(self, anchor: str) -> tuple[Line, ...]:
        """Lines that contain a lower-case literal, in order."""
        return tuple(self._forwards(anchor))

    def search(self, pattern: str, *, anchor: str) -> tuple[Line, re.Match[str]] | None:
        """First line that contains the anchor and matches the pattern, with its match."""
        return self._first_match(pattern, self._forwards(anchor))

    def last(self, pattern: str, *, anchor: str) -> tuple[Line, re.Match[str]] | None:
        """Last line that contains the anchor and matches the pattern, with its match."""
        return self._first_match(pattern, self._backwards(anchor))

    def first_like(self, pattern: str, *, anchor: str) -> Line | None:
        """The same line as `search` finds, quicker: `(?i)` is read as lower case on the folded text."""
        for index in self._indices(anchor):
            text, words = self.folded[index], needed_words(pattern)
            if words and not any(word in text for word in words):
                continue
            compiled, is_folded = _folded_pattern(pattern)
            if compiled.search(text if is_folded else self.lines[index].text) is not None:
                return self.lines[index]
        return None

    def _first_match(self, pattern: str, lines: Iterator[Line]) -> tuple[Line, re.Match[str]] | None:
        for line in lines:
            match = re.search(pattern, line.text)
            if match is not None:
                return line, match
        return None

    def _forwards(self, anchor: str) -> Iterator[Line]:
        return (self.lines[index] for index in self._indices(anchor))

    def _indices(self, anchor: str) -> Iterator[int]:
        at = self._first_place(anchor)
        while at >= 0:
            index = bisect_right(self._starts, at) - 1
            yield index
            at = self.whole.find(anchor, self._starts[index + 1])

    def _backwards(self, anchor: str) -> Iterator[Line]:
        at = self.whole.rfind(anchor) if self.has(anchor) else -1
        while at >= 0:
            index = bisect_right(self._starts, at) - 1
            yield self.lines[index]
            at = self.whole.rfind(anchor, 0, self._starts[index]) if index else -1


@lru_cache(maxsize=4096)
def _folded_pattern(pattern: str) -> tuple[re.Pattern[str], bool]:
    """A pattern, and whether it wants folded text: case is ignored by folding both, where that works."""
    rest = pattern.removeprefix("(?i)")
    if rest == pattern or "(?" in rest.replace("(?:", "").replace("(?!", ""):
        return re.compile(pattern), False
    return re.compile(_CAPITAL.sub(lambda found: found[0].lower(), rest)), True
