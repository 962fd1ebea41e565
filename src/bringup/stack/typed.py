"""Commands that somebody typed, found in pasted text with what they printed."""

from __future__ import annotations

import re
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass
from bringup.stack.lines import Line, Lines

_PROMPT: Final = regex(
    r"^\s{0,8}(?:\[[^\]\s]{1,60} [^\]]{0,60}\]|[\w.-]{1,40}@[\w.-]{1,60}[^$#%>\u276f]{0,80}"
    r"|\([\w. -]{1,40}\) ?|~)?"
    r"\s{0,2}[$#%\u276f\u279c][ \t]{0,4}(?:[$#] )?(?P<command>.{0,400})$"
)

_MARKS: Final = ("$", "#", "%", "\u276f", "\u279c")


@dataclass(frozen=True, slots=True)
class Typed:
    """One command and the lines up to the next prompt.

    Attributes:
        line: where it was typed.
        command: the command without prompt, `sudo` and leading path.
        output: what stood below it, blank lines left out.
    """

    line: Line
    command: str
    output: tuple[Line, ...]


def find_typed(lines: Lines) -> tuple[Typed, ...]:
    """Every command typed at a prompt, in order.

    Raw line: `user@host:~$ lspci | grep -i nvidia`. A bare prompt ends the output of the command above it; a
    command at the end of the text has whatever follows it.
    """
    return lines.once(_find_typed)


def _find_typed(lines: Lines) -> tuple[Typed, ...]:
    found: list[tuple[Line, str, list[Line]]] = []
    marks = [mark for mark in _MARKS if lines.has(mark)]
    for line in lines.lines if marks else ():
        has_mark = any(mark in line.text[:200] for mark in marks)
        match = _PROMPT.match(line.text) if has_mark else None
        if match is not None:
            found.append((line, _bare(match["command"]), []))
        elif found:
            found[-1][2].append(line)
    return tuple(Typed(line, command, tuple(output)) for line, command, output in found if command)


def _bare(command: str) -> str:
    command = command.strip()
    while command.startswith(("sudo ", "# ", "$ ")):
        command = command.split(" ", 1)[1].lstrip()
    return re.sub(r"^/(?:[\w.-]{1,40}/){1,8}", "", command)
