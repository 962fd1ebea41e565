"""How a paste was carried: quoted in a mail, copied from a web page, packed into JSON, cut at 80 columns.

What a program printed is the same whatever brought it here. This takes off what a carrier put around every
line, and puts together again what it took apart; the number of a line stays that of the paste.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from bringup.patterns import regex
from bringup.reading import parse_json
from bringup.stack.lines import Line, Lines

_CHARACTERS: Final = {
    **dict.fromkeys("\u00a0\u2007\u202f\u2002\u2003\u2009\u3000", " "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u200e\u200f", ""),
    **dict.fromkeys("\u2018\u2019\u201a", "'"),
    **dict.fromkeys("\u201c\u201d\u201e", '"'),
}
_ENTITIES: Final = (
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&#39;", "'"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
)
_COLOUR: Final = regex(r"(?:\x1b|\^\[|\\033|\\e|\\x1b|\\u001b|\u241b)?\[(?:\d{1,3}(?:;\d{1,3}){0,5})?m")
_COLOUR_MARKS: Final = ("^[[", "\\033[", "\\e[", "\\x1b[", "\\u001b[", "\u241b[", "[0m", "[m")

_WINDOWS_PATH: Final = regex(r"\b[A-Za-z]:\\\w")
_JSON_CHARACTERS: Final = 1_000_000
_LEAVES: Final = 200
_PIECES: Final = 2_000

_SAMPLE: Final = 400
_SHARE: Final = 0.8
_ROUNDS: Final = 6
_CLOCK: Final = r"\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?"
_DATE: Final = r"\d{4}[-/]\d{2}[-/]\d{2}"
_CARRIERS: Final = (
    regex(r"(?:>\s?){1,9}(?!\w{1,20}> )"),
    regex(r"[-*+\u2022](?: |$)"),
    regex(r"\+(?![+-])"),
    regex(
        r"(?:/?[\w.@+-]{1,60}/){0,12}(?:syslog|messages|dmesg|[\w-]{1,60}\.(?:log|txt))(?:\.\d{1,2})?:"
        r"(?:\d{1,7}:)?\s?"
    ),
    regex(
        rf"{_DATE}[T ]{_CLOCK}(?:Z|[+-]\d{{2}}:?\d{{2}})?(?: std(?:out|err) [FP])?(?:\s|$)"
        r"(?:- [\w.]{1,40} - [A-Z]{4,8} - )?(?!(?:SUBDEBUG|DEBUG|DDEBUG|INFO) )"
        r"(?!(?:install|upgrade|status|configure|trigproc|startup|remove|purge|conffile) )"
    ),
    regex(rf"\[(?:{_DATE}[T ]|\w{{3}} \w{{3}} [ \d]\d )?{_CLOCK}(?: \d{{4}})?\](?: (?!\[(?:ALPM|PACMAN))|$)"),
    regex(rf"{_CLOCK}(?:\s|$)"),
    regex(r"\[(?:build|cmake|proc|main)\](?:\s|$)"),
    regex(r"(?:#\d{1,4} )?\d{1,5}\.\d{1,3}(?: |$)"),
    regex(
        rf"(?:[^\W\d]{{2,5}}\.?|\d{{1,2}}\u6708)\s{{1,2}}\d{{1,2}} {_CLOCK} "
        r"[^\s:/]{1,80} [^\s:\[]{1,60}(?:\[\d{1,8}\])?:(?: |$)"
    ),
)
"""What a mail, a list, a diff, grep, a container, an editor, a build or a journal puts before each line.

The logs of dpkg, dnf and pacman keep their times: they say what was changed when.
"""

_NUMBERED: Final = regex(r"\s{0,6}(\d{1,6})(?:[:|]\s?|\t|\s{1,2}|$)(?![0-9a-f]{2}\.\d)")
_TERMINAL: Final = range(70, 81)
"""A text as wide as this may have been cut, in a word or between two; a wider one shows more such lines."""

_WIDTHS: Final = range(81, 251)
_CUT_LINES: Final = 3
_NO_TEXT: Final = regex(r"[|+=]\s{0,3}$|[.\-=#*_]{12}$")
_WRAPPED_LIMIT: Final = 20_000
_PARTS: Final = 4


def plain_characters(text: str) -> str:
    """Ordinary spaces and quotes instead of a web page's, no invisible characters, no colours spelled out.

    The number of lines stays.
    """
    if not text.isascii():
        for character, plain in _CHARACTERS.items():
            if character in text:
                text = text.replace(character, plain)
    if "&" in text:
        for entity, plain in _ENTITIES:
            text = text.replace(entity, plain)
    if any(mark in text for mark in _COLOUR_MARKS):
        text = _COLOUR.sub("", text)
    return text


def pieces(raw: str) -> Iterable[str]:
    r"""The lines in a line: what a JSON value holds, or a message that spells the end of a line as `\n`.

    Raw line: `{"log":"CUDA error: out of memory\n","stream":"stderr","time":"2026-03-04T05:06:07Z"}`.
    """
    if "\\" not in raw:
        return (raw,)
    if raw.lstrip()[:1] in ("{", "[", '"') and len(raw) <= _JSON_CHARACTERS:
        found = _from_json(raw)
        if found:
            return found
    plain = raw.replace('\\"', '"')
    if plain.count("\\n") < 2 or _WINDOWS_PATH.search(plain) is not None:
        return (plain,)
    return (plain, *plain.replace("\\t", "\t").split("\\n", _PIECES))


def _from_json(raw: str) -> list[str]:
    try:
        value = parse_json(raw)
    except (ValueError, RecursionError):
        return []
    if isinstance(value, dict) and isinstance(value.get("log"), str):
        return str(value["log"]).replace('\\"', '"').rstrip("\n").split("\n", _PIECES)
    found = [raw]
    for leaf in _leaves(value):
        if "\n" in leaf or '"' in leaf:
            found += leaf.split("\n", _PIECES)
    return found


def _leaves(value: object) -> Iterator[str]:
    """Text in nested lists and tables, the first few hundred."""
    waiting, given = [value], 0
    while waiting and given < _LEAVES:
        item = waiting.pop()
        if isinstance(item, str):
            given += 1
            yield item
        elif isinstance(item, dict):
            waiting += list(item.values())[:_LEAVES]
        elif isinstance(item, list):
            waiting += item[:_LEAVES]


def uncarried(lines: Lines) -> Lines:
    """Lines without what a carrier put before nearly each of them."""
    given = lines.lines
    for _ in range(_ROUNDS):
        found = _without_shared(given)
        if found is None:
            break
        given = found
    return lines if given is lines.lines else Lines(tuple(line for line in given if line.text.strip()))


def _without_shared(lines: tuple[Line, ...]) -> tuple[Line, ...] | None:
    sample = [line.text for line in lines[:_SAMPLE]]
    if not sample:
        return None
    margin = min(len(text) - len(text.lstrip()) for text in sample)
    if margin:
        return tuple(_cut(line, min(margin, len(line.text) - len(line.text.lstrip()))) for line in lines)
    for pattern in (*_CARRIERS, _NUMBERED):
        ends = [match.end() if (match := pattern.match(text)) else 0 for text in sample]
        share = sum(end > 0 for end in ends) / len(sample)
        if share >= _SHARE and (pattern is not _NUMBERED or _counts_up(sample)):
            return tuple(
                _cut(line, match.end()) if (match := pattern.match(line.text)) else line for line in lines
            )
    return None


def _cut(line: Line, length: int) -> Line:
    return Line(line.number, line.text[length:], line.source) if length else line


def _counts_up(sample: list[str]) -> bool:
    numbers = [int(match[1]) for text in sample if (match := _NUMBERED.match(text))]
    steps = [below - above for above, below in pairwise(numbers)]
    return bool(steps) and min(steps) > 0 and (len(steps) >= 3 or (numbers[0] == 1 and max(steps) <= 2))


def whole_lines(raws: list[str]) -> dict[int, list[str]]:
    """For each line that a terminal or a mail may have cut at its width, what it was, by index.

    A log of equally long lines looks the same, so these come beside what was there and replace nothing.
    """
    if not 2 <= len(raws) <= _WRAPPED_LIMIT:
        return {}
    lengths = [len(raw.rstrip()) for raw in raws]
    width = max(lengths)
    if width not in _TERMINAL and (width not in _WIDTHS or lengths.count(width) < _CUT_LINES):
        return {}
    found = ((index, _whole(raws, index, width)) for index in range(len(raws) - 1))
    return {index: wholes for index, wholes in found if wholes}


def _whole(raws: list[str], at: int, width: int) -> list[str]:
    """What the line at an index and up to three below may have been: cut in a word, or between two."""
    in_words = between = raws[at].rstrip()
    was_cut = False
    for raw, below in zip(raws[at : at + _PARTS - 1], raws[at + 1 : at + _PARTS], strict=False):
        above = raw.rstrip()
        words = below.split(None, 1)
        if not words or not above or _NO_TEXT.search(above) or len(words[0]) < width - len(above):
            break
        was_cut = True
        in_words += below.rstrip() if len(above) == width else " " + below.strip()
        between += " " + below.strip()
    if not was_cut:
        return []
    return [between] if in_words == between else [in_words, between]
