"""Regular expressions that are compiled when they are first used.

A module has its patterns at the top, where they are read; a command uses few of those of the modules that it
imports, and compiling all of them took a seventh of a whole check's time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, AnyStr, Final, cast


def regex(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The same as `re.compile`, later: what is asked of it first compiles it.

    `re.search` and its like take text or a compiled pattern; call the pattern's own methods.
    """
    return cast("re.Pattern[AnyStr]", _Pattern(text, flags))


class _Pattern:
    """Stands for a pattern until an attribute of it is asked for, and passes every question on to it."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a pattern has
        if name.startswith("__"):
            raise AttributeError(name)
        compiled: re.Pattern[Any] = re.compile(self._text, self._flags)
        for method in ("search", "match", "fullmatch", "finditer", "findall", "sub", "split", "pattern"):
            self.__dict__[method] = getattr(compiled, method)
        return getattr(compiled, name)


_SPELLED: Final = regex(r"\\[xuUN0]|\(\?[aiLmsu]*x")
"""Characters by their numbers, and patterns with spaces and comments in them."""

_ESCAPE: Final = regex(r"(?s)\\.")
_CLASS: Final = regex(r"\[\^?\]?[^\]]*\]")
_GROUP: Final = regex(r"\([^()]*\)")
_UNSURE: Final = regex(r"(?s).(?:[*+?]|\{[\d,]+\})[?+]?|[.^$]|[^\0-\x7f]")
_GAP: Final = "\0"


@lru_cache(maxsize=4096)
def needed_words(pattern: str) -> tuple[str, ...]:
    """Words in lower case of which each match of a pattern holds one; none where that is not plain to see.

    Told from the pattern's text, far quicker than it is compiled: the longest run of plain characters
    outside all groups, for each alternative. A line without any of them need not be searched.
    """
    if _SPELLED.search(pattern):
        return ()
    rest = _CLASS.sub(_GAP, _ESCAPE.sub(_GAP, pattern))
    while (inner := _GROUP.sub(_GAP, rest)) != rest:
        rest = inner
    if "(" in rest or ")" in rest:
        return ()
    ways = _UNSURE.sub(_GAP, rest).lower().split("|")
    words = tuple(max(way.split(_GAP), key=len) for way in ways)
    return words if all(words) else ()
