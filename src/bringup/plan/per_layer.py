"""Embeddings that each layer has of its own (Gemma 4 E2B and E4B).

They are looked up in main memory and mixed in behind each layer.

Source: llama.cpp b11434, `build_inp_per_layer` and `project_per_layer_inputs` in `src/models/gemma4.cpp`.
"""

from __future__ import annotations

from typing import Final

from bringup.plan.altup import has_streams
from bringup.plan.anatomy import Anatomy
from bringup.plan.builder import F32_BYTES, Builder, LayerPlan
from bringup.plan.graph import Node
from bringup.plan.place import Placement
from bringup.plan.request import CPU

_TABLE: Final = "per_layer_token_embd.weight"
_PROJECTION: Final = "per_layer_model_proj.weight"
_NORM: Final = "per_layer_proj_norm.weight"


class PerLayer:
    """The rows of all layers: as they were looked up, and as inputs once the first layer has made them."""

    def __init__(self, anatomy: Anatomy, placement: Placement, embedded: Node, selected: Node) -> None:
        """`embedded` are the tokens' own rows, `selected` those of all layers."""
        self._anatomy = anatomy
        self._projection = anatomy.whole[_PROJECTION]
        self._norm = anatomy.whole[_NORM]
        self._device = placement.device_of_whole(_PROJECTION)
        self._embedded = embedded
        self._selected = selected
        self._inputs: Node | None = None

    def inputs(self, build: Builder) -> Node:
        """The inputs of all layers; the first one that asks computes them."""
        if self._inputs is None:
            size = self._selected.size_bytes
            node = self._weighted(build, self._projection.size_bytes, size, self._embedded, in_place=False)
            # Gemma 3n sees a row for each layer from here on, in a place of its own; Gemma 4 has its sum with
            # what was looked up in one, but in main memory, as its buffers tell.
            is_early = has_streams(self._anatomy)
            node = build.beside(build.beside(node), in_place=not is_early)
            node = self._weighted(build, self._norm.size_bytes, size, node, in_place=True)
            total = build.beside(node, self._selected)
            node = build.beside(total, in_place=is_early or total.device == CPU)
            self._inputs = build.beside(node, in_place=False)
        return self._inputs

    def _weighted(
        self, build: Builder, weight_bytes: int, size: int, source: Node, *, in_place: bool
    ) -> Node:
        computed = build.computes_on(self._device)
        copied = weight_bytes if computed != self._device else 0
        return build.graph.add(size, source, device=computed, in_place=in_place, weight_bytes=copied)


def has_own_rows(anatomy: Anatomy) -> bool:
    """Whether each layer has embeddings of its own."""
    return _TABLE in anatomy.whole and _PROJECTION in anatomy.whole and _NORM in anatomy.whole


def look_up(build: Builder, anatomy: Anatomy, placement: Placement, embedded: Node, tokens: Node) -> PerLayer:
    """The rows of all layers, looked up in main memory and scaled where the first layer is computed."""
    size = F32_BYTES * anatomy.whole[_TABLE].shape[0] * build.n_tokens
    rows = build.graph.add(size, tokens, device=CPU)
    first = placement.layers[0] if placement.layers else CPU
    selected = build.graph.add(size, rows, device=build.computes_on(first), in_place=first != CPU)
    return PerLayer(anatomy, placement, embedded, selected)


def add_own_rows(build: Builder, layer: LayerPlan, source: Node) -> Node:
    """Behind a layer: its own input, gated by the result, back to full width."""
    if build.own_rows is None or not layer.has("inp_gate"):
        return source
    gate = build.beside(build.multiply(layer, "inp_gate", source))
    own = build.beside(gate, build.own_rows(build))
    return build.beside(build.norm(layer, "post_norm", build.multiply(layer, "proj", own)), source)
