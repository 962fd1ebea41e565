"""A model taken apart: which tensor belongs to which layer, in the form that the planner works on."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from bringup.model import families
from bringup.model.architecture import Architecture, CacheLayer
from bringup.model.gguf import Tensor
from bringup.model.shards import Model
from bringup.patterns import regex
from bringup.records import dataclass

_LAYER: Final = regex(r"blk\.(\d+)\.(.+)", re.DOTALL)
_WITHOUT_SUFFIX: Final = {"ffn_norm": "ffn_norm.weight"}
"""Names that converters write without their suffix (Falcon H1)."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A model's figures with its tensors sorted.

    Attributes:
        name: for messages.
        architecture: its figures.
        layers: for each layer, drafting ones included, its tensors by the name behind `blk.N.`.
        whole: tensors that belong to no layer, by name.
        caches: the cache that a layer keeps, by the layer's index.
    """

    name: str
    architecture: Architecture
    layers: tuple[Mapping[str, Tensor], ...]
    whole: Mapping[str, Tensor]
    caches: Mapping[int, CacheLayer]

    @property
    def is_tied(self) -> bool:
        """Whether the output matrix is the token embedding, which is then loaded a second time."""
        if self.architecture.name in families.WITHOUT_OUTPUT_COPY:
            return False
        return "output.weight" not in self.whole and "token_embd.weight" in self.whole


def take_apart(model: Model) -> Anatomy:
    """Sort the tensors of a model.

    Raises:
        GgufError: a figure of the architecture is missing or cannot be.
    """
    architecture = model.architecture
    layers: list[dict[str, Tensor]] = [{} for _ in range(architecture.n_layer + architecture.n_layer_nextn)]
    whole: dict[str, Tensor] = {}
    for tensor in model.tensors:
        match = _LAYER.fullmatch(tensor.name)
        index = int(match[1]) if match else -1
        if match and index < len(layers):
            layers[index][_WITHOUT_SUFFIX.get(match[2], match[2])] = tensor
        else:
            whole[tensor.name] = tensor
    return Anatomy(
        name=architecture.display_name or model.name.rsplit("/", 1)[-1],
        architecture=architecture,
        layers=tuple(layers),
        whole=whole,
        caches={layer.index: layer for layer in architecture.cache_layers},
    )


def alike_layers(layers: Sequence[Mapping[str, Tensor]]) -> tuple[int, ...]:
    """For each layer the first one with tensors of the same names, types and shapes: sums are theirs too."""
    first: dict[Hashable, int] = {}
    return tuple(
        first.setdefault(tuple((name, one.type, one.shape) for name, one in layer.items()), index)
        for index, layer in enumerate(layers)
    )
