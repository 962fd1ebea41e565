"""Models without weights, ready to be planned."""

from __future__ import annotations

from functools import cache

from tests.plan.full_size import Shape, header_bytes
from tests.plan.shapes import SHAPES

from bringup.model.gguf import read_header
from bringup.model.shards import Model, assemble
from bringup.model.source import BufferSource
from bringup.plan.anatomy import Anatomy, take_apart


@cache
def model(name: str) -> Model:
    """A model without weights."""
    return _model_of(SHAPES[name])


@cache
def anatomy(name: str) -> Anatomy:
    """The same, taken apart."""
    return take_apart(model(name))


def anatomy_of(shape: Shape) -> Anatomy:
    """A shape that no name has, taken apart."""
    return take_apart(_model_of(shape))


def _model_of(shape: Shape) -> Model:
    data, size_bytes = header_bytes(shape)
    return assemble((read_header(BufferSource(data, name=f"{shape.family}.gguf", size_bytes=size_bytes)),))
