"""A machine's state as parts by name: stored as differences, put together again for any moment. Pure.

A part is a fact (`fact`, layer, name) or the answer to a look (`look`, kind, what was asked); its value is
plain JSON. A difference holds the parts that are new or changed, the names of those that are gone, and for
each changed part a mark: a keyed hash of what it was before redaction, by which the next difference is found
without redacting everything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bringup.records import dataclass

SEPARATOR: Final = "\t"
FACT: Final = "fact"
LOOK: Final = "look"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A machine at one moment.

    Attributes:
        parts: value by name.
        marks: for each part, by the keyed hash of its name before redaction: its own mark, and its name.
    """

    parts: Mapping[str, Any]
    marks: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What leads from one snapshot to the next; from nothing where `is_whole`."""

    is_whole: bool
    parts: Mapping[str, Any]
    gone: tuple[str, ...]
    marks: Mapping[str, tuple[str, str]]
    marks_gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartChange:
    """One part that differs; `None` is not there."""

    name: str
    old: Any
    new: Any


def part_name(*words: str) -> str:
    """The name of a part."""
    return SEPARATOR.join(words)


def apply(before: Snapshot | None, difference: Difference) -> Snapshot:
    """The snapshot after a difference.

    Raises:
        ValueError: the difference needs a snapshot before it and there is none.
    """
    if difference.is_whole:
        return Snapshot(dict(difference.parts), dict(difference.marks))
    if before is None:
        raise ValueError("the whole state that this difference starts from is not there")
    parts = {name: value for name, value in before.parts.items() if name not in set(difference.gone)}
    marks = {key: mark for key, mark in before.marks.items() if key not in set(difference.marks_gone)}
    return Snapshot(parts | dict(difference.parts), marks | dict(difference.marks))


def fold(differences: Iterable[Difference]) -> Snapshot | None:
    """The snapshot after all of them in order; what stands before the last whole one is not needed."""
    snapshot: Snapshot | None = None
    for difference in differences:
        snapshot = apply(snapshot, difference)
    return snapshot


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[PartChange, ...]:
    """Parts that differ, by name."""
    names = sorted(before.keys() | after.keys())
    changes = (PartChange(name, before.get(name), after.get(name)) for name in names)
    return tuple(change for change in changes if change.old != change.new)


def to_data(difference: Difference) -> dict[str, Any]:
    """As plain JSON values."""
    return {
        "whole": difference.is_whole,
        "parts": dict(difference.parts),
        "gone": list(difference.gone),
        "marks": {key: list(mark) for key, mark in difference.marks.items()},
        "marks_gone": list(difference.marks_gone),
    }


def from_data(data: Mapping[str, Any]) -> Difference:
    """What `to_data` gave.

    Raises:
        ValueError: it is nothing of the kind.
    """
    try:
        return Difference(
            bool(data["whole"]),
            dict(data["parts"]),
            tuple(map(str, data["gone"])),
            {str(key): (str(mark[0]), str(mark[1])) for key, mark in data["marks"].items()},
            tuple(map(str, data["marks_gone"])),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as problem:
        raise ValueError(f"no difference of two states: {problem}") from problem
