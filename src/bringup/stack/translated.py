"""What the C library, shells, compilers, dpkg and apt say in other languages, put into English.

The kernel, the driver, CUDA and nearly all engines speak English whatever the locale is. These programs
follow it, and rules look for their words ("command not found", "No such file or directory"). A line with such
words is read a second time with the English ones in their place. `tools/translations.py` makes the table from
the programs' own catalogues.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from re import escape, search
from typing import Final

from bringup.patterns import regex

_LIMIT_CHARACTERS: Final = 200_000
"""A longer text is a log of services, which run in English."""

_PUT_IN: Final = regex(r"\{(\d)\}")


@cache
def _pairs() -> tuple[tuple[str, str, str], ...]:
    """The table: the longest run of the other language's words, all of them, the English ones."""
    from pkgutil import get_data

    data = get_data("bringup.stack", "translations.tsv")
    assert data is not None
    rows = (line.split("\t") for line in data.decode().splitlines() if not line.startswith("#"))
    longest_first = sorted(rows, key=lambda row: -len(row[1]))
    return tuple(
        (max(_PUT_IN.split(other)[::2], key=len), other, english) for english, other in longest_first
    )


def with_english(raws: list[str], parted: Mapping[int, Iterable[str]]) -> Mapping[int, Iterable[str]]:
    """The pieces of lines, by index, with the English of those beside them that are in another language."""
    if sum(map(len, raws)) > _LIMIT_CHARACTERS:
        return parted
    flat = [(index, piece) for index, raw in enumerate(raws) for piece in parted.get(index, (raw,))]
    result = dict(parted)
    for number, english in in_english([piece for _, piece in flat]).items():
        index = flat[number][0]
        result[index] = (*result.get(index, (raws[index],)), english)
    return result


def in_english(raws: list[str]) -> dict[int, str]:
    """The lines that hold such words, by index, with English ones in their place.

    Raw line: `bash: nvidia-smi: Befehl nicht gefunden.`
    """
    lines = [raw.replace("\N{NO-BREAK SPACE}", " ") for raw in raws]
    text = "\n".join(lines)
    pairs = [pair for pair in _pairs() if pair[0] in text]
    if not pairs:
        return {}
    read = ((index, _english(line, pairs)) for index, line in enumerate(lines))
    return {index: english for index, english in read if english != lines[index]}


def _english(raw: str, pairs: Iterable[tuple[str, str, str]]) -> str:
    for anchor, other, english in pairs:
        if anchor in raw:
            raw = raw.replace(other, english) if anchor == other else _put_in(raw, other, english)
    return raw


def _put_in(raw: str, other: str, english: str) -> str:
    """English with what the program put in, at the places that the words of the other language give it."""
    parts = _PUT_IN.split(other)
    pattern = "".join(
        rf"(?P<_{part}>\S{{1,120}}?)" if number % 2 else escape(part) for number, part in enumerate(parts)
    )
    pattern += r"(?=[\s.:\uff1a,]|$)" if not parts[-1] else ""
    match = search(pattern, raw)
    if match is None:
        return raw
    told = match.groupdict()
    words = _PUT_IN.sub(lambda one: told.get(f"_{one[1]}", ""), english)
    return raw[: match.start()] + words + raw[match.end() :]
