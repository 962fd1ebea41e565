"""Facts of the layer: toolkit."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.stack.lines import Lines


@dataclass(frozen=True, slots=True)
class Toolkit:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks."""


def recognise(lines: Lines) -> Toolkit:
    """What pasted lines say of this layer."""
    del lines
    return Toolkit()
