"""The facts of a machine, each with its source and the time of the look, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from bringup.actions.diagnosis.facts import Fact, Seen, is_plain
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import format_bytes, format_duration, truncate
from bringup.records import fields, is_dataclass

Line = tuple[str | Styled, ...]
_VALUE_CHARACTERS: Final = 300
_LONG_TEXT_CHARACTERS: Final = 200
_ITEMS: Final = 12


def render_facts(facts: tuple[Fact, ...], took_s: Mapping[str, float]) -> list[Line]:
    """One line a fact under its layer: name, value, then source and time."""
    lines: list[Line] = []
    layer = ""
    for fact in facts:
        if fact.layer != layer:
            layer = fact.layer
            lines += [("",), (Styled(layer, Style.BOLD),)]
        lines.append(_line(fact, took_s.get(fact.source)))
    return lines[1:]


def facts_json(facts: tuple[Fact, ...], took_s: Mapping[str, float]) -> list[dict[str, object]]:
    """The same for programs: values as words, the time of a look in seconds where it was measured."""
    return [
        {
            "layer": fact.layer,
            "name": fact.name,
            "seen": fact.seen.value,
            "value": _words(fact) if fact.seen is Seen.KNOWN else None,
            "source": fact.source,
            "why": fact.why,
            "took_s": round(took_s[fact.source], 6) if fact.source in took_s else None,
        }
        for fact in facts
    ]


def _line(fact: Fact, took_s: float | None) -> Line:
    if fact.seen is Seen.KNOWN:
        value = Styled(_words(fact), Style.PLAIN)
    elif fact.seen is Seen.ABSENT:
        value = Styled("absent", Style.DIM)
    else:
        value = Styled(f"could not be seen: {fact.why}", Style.YELLOW)
    took = "" if took_s is None else f", {_short(took_s)}"
    source = truncate(clean(fact.source, keep_newlines=False), 100)
    return (f"  {fact.name}: ", value, Styled(f"  [{source}{took}]", Style.DIM))


def _short(took_s: float) -> str:
    return f"{took_s * 1000:.1f} ms" if took_s < 1 else format_duration(took_s)


def _words(fact: Fact) -> str:
    return truncate(clean(words(fact.value, fact.name), keep_newlines=False), _VALUE_CHARACTERS)


def fact_title(fact: Fact) -> str:
    """What a reader calls it."""
    return f"{fact.layer} {fact.name}".replace("_", " ")


def words(value: object, name: str) -> str:
    """A value as words; its name tells bytes from other numbers. What is known to be empty is `none`.

    Of a value of several parts those are left out that hold nothing.
    """
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_bytes"):
        return format_bytes(value)
    if isinstance(value, int) and name.rpartition(".")[2] == "mode":
        return f"{value:04o}"
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT_CHARACTERS else f"a text of {len(value):,} characters"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        shown = "; ".join(words(item, name) for item in value[:_ITEMS])
        return f"{shown}; and {len(value) - _ITEMS} more" if len(value) > _ITEMS else shown or "none"
    if is_dataclass(value) and not is_plain(value):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        told = {key: one for key, one in held.items() if one is not None and one not in ("", ())}
        parts = (f"{key.replace('_', ' ')} {words(one, key)}" for key, one in told.items())
        return ", ".join(parts) or "none"
    return str(value)
