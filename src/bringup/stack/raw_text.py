"""The lines of a raw text: without terminal escapes and log prefixes, cut, thinned where they are many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bringup.patterns import regex
from bringup.stack.lines import Line, Lines

LINE_LIMIT_CHARACTERS: Final = 4_000
"""A longer line is cut here: no program says what is wrong beyond it."""


THIN_ABOVE_CHARACTERS: Final = 1_000_000
"""A longer text is thinned before its lines are read."""


_RAW_CHARACTERS: Final = 4 * LINE_LIMIT_CHARACTERS
"""Enough of a raw line, with its escapes and all that it wrote over."""


_KEPT_OF_A_SHAPE: Final = 8


_SHAPE_CHARACTERS: Final = 400


_LINES_AT_A_TIME: Final = 20_000


_DIGITS: Final = str.maketrans("0123456789abcdef", "0" * 16)


_ESCAPE = regex(r"\x1b(?:\[[0-?]{0,40}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)|.)?")


_PREFIXES: Final = (
    regex(r"[A-Z][a-z]{2}\s{1,2}\d{1,2} \d{2}:\d{2}:\d{2} [^\s:/]{1,80} [^\s:\[]{1,60}(?:\[\d{1,8}\])?: "),
    regex(
        r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?[+-]\d{2}:?\d{2} "
        r"[^\s:/]{1,80} [^\s:\[]{1,60}(?:\[\d{1,8}\])?: "
    ),
    regex(r"[\w.-]{1,60}+\s{0,20}+\| "),
    regex(r"\[\d{2,5}\] (?=\d+\.\d{2}\.\d{3})"),
    regex(r"\[\s{0,8}\d{1,9}\.\d{1,9}\] "),
)


_ANY_PREFIX: Final = regex("|".join(pattern.pattern for pattern in _PREFIXES))


def split_lines(text: str, *, source: str) -> Lines:
    """Lines without terminal escapes and log prefixes; a line is cut at 4,000 characters."""
    return read_lines(raw_lines(text), source, {})


def raw_lines(text: str) -> list[str]:
    """A text's lines without terminal escapes, the endless ones shortened."""
    raws = text.split("\n")
    if len(text) > THIN_ABOVE_CHARACTERS and max(map(len, raws)) > _RAW_CHARACTERS:
        text = "\n".join(map(_shortened, raws))
        raws = text.split("\n")
    if "\x1b" in text or "\r" in text:
        text = _ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
        raws = text.split("\n")
    return raws


def read_lines(raws: list[str], source: str, instead: Mapping[int, Iterable[str]]) -> Lines:
    """The lines, with others in the place of some."""
    length = sum(map(len, raws)) + len(raws)
    kept = thin_lines(raws) if length > THIN_ABOVE_CHARACTERS else range(len(raws))
    result = []
    for index in kept:
        for piece in instead.get(index) or (raws[index],):
            line = strip_prefix(piece[:LINE_LIMIT_CHARACTERS]).rstrip()
            if line:
                result.append(Line(index + 1, line, source))
    return Lines(tuple(result))


def _shortened(raw: str) -> str:
    """A line without what is cut anyway; of one written over and over, beginning and end."""
    if len(raw) <= _RAW_CHARACTERS:
        return raw
    half = _RAW_CHARACTERS // 2
    return raw[:half] + (raw[-half:] if "\r" in raw else "")


def thin_lines(raws: list[str]) -> list[int]:
    """Of lines that differ in numbers and hexadecimal digits only, the indices of the first and last eight.

    A log of a day says the same few hundred things over and over; no rule counts them, and what stands for
    the first or the last time is kept with its number.
    """
    shapes: dict[str, list[int]] = {}
    for index, shape in enumerate(_shapes(raws)):
        kept = shapes.get(shape)
        if kept is None:
            shapes[shape] = [index]
        elif len(kept) < 2 * _KEPT_OF_A_SHAPE:
            kept.append(index)
        else:
            del kept[_KEPT_OF_A_SHAPE]
            kept.append(index)
    return sorted(index for kept in shapes.values() for index in kept)


def _shapes(raws: list[str]) -> Iterator[str]:
    """The shape of each line, worked out for many at a time: calls would cost more."""
    for start in range(0, len(raws), _LINES_AT_A_TIME):
        cut = (raw[:_SHAPE_CHARACTERS] for raw in raws[start : start + _LINES_AT_A_TIME])
        yield from "\n".join(cut).translate(_DIGITS).split("\n")


def strip_prefix(line: str) -> str:
    """A line without the prefixes of syslog, journal, compose, llama.cpp's router and the kernel's clock."""
    if _ANY_PREFIX.match(line) is None:
        return line
    for pattern in _PREFIXES:
        match = pattern.match(line)
        if match is not None:
            line = line[match.end() :]
    return line
