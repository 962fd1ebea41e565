"""Every fact of a stack as a row: its name, what was read, where."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from bringup.reading import NOT_LOOKED, Absent, Known, Unreadable
from bringup.records import dataclass, fields, is_dataclass
from bringup.stack.stack import Stack


class Seen(Enum):
    """How a look came out."""

    KNOWN = "known"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Fact:
    """One reading.

    Attributes:
        layer: the part of the stack that it belongs to.
        name: path of fields, as `cards[0].memory`.
        seen: how the look came out.
        value: of a known one: a plain value, or a dataclass or tuple of such; `None` otherwise.
        source: the path or the command.
        why: of an unreadable one: what stood in the way.
    """

    layer: str
    name: str
    seen: Seen
    value: object
    source: str
    why: str = ""


def list_facts(stack: Stack) -> tuple[Fact, ...]:
    """All readings that somebody took, layer by layer; readings within a value are rows of their own."""
    return tuple(
        fact for layer in fields(stack) for fact in _walk(layer.name, "", getattr(stack, layer.name), "")
    )


def is_plain(value: object) -> bool:
    """Whether a value is shown as one: no dataclass, or one that knows how it is written (a version)."""
    return not is_dataclass(value) or type(value).__str__ is not object.__str__


def plain(value: object) -> str | list[str]:
    """A known value as words that stay the same as long as it does; the items of a tuple apart."""
    if isinstance(value, tuple) and not is_plain_pair(value):
        return [_words(item) for item in value]
    return _words(value)


def is_plain_pair(value: tuple[object, ...]) -> bool:
    """Whether a tuple is a number with parts (a version, a compute capability) and no list of things."""
    return bool(value) and len(value) <= 3 and all(type(part) is int for part in value)


def _words(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (Known, Absent, Unreadable)):
        return _words(value.value) if isinstance(value, Known) else type(value).__name__.lower()
    if isinstance(value, tuple):
        separator = "." if is_plain_pair(value) else ", "
        return separator.join(_words(item) for item in value)
    if is_dataclass(value) and not is_plain(value):
        return ", ".join(f"{field.name} {_words(getattr(value, field.name))}" for field in fields(value))
    return str(value)


def _walk(layer: str, name: str, value: object, source: str) -> Iterator[Fact]:
    if value is NOT_LOOKED:
        return
    if isinstance(value, Absent):
        yield Fact(layer, name, Seen.ABSENT, None, value.source)
    elif isinstance(value, Unreadable):
        yield Fact(layer, name, Seen.UNREADABLE, None, value.source, value.why)
    elif isinstance(value, Known) and _holds_readings(value.value):
        yield from _walk_parts(layer, name, value.value, value.source)
    elif isinstance(value, Known):
        yield Fact(layer, name, Seen.KNOWN, value.value, value.source)
    elif _holds_readings(value):
        yield from _walk_parts(layer, name, value, source)
    elif source:
        yield Fact(layer, name, Seen.KNOWN, value, source)


def _walk_parts(layer: str, name: str, value: object, source: str) -> Iterator[Fact]:
    """The fields of a dataclass, or the items of a tuple; a pair whose first part is a word goes by that."""
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
                yield from _walk(layer, f"{name}[{item[0]}]", item[1], source)
            else:
                yield from _walk(layer, f"{name}[{number}]", item, source)
    elif is_dataclass(value):
        for field in fields(value):
            inside = f"{name}.{field.name}" if name else field.name
            yield from _walk(layer, inside, getattr(value, field.name), source)


def _holds_readings(value: object) -> bool:
    """Whether a value has readings inside, so that its parts have sources of their own."""
    if isinstance(value, (Known, Absent, Unreadable)):
        return True
    if isinstance(value, tuple):
        return any(_holds_readings(item) for item in value)
    if is_dataclass(value) and not is_plain(value):
        return any(_holds_readings(getattr(value, field.name)) for field in fields(value))
    return False
