"""One attempt to look: known, absent or unreadable.

A failed look is not an absent thing, so a reading is never `None`, `0` or an empty string for
"could not look". Each reading keeps its source: the path or the command that was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from bringup.errors import CannotTell
from bringup.records import dataclass

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """The look succeeded and this is what is there."""

    value: T
    source: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The look succeeded and the thing is surely not there."""

    source: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The look failed: the thing may be there or not. `why` says what stood in the way."""

    source: str
    why: str


Reading: TypeAlias = Known[T] | Absent | Unreadable


def need(reading: Reading[T]) -> T | None:
    """The value, or `None` for a sure absence.

    Raises:
        CannotTell: the reading is unreadable.
    """
    if isinstance(reading, Known):
        return reading.value
    if isinstance(reading, Absent):
        return None
    raise CannotTell(f"could not look at {reading.source}", context=(reading.why,))


def convert(reading: Reading[T], parse: Callable[[T], U]) -> Reading[U]:
    """Apply a pure parser to a known value; a `ValueError` of the parser makes it unreadable.

    So does what a stranger's text can bring about by its size alone: a number beyond all bounds, JSON nested
    a thousand deep.
    """
    if not isinstance(reading, Known):
        return reading
    try:
        return Known(parse(reading.value), reading.source)
    except (ValueError, OverflowError, RecursionError) as problem:
        return Unreadable(reading.source, f"not in the expected form: {problem}")


NOT_LOOKED = Unreadable("not looked at", "nobody looked")
"""The reading of everything that nobody has looked at."""


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - whatever JSON somebody wrote
    """The JSON in a text.

    Raises:
        ValueError: it is none, or is nested without end (for which Python has an error of another kind).
    """
    import json  # a quick answer reads none

    try:
        return json.loads(text)  # noqa: TID251 - the one place
    except RecursionError as problem:
        raise ValueError("JSON that is nested without end") from problem
