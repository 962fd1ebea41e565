"""The quick `dataclass` does what the standard one does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import (
    FrozenInstanceError,
    InitVar,
    asdict,
    astuple,
    dataclass,
    field,
    fields,
    is_dataclass,
    replace,
)
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


@BOTH
def test_a_field_that_no_caller_gives(decorate: Decorator) -> None:
    class Counted:
        """With what it works out for itself."""

        value: int
        seen: list[int] = field(default_factory=list, init=False)
        kind: str = field(default="plain", init=False)

    kind: Any = decorate(Counted)
    assert repr(kind(1)).endswith("Counted(value=1, seen=[], kind='plain')")
    assert kind(1).seen is not kind(1).seen
    assert kind.__match_args__ == ("value",)
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        kind(1, [])


@pytest.mark.parametrize(
    "decorate", [dataclass(slots=True), records.dataclass(slots=True)], ids=["std", "ours"]
)
def test_a_record_that_may_change(decorate: Decorator) -> None:
    disk = make(decorate)("sda")
    disk.size_bytes = 5
    del disk.secret
    assert (disk.size_bytes, hasattr(disk, "secret"), hasattr(disk, "__dict__")) == (5, False, False)
    assert make_one(decorate)([1]) != make_one(decorate)([1])  # of two classes
    with pytest.raises(TypeError, match="unhashable"):
        hash(make_one(decorate)(1))
    with pytest.raises(AttributeError):
        disk.other = 1


@pytest.mark.parametrize("given", ["KW_ONLY", "InitVar[int]", InitVar[int], field(kw_only=True)])
def test_what_it_does_not_do_is_refused(given: object) -> None:
    body: dict[str, object] = {
        "__annotations__": {"value": "int" if isinstance(given, dataclasses.Field) else given}
    }
    if isinstance(given, dataclasses.Field):
        body["value"] = given
    with pytest.raises(TypeError, match=r"Odd\.value: such a field needs dataclasses\.dataclass"):
        QUICK(type("Odd", (), body))


@BOTH
def test_a_default_that_all_records_would_share_is_refused(decorate: Decorator) -> None:
    class Shared:
        """A list for all."""

        value: list[int] = []  # noqa: RUF012 - the mistake

    with pytest.raises(ValueError, match="mutable default"):
        decorate(Shared)


def test_other_forms_are_left_to_the_standard_one() -> None:
    @records.dataclass
    class Open:
        """One that may change."""

        value: int

    changed = Open(1)
    changed.value = 2
    assert changed == Open(2)
    assert records.replace(changed, value=3) == Open(3)
    assert [column.name for column in records.fields(changed)] == ["value"]
    assert records.is_dataclass(changed) and not records.is_dataclass(3)


def test_its_own_functions_say_what_the_standard_ones_say() -> None:
    pair = Pair(1, (2,))
    for one in (pair, Pair):
        mine, standard = records.fields(one), dataclasses.fields(one)
        for attribute in ("name", "type", "default", "default_factory", "init", "repr", "hash", "compare"):
            assert [getattr(column, attribute) for column in mine] == [
                getattr(column, attribute) for column in standard
            ]
        assert records.is_dataclass(one)
    assert records.replace(pair, right=()) == dataclasses.replace(pair, right=()) == Pair(1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'middle'"):
        records.replace(pair, **{"middle": 3})


def test_a_record_in_itself_is_shown() -> None:
    one: Any = make_one(QUICK)([])
    one.value.append(one)
    assert repr(one) == "make_one.<locals>.Known(value=[...])"


@pytest.mark.parametrize("base", [STANDARD, QUICK], ids=["on the standard", "on the quick"])
@pytest.mark.parametrize("decorate", [STANDARD, QUICK], ids=["standard", "quick"])
def test_a_record_may_derive_from_one_of_the_other_kind(base: Decorator, decorate: Decorator) -> None:
    parent = make(base)

    class More(parent):  # type: ignore[misc, valid-type]
        """One field more, and another default."""

        size_bytes: int = 7
        third: int = 0

    kind: Any = decorate(More)
    more = kind("sda", third=3)
    assert [column.name for column in fields(kind)][-2:] == ["seen_at", "third"]
    assert (more.size_bytes, more.third, kind.__slots__) == (7, 3, ("third",))
    assert more == kind("sda", third=3) != kind("sda")
    assert replace(more, third=4) == records.replace(more, third=4) == kind("sda", third=4)
    assert copy.copy(more) == more != parent("sda", 7)


def test_an_ordinary_subclass_works_as_its_base() -> None:
    class Twin(Pair):
        """A pair of another name."""

    twin = Twin(1, (2,))
    assert records.replace(twin, left=5) == replace(twin, left=5) == Twin(5, (2,))
    assert repr(twin).endswith("Twin(left=1, right=(2,))")
    with pytest.raises(FrozenInstanceError):
        twin.left = 2  # type: ignore[misc]
