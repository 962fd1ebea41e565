"""Values that take too long for a look: each worked out once, in a thread of its own; a look only reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from bringup.errors import BringupError
from bringup.reading import NOT_LOOKED, Known, Reading, Unreadable

_KEPT: Final = 16

Value = TypeVar("Value")


class WorkedOut(Generic[Value]):
    """The last values by their keys; the oldest go."""

    def __init__(self, name: str) -> None:
        """`name` says what the values are: of the threads, and where a value could not be had."""
        self._name = name
        self._kept: dict[Hashable, Reading[Value]] = {}

    def of(self, key: Hashable, work: Callable[[], Value]) -> Reading[Value]:
        """The value of a key; not looked at until it is there. Returns at once."""
        if key not in self._kept:
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = NOT_LOOKED
            threading.Thread(target=self._work, args=(key, work), name=self._name, daemon=True).start()
        return self._kept[key]

    def _work(self, key: Hashable, work: Callable[[], Value]) -> None:
        try:
            self._kept[key] = Known(work(), self._name)
        except BringupError as problem:
            self._kept[key] = Unreadable(self._name, problem.message)
        except Exception as problem:  # noqa: BLE001 - the guard of this thread: it may outlive the look
            self._kept[key] = Unreadable(self._name, f"{type(problem).__name__}: {problem}")
