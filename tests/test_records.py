"""The quick `dataclass` does what the standard one does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, astuple, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from bringup import records

T = TypeVar("T")
Decorator = Callable[[type], Any]
STANDARD: Decorator = dataclass(frozen=True, slots=True)
QUICK: Decorator = records.dataclass(frozen=True, slots=True)


def make(decorate: Decorator) -> Any:
    """A record with every kind of field that the program has."""

    class Disk:
        """A disk."""

        kinds: ClassVar[int] = 3
        name: str
        size_bytes: int = 0
        tags: list[str] = field(default_factory=list)
        secret: str = field(default="", repr=False)
        seen_at: float = field(default=0.0, compare=False)

        @property
        def shown(self) -> str:
            """Its name in capitals."""
            return self.name.upper()

    return decorate(Disk)


def make_one(decorate: Decorator) -> Any:
    """A record of one value, generic as a reading is."""

    class Known(Generic[T]):
        """A value."""

        value: T

    return decorate(Known)


@records.dataclass(frozen=True, slots=True)
class Pair:
    """Found by its name when it is unpickled."""

    left: int
    right: tuple[int, ...] = ()


BOTH = pytest.mark.parametrize("decorate", [STANDARD, QUICK], ids=["standard", "quick"])


@BOTH
def test_a_record_is_made_shown_and_taken_apart(decorate: Decorator) -> None:
    kind = make(decorate)
    disk: Any = kind("sda", tags=["boot"], secret="s")
    names = ("name", "size_bytes", "tags", "secret", "seen_at")
    assert repr(disk) == "make.<locals>.Disk(name='sda', size_bytes=0, tags=['boot'], seen_at=0.0)"
    assert is_dataclass(make(decorate))
    assert tuple(column.name for column in fields(disk)) == tuple(asdict(disk)) == names
    assert astuple(disk) == ("sda", 0, ["boot"], "s", 0.0)
    assert replace(disk, size_bytes=4).size_bytes == 4 and disk.size_bytes == 0
    assert disk.shown == "SDA" and kind.kinds == 3
    assert kind.__match_args__ == kind.__slots__ == names and not hasattr(disk, "__dict__")


@BOTH
def test_a_factory_makes_a_value_for_each(decorate: Decorator) -> None:
    kind = make(decorate)
    assert kind("a").tags == [] and kind("a").tags is not kind("a").tags


@BOTH
def test_records_are_compared_by_their_values(decorate: Decorator) -> None:
    kind, one = make(decorate), make_one(decorate)
    assert kind("a", seen_at=1.0) == kind("a", seen_at=2.0) != kind("b")
    assert kind("a") != ("a", 0, [], "", 0.0)
    assert hash(one(1)) == hash(one(1)) and len({one(1), one(1), one(2)}) == 2
    assert one(value := float("nan")) == one(value)
    with pytest.raises(TypeError, match="unhashable"):
        hash(kind("a"))


@BOTH
def test_a_record_refuses_changes(decorate: Decorator) -> None:
    disk = make(decorate)("sda")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
        disk.name = "sdb"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
        del disk.name
    with pytest.raises((FrozenInstanceError, TypeError)):
        disk.other = 1


@BOTH
def test_wrong_arguments_are_named(decorate: Decorator) -> None:
    with pytest.raises(TypeError, match=r"Disk.__init__\(\) missing 1 required positional argument: 'name'"):
        make(decorate)()
    with pytest.raises(TypeError, match="unexpected keyword argument 'nmae'"):
        make(decorate)("sda", nmae="sda")
    with pytest.raises(TypeError, match="multiple values for argument 'name'"):
        make(decorate)("sda", name="sda")
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        make_one(decorate)(1, 2)


@BOTH
def test_a_default_must_not_stand_before_a_field_without_one(decorate: Decorator) -> None:
    class Wrong:
        """Wrong."""

        first: int = 0
        second: int

    with pytest.raises(TypeError, match="non-default argument 'second' follows default argument"):
        decorate(Wrong)


@BOTH
def test_methods_of_its_own_are_kept(decorate: Decorator) -> None:
    class Own:
        """With a text, a check and an order of its own."""

        value: int

        def __post_init__(self) -> None:
            if self.value < 0:
                raise ValueError("negative")

        def __repr__(self) -> str:
            return f"<{self.value}>"

    kind: Any = decorate(Own)
    assert repr(kind(3)) == "<3>"
    with pytest.raises(ValueError, match="negative"):
        kind(-1)


def test_copies_and_pickles_are_equal() -> None:
    pair = Pair(1, (2, 3))
    assert copy.copy(pair) == copy.deepcopy(pair) == pickle.loads(pickle.dumps(pair)) == pair


def test_what_it_does_not_do_is_refused_or_left_to_the_standard_one() -> None:
    class Hidden:
        """A field that no caller gives."""

        value: int = field(default=0, init=False)

    with pytest.raises(TypeError, match=r"Hidden\.value: such a field needs dataclasses\.dataclass"):
        QUICK(Hidden)

    @records.dataclass
    class Open:
        """One that may change."""

        value: int

    changed = Open(1)
    changed.value = 2
    assert changed == Open(2)


def test_a_standard_record_may_derive_from_a_quick_one() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class More(Pair):
        """A third."""

        third: int = 0

    assert More(1, (), 3) == More(1, (), 3) != Pair(1, ())
    assert repr(More(1)).endswith("More(left=1, right=(), third=0)")
