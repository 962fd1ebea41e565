"""Models without weights, ready to be planned."""

from __future__ import annotations

from functools import cache

from tests.plan.full_size import header_bytes
from tests.plan.shapes import SHAPES

from bringup.model.gguf import read_header
from bringup.model.shards import Model, assemble
from bringup.model.source import BufferSource
from bringup.plan.anatomy import Anatomy, take_apart


@cache
def model(name: str) -> Model:
    """A model without weights."""
    data, size_bytes = header_bytes(SHAPES[name])
    return assemble((read_header(BufferSource(data, name=f"{name}.gguf", size_bytes=size_bytes)),))


@cache
def anatomy(name: str) -> Anatomy:
    """The same, taken apart."""
    return take_apart(model(name))
