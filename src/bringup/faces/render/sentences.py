"""Sentences broken into a terminal's lines between words, never within a command that a person may copy."""

from __future__ import annotations

from typing import Final

from bringup.patterns import regex

_COMMAND: Final = regex(r"`[^`]*`|\b(?:bringup|sudo|git|kill|rm) (?:(?!\. [A-Za-z])[^,;:()])*")
"""What a person copies: the end of a line in it would be pasted too."""
_JOINED: Final = "\x00"
_LEAST_COLUMNS: Final = 20


def lay_out(text: str, taken_columns: int, width_columns: int | None, *, indent: str = "  ") -> str:
    """A text behind what takes columns of its first line already; `None` as width breaks nothing.

    Further lines of a text stay below its first, so that none can pass for a line of ours.
    """
    lines = text.split("\n")
    if width_columns is not None and width_columns - taken_columns >= _LEAST_COLUMNS:
        first, *rest = lines
        lines = [_wrapped(first, taken_columns, width_columns, indent)]
        lines += [_wrapped(line, len(indent), width_columns, indent) for line in rest]
    return f"\n{indent}".join(lines)


def _wrapped(line: str, taken_columns: int, width_columns: int, indent: str) -> str:
    if taken_columns + len(line) <= width_columns:
        return line
    import textwrap

    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _JOINED), line)
    rows = textwrap.wrap(
        whole,
        width_columns,
        initial_indent="x" * taken_columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(rows)[taken_columns:].replace(_JOINED, " ")
