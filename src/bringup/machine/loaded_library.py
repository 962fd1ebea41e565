"""Functions of a shared library that this very process has loaded already, called by their names."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def taker_of_int(path: str, symbol: str) -> Callable[[int], None] | None:
    """A function `void f(int)` of a loaded library; `None` where it has none of that name.

    Args:
        path: the library's file; the loader gives the copy that is loaded.
        symbol: the name in its symbol table.
    """
    try:
        function = getattr(ctypes.CDLL(path), symbol)
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = (ctypes.c_int,), None

    def call(number: int) -> None:
        function(number)

    return call
