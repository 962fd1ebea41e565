"""Facts of the layer: hardware."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.stack.lines import Lines


@dataclass(frozen=True, slots=True)
class Hardware:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks."""


def recognise(lines: Lines) -> Hardware:
    """What pasted lines say of this layer."""
    del lines
    return Hardware()
