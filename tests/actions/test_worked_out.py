"""Values worked out beside a look: once each, and whatever goes wrong is told as unreadable."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bringup.actions.live.worked_out import WorkedOut
from bringup.errors import CannotTell
from bringup.reading import NOT_LOOKED, Known, Reading, Unreadable


def wait_for(values: WorkedOut[int], key: object, work: Callable[[], int]) -> Reading[int]:
    """The value once its thread has ended."""
    values.of(key, work)
    for thread in threading.enumerate():
        if thread.name == "made":
            thread.join(60)
    return values.of(key, work)


def test_a_value_is_worked_out_once_and_nobody_waits_for_it() -> None:
    values: WorkedOut[int] = WorkedOut("made")
    may_go, calls = threading.Event(), []

    def work() -> int:
        may_go.wait(60)
        calls.append(1)
        return 7

    assert values.of("a", work) is NOT_LOOKED
    may_go.set()
    assert wait_for(values, "a", work) == Known(7, "made")
    assert calls == [1]


@pytest.mark.parametrize(
    ("problem", "said"), [(CannotTell("no card"), "no card"), (RuntimeError("made"), "RuntimeError: made")]
)
def test_what_goes_wrong_is_told(problem: Exception, said: str) -> None:
    def work() -> int:
        raise problem

    assert wait_for(WorkedOut("made"), "a", work) == Unreadable("made", said)


def test_the_oldest_go() -> None:
    values: WorkedOut[int] = WorkedOut("made")
    for number in range(20):
        assert wait_for(values, number, lambda number=number: number) == Known(number, "made")  # type: ignore[misc]
    assert values.of(19, lambda: 1) == Known(19, "made"), "kept"
    assert wait_for(values, 0, lambda: 1) == Known(1, "made"), "worked out anew"
