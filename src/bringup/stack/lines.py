"""Lines that programs printed: a paste, a kernel log, an engine log."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

T = TypeVar("T")


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
    def _worked_out(self) -> dict[object, object]:
        return {}

    def once(self, read: Callable[[Lines], T]) -> T:
        """What a pure reader makes of these lines, worked out once however many rules ask."""
        if read not in self._worked_out:
            self._worked_out[read] = read(self)
        return cast(T, self._worked_out[read])

    def has(self, anchor: str) -> bool:
        """Whether a lower-case literal stands anywhere."""
        return anchor in self.whole

    def has_any(self, *anchors: str) -> bool:
        """Whether one of some lower-case literals stands anywhere."""
        return any(anchor in self.whole for anchor in anchors)

    def with_anchor(self, anchor: str) -> tuple[Line, ...]:
        """Lines that contain a lower-case literal."""
        if anchor not in self.whole:
            return ()
        return tuple(line for line, text in zip(self.lines, self.folded, strict=True) if anchor in text)

    def search(self, pattern: str, *, anchor: str) -> tuple[Line, re.Match[str]] | None:
        """First line that contains the anchor and matches the pattern, with its match."""
        for line in self.with_anchor(anchor):
            match = re.search(pattern, line.text)
            if match is not None:
                return line, match
        return None

    def last(self, pattern: str, *, anchor: str) -> tuple[Line, re.Match[str]] | None:
        """Last line that contains the anchor and matches the pattern, with its match."""
        for line in reversed(self.with_anchor(anchor)):
            match = re.search(pattern, line.text)
            if match is not None:
                return line, match
        return None
