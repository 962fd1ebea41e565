"""What differs between two looks, in words: of a record only what differs, of a lost card one line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from bringup.records import dataclass

NOT_LOOKED_AT: Final = "not looked at"
_FOLD_FROM: Final = 3
_NAMED: Final = 2
_LONGEST: Final = 160

Change = tuple[str, Any, Any]
"""Name of a fact, what was seen of it before (plain JSON) and after."""


@dataclass(frozen=True, slots=True)
class ToldChange:
    """A fact that differs, or several of one thing that came or went together.

    Attributes:
        name: the fact, or what the facts are parts of.
        words: one line.
        new: what was seen after, as plain JSON; `None` for nothing, and for several facts.
    """

    name: str
    words: str
    new: Any


def fold_changes(changes: Sequence[Change]) -> list[ToldChange]:
    """Every change in words; parts of one thing that came or went with it are told together."""
    told = []
    for (parent, way), group in groupby(changes, key=_way):
        found = list(group)
        if way and len(found) >= _FOLD_FROM:
            told.append(ToldChange(parent, _folded_words(parent, way, found), None))
        else:
            told += [ToldChange(name, change_words(name, old, new), new) for name, old, new in found]
    return told


def _way(change: Change) -> tuple[str, str]:
    """What a fact is a part of, and whether it came or went as a whole."""
    name, old, new = change
    parent = name.rpartition(".")[0]
    if not parent or bool(old) == bool(new):
        return name, ""
    return parent, "went" if old else "came"


def _folded_words(parent: str, way: str, changes: Sequence[Change]) -> str:
    names = [name.removeprefix(f"{parent}.") for name, _, _ in changes]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    parts = f"{', '.join(names[:_NAMED])}{more}"
    return f"{parent} ({parts}): {'no longer seen' if way == 'went' else 'newly seen'}"


def change_words(name: str, old: Any, new: Any) -> str:  # noqa: ANN401 - facts as plain JSON
    """One line: `kernel loaded_driver: version 570.169 -> 570.172.08`; of a list what came and what went."""
    if old and new and isinstance(old[1], list) and isinstance(new[1], list):
        gone = [item for item in old[1] if item not in new[1]]
        come = [item for item in new[1] if item not in old[1]]
        if len(gone) == len(come) == 1:
            fields = _field_words(gone[0], come[0], is_named=True)
            if fields:
                return f"{name}: {fields}"
        words = [f"-{_short(item)}" for item in gone[:3]] + [f"+{_short(item)}" for item in come[:3]]
        more = len(gone) + len(come) - len(words)
        return f"{name}: {', '.join(words) or 'another order'}" + (f" and {more} more" if more > 0 else "")
    shown = seen_words(old), seen_words(new)
    is_seen = bool(old and new) and old[0] == new[0] == "known"
    fields = _field_words(*shown, is_named=False) if is_seen else ""
    return f"{name}: {fields or ' -> '.join(shown)}"


def _field_words(old: str, new: str, *, is_named: bool) -> str:
    """`version 570.169 -> 570.172.08`: the fields of a record that differ; empty where it is none.

    Raw text: `name nvidia, version 570.169, kernel 6.8.0-60-generic`. `is_named` puts the first field that
    stayed the same before it.
    """
    before, after = ([field.partition(" ") for field in text.split(", ")] for text in (old, new))
    if len(before) < 2 or [field[0] for field in before] != [field[0] for field in after]:
        return ""
    pairs = [(name, value, other) for (name, _, value), (_, _, other) in zip(before, after, strict=True)]
    same = [value for _, value, other in pairs if value and value == other]
    differ = [
        f"{name} {value or 'none'} -> {other or 'none'}" for name, value, other in pairs if value != other
    ]
    return _short(", ".join([*same[: int(is_named)], *differ]))


def seen_words(value: Any) -> str:  # noqa: ANN401 - a fact as plain JSON
    """What was seen of a fact, in words."""
    if not value:
        return NOT_LOOKED_AT
    seen, shown, _, why = value
    if seen != "known":
        return f"{seen} ({why})" if why else str(seen)
    return _short(", ".join(shown) if isinstance(shown, list) else str(shown)) or "none"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
