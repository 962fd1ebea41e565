"""Builds of llama.cpp that are known to be bad; the data is in `known_bad.toml`."""

from __future__ import annotations

from functools import cache
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass

_NUMBER: Final = regex(r"b(\d{3,6})(?:\D|$)")


@dataclass(frozen=True, slots=True)
class BadRange:
    """All builds before a number, what is wrong with them, and who says so."""

    before: int
    what: str
    source: str


@cache
def bad_ranges() -> tuple[BadRange, ...]:
    """All ranges, by their end."""
    import tomllib
    from importlib.resources import files

    text = (files("bringup.engine") / "known_bad.toml").read_text(encoding="utf-8")
    rows = (BadRange(row["before"], row["what"], row["source"]) for row in tomllib.loads(text)["range"])
    return tuple(sorted(rows, key=lambda one: one.before))


def what_is_bad(version: str) -> tuple[BadRange, ...]:
    """What is wrong with a build by its own word, such as `b6325`; nothing where it says no number."""
    match = _NUMBER.match(version)
    return tuple(one for one in bad_ranges() if match and int(match[1]) < one.before)
