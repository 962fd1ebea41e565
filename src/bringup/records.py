"""`dataclass` as the standard library has it, with frozen slotted classes made in less time.

A whole check of a machine imports over a hundred small records, and `dataclasses.dataclass` compiles six
methods for each: a quarter of the command's time. Here nothing is compiled; the methods are ordinary
functions, about as quick. To a type checker it is the standard decorator itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

T = TypeVar("T")
Methods = dict[str, Callable[..., object]]
Columns = tuple[dataclasses.Field[Any], ...]


def _fast(cls: type[T]) -> type[T]:
    """A frozen slotted dataclass: `fields`, `replace`, `asdict`, patterns, copies and pickles work as ever.

    Three things differ: `__init__` shows no signature, an ordinary subclass is frozen too, and fields with
    `init=False` or `kw_only=True` are refused.
    """
    own = set(vars(cls))
    made: Any = dataclasses.dataclass(slots=True, init=False, repr=False, eq=False)(cls)
    made.__dataclass_params__.frozen = True
    columns = dataclasses.fields(made)
    guards: Methods = {"__setattr__": _refuse_change, "__delattr__": _refuse_removal}
    methods = {"__init__": _init(made, columns), **guards, **_looks(columns), **_state(columns)}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    result: type[T] = made
    return result


def _init(cls: type, columns: Columns) -> Callable[..., None]:
    """What fills the slots, from arguments by place, by name and by default."""
    for column, following in zip(columns, (*columns[1:], None), strict=True):
        if not column.init or column.kw_only:
            raise TypeError(f"{cls.__qualname__}.{column.name}: such a field needs dataclasses.dataclass")
        if following is not None and _must_be_given(following) and not _must_be_given(column):
            raise TypeError(f"non-default argument {following.name!r} follows default argument")
    setters = [getattr(cls, column.name).__set__ for column in columns]
    count = len(columns)
    finish: Callable[[object], None] | None = getattr(cls, "__post_init__", None)

    def fill(record: object, /, *values: object, **named: object) -> None:
        if named or len(values) != count:
            values = _complete(cls, columns, values, named)
        for setter, value in zip(setters, values, strict=True):
            setter(record, value)
        if finish is not None:
            finish(record)

    return fill


def _must_be_given(column: dataclasses.Field[Any]) -> bool:
    """Whether a caller must give it: it has no default."""
    return column.default is dataclasses.MISSING and column.default_factory is dataclasses.MISSING


def _complete(
    cls: type, columns: Columns, values: tuple[object, ...], named: dict[str, object]
) -> tuple[object, ...]:
    """A value for each field; wrong arguments are refused in Python's own words."""
    call = f"{cls.__qualname__}.__init__()"
    if len(values) > len(columns):
        raise TypeError(
            f"{call} takes {len(columns) + 1} positional arguments but {len(values) + 1} were given"
        )
    result = list(values)
    for column in columns[len(values) :]:
        if column.name in named:
            result.append(named.pop(column.name))
        elif column.default is not dataclasses.MISSING:
            result.append(column.default)
        elif column.default_factory is not dataclasses.MISSING:
            result.append(column.default_factory())
        else:
            raise TypeError(f"{call} missing 1 required positional argument: {column.name!r}")
    for name in named:
        twice = any(column.name == name for column in columns)
        kind = "multiple values for argument" if twice else "an unexpected keyword argument"
        raise TypeError(f"{call} got {kind} {name!r}")
    return tuple(result)


def _looks(columns: Columns) -> Methods:
    """How a record is shown, compared and hashed."""
    shown = [column.name for column in columns if column.repr]
    compared = _values([column.name for column in columns if column.compare])
    hashed = _values(
        [column.name for column in columns if (column.compare if column.hash is None else column.hash)]
    )

    @recursive_repr()
    def show(record: object) -> str:
        values = ", ".join(f"{name}={getattr(record, name)!r}" for name in shown)
        return f"{type(record).__qualname__}({values})"

    def equals(record: object, other: object) -> object:
        if other.__class__ is not record.__class__:
            return NotImplemented
        return compared(record) == compared(other)

    def make_hash(record: object) -> int:
        return hash(hashed(record))

    return {"__repr__": show, "__eq__": equals, "__hash__": make_hash}


def _refuse_change(_record: object, name: str, _value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_removal(_record: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(columns: Columns) -> Methods:
    """What `copy` and `pickle` ask of a class that has slots and refuses changes."""
    names = [column.name for column in columns]

    def get_state(record: object) -> list[object]:
        return [getattr(record, name) for name in names]

    def set_state(record: object, state: list[object]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(record, name, value)

    return {"__getstate__": get_state, "__setstate__": set_state}


def _values(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    """What reads some attributes as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls: type[T] | None = None, /, **options: bool) -> object:
        """The standard decorator; with `frozen=True, slots=True` and no more, the quick way."""
        if cls is None and options == {"frozen": True, "slots": True}:
            return _fast
        return dataclasses.dataclass(cls, **options)
