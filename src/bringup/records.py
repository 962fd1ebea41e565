"""`dataclass` as the standard library has it, with slotted classes made in a fifth of the time.

A plan or a whole check of a machine imports over a hundred small records. `dataclasses.dataclass` compiles
six methods for each and looks at each field in many ways: a quarter of the command's time. Here nothing is
compiled; the methods are ordinary functions, about as quick, and what only the functions of `dataclasses` ask
for is made when one of them first asks. To a type checker it is the standard decorator itself.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

T = TypeVar("T")
Methods = dict[str, object]
Columns = tuple[dataclasses.Field[Any], ...]

_COLUMNS = "__record_columns__"
_OF_THE_CLASS = ("ClassVar", "typing.ClassVar")
_NO_COLUMN = ("InitVar", "dataclasses.InitVar", "KW_ONLY", "dataclasses.KW_ONLY")


def _quick(cls: type[T], *, is_frozen: bool) -> type[T]:
    """A slotted dataclass: `fields`, `replace`, `asdict`, patterns, copies and pickles work as ever.

    Three things differ: `__init__` shows no signature, an ordinary subclass of a frozen one is frozen too,
    and fields that are given by name only are refused.
    """
    columns = _columns(cls)
    names = tuple(column.name for column in columns)
    held = {name for base in cls.__mro__[1:] for name in vars(base).get("__slots__", ())}
    without = {*names, "__dict__", "__weakref__"}
    body = {name: value for name, value in vars(cls).items() if name not in without}
    own = set(body)
    body |= {name: value for name, value in _methods(columns, is_frozen=is_frozen).items() if name not in own}
    body |= {name: _Later(cls, name, is_frozen=is_frozen) for name in _Later.NAMES}
    body |= {_COLUMNS: columns, "__match_args__": tuple(column.name for column in columns if column.init)}
    body |= {"__slots__": tuple(name for name in names if name not in held), "__qualname__": cls.__qualname__}
    kind: Any = type(cls)
    made = kind(cls.__name__, cls.__bases__, body)
    if "__init__" not in own:
        made.__init__ = _init(made, columns)
    result: type[T] = made
    return result


class _Later:
    """What `dataclasses` keeps of a class: made by `dataclasses` when one of its functions asks for it."""

    NAMES = ("__dataclass_fields__", "__dataclass_params__")

    def __init__(self, cls: type, name: str, *, is_frozen: bool) -> None:
        self._cls, self._name, self._is_frozen = cls, name, is_frozen

    def __get__(self, record: object, owner: type) -> object:
        """Made of the class as it was written, which nobody else has a use for."""
        if isinstance(vars(self._cls).get(self._name, self), _Later):
            dataclasses.dataclass(init=False, repr=False, eq=False, frozen=self._is_frozen)(self._cls)
        return vars(self._cls)[self._name]


def _columns(cls: type) -> Columns:
    """The fields of a class, those of its bases first, as `dataclasses` finds them.

    Raises:
        TypeError: one that only `dataclasses.dataclass` can make.
        ValueError: a default that all records would share and could change.
    """
    found: dict[str, dataclasses.Field[Any]] = {}
    for base in cls.__mro__[-2:0:-1]:
        inherited = vars(base).get(_COLUMNS)
        if inherited is None and dataclasses.is_dataclass(base):
            inherited = dataclasses.fields(base)
        found |= {column.name: column for column in inherited or ()}
    given = vars(cls)
    for name, kind in inspect.get_annotations(cls).items():
        column = given.get(name, dataclasses.MISSING)
        if not isinstance(column, dataclasses.Field):
            column = dataclasses.field(default=column)
        column.name, column.type = name, kind
        if _is_column(cls, column):
            found[name] = column
    return tuple(found.values())


def _is_column(cls: type, column: dataclasses.Field[Any]) -> bool:
    """Whether each record has it; a `ClassVar` belongs to the class."""
    kind = column.type if isinstance(column.type, str) else str(column.type)
    if kind.startswith(_OF_THE_CLASS):
        return False
    if column.kw_only is True or kind.startswith(_NO_COLUMN):
        raise TypeError(f"{cls.__qualname__}.{column.name}: such a field needs dataclasses.dataclass")
    if column.default.__class__.__hash__ is None:
        raise ValueError(f"mutable default of {cls.__qualname__}.{column.name}: give a default_factory")
    return True


def _methods(columns: Columns, *, is_frozen: bool) -> Methods:
    """All methods but `__init__`, which needs the slots."""
    names = [column.name for column in columns if column.compare]
    compared = _values(names)

    def equals(record: object, other: object) -> object:
        if other.__class__ is not record.__class__:
            return NotImplemented
        return compared(record) == compared(other)

    show = recursive_repr()(_show)
    methods: Methods = {"__repr__": show, "__eq__": equals, "__hash__": None, "__replace__": replace}
    if not is_frozen:
        return methods
    hashed = [column.name for column in columns if (column.compare if column.hash is None else column.hash)]
    of_hashed = compared if hashed == names else _values(hashed)
    methods["__hash__"] = lambda record: hash(of_hashed(record))
    methods |= {"__setattr__": _refuse_change, "__delattr__": _refuse_removal}
    # What `copy` and `pickle` ask of a class that has slots and refuses changes.
    return methods | {"__getstate__": _get_state, "__setstate__": _set_state}


def _init(cls: type, columns: Columns) -> Callable[..., None]:
    """What fills the slots, from arguments by place, by name and by default."""
    asked = tuple(column for column in columns if column.init)
    setters = [getattr(cls, column.name).__set__ for column in asked]
    count = len(asked)
    complete = _completion(f"{cls.__qualname__}.__init__()", asked)
    inner = [
        (getattr(cls, column.name).__set__, column)
        for column in columns
        if not (column.init or _must_be_set(column))
    ]
    finish: Callable[[object], None] | None = getattr(cls, "__post_init__", None)

    def fill(record: object, /, *values: object, **named: object) -> None:
        if named or len(values) != count:
            values = complete(values, named)
        for setter, value in zip(setters, values, strict=True):
            setter(record, value)
        for setter, column in inner:
            setter(record, _default(column))
        if finish is not None:
            finish(record)

    return fill


def _must_be_set(column: dataclasses.Field[Any]) -> bool:
    """Whether it has no default."""
    return column.default is dataclasses.MISSING and column.default_factory is dataclasses.MISSING


def _default(column: dataclasses.Field[Any]) -> object:
    """The value of a field that nobody gives, anew for each record where a factory makes it."""
    return column.default if column.default_factory is dataclasses.MISSING else column.default_factory()


def _completion(call: str, asked: Columns) -> Callable[[tuple[object, ...], Methods], tuple[object, ...]]:
    """What finds a value for each field; wrong arguments are refused in Python's own words."""
    names = tuple(column.name for column in asked)
    defaults = {column.name: column for column in asked if not _must_be_set(column)}
    given = names[: len(names) - len(defaults)]
    if any(name in defaults for name in given):
        late = next(name for name in names[::-1] if name not in defaults)
        raise TypeError(f"non-default argument {late!r} follows default argument")
    plain = {name: column.default for name, column in defaults.items()}

    def complete(values: tuple[object, ...], named: Methods) -> tuple[object, ...]:
        if len(values) > len(names):
            raise TypeError(
                f"{call} takes {len(names) + 1} positional arguments but {len(values) + 1} were given"
            )
        result = list(values)
        for name in names[len(values) :]:
            if name in named:
                result.append(named.pop(name))
            elif name not in defaults:
                raise TypeError(f"{call} missing 1 required positional argument: {name!r}")
            elif (default := plain[name]) is not dataclasses.MISSING:
                result.append(default)
            else:
                result.append(_default(defaults[name]))
        for name in named:
            kind = "multiple values for argument" if name in names else "an unexpected keyword argument"
            raise TypeError(f"{call} got {kind} {name!r}")
        return tuple(result)

    return complete


def _show(record: object) -> str:
    shown = (column.name for column in _columns_of(record) if column.repr)
    values = ", ".join(f"{name}={getattr(record, name)!r}" for name in shown)
    return f"{type(record).__qualname__}({values})"


def _refuse_change(_record: object, name: str, _value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_removal(_record: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _columns_of(record: object) -> Columns:
    columns: Columns = getattr(type(record), _COLUMNS)
    return columns


def _get_state(record: object) -> list[object]:
    return [getattr(record, column.name) for column in _columns_of(record)]


def _set_state(record: object, state: list[object]) -> None:
    for column, value in zip(_columns_of(record), state, strict=True):
        object.__setattr__(record, column.name, value)


def _values(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    """What reads some attributes as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import fields as fields
    from dataclasses import is_dataclass as is_dataclass
    from dataclasses import replace as replace
else:

    def dataclass(cls: type[T] | None = None, /, **options: bool) -> object:
        """The standard decorator; with `slots=True`, `frozen=True` beside it or not, the quick way."""
        if cls is None and options in ({"frozen": True, "slots": True}, {"slots": True}):
            return lambda cls: _quick(cls, is_frozen="frozen" in options)
        return dataclasses.dataclass(cls, **options)

    def fields(record: object) -> Columns:
        """The fields of a record or of its class."""
        kind = record if isinstance(record, type) else type(record)
        return vars(kind).get(_COLUMNS) or dataclasses.fields(record)

    def is_dataclass(record: object) -> bool:
        """Whether something is a record, or the class of one."""
        kind = record if isinstance(record, type) else type(record)
        return _COLUMNS in vars(kind) or dataclasses.is_dataclass(kind)

    def replace(record: object, /, **changes: object) -> object:
        """A copy of a record in which some fields have other values."""
        kind = type(record)
        if _COLUMNS not in vars(kind):
            return dataclasses.replace(record, **changes)
        values = [
            changes.pop(name) if name in changes else getattr(record, name) for name in kind.__match_args__
        ]
        return kind(*values, **changes)
