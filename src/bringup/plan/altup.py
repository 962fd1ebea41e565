"""The layers of Gemma 3n: four streams of the residual, one of them active, and a narrow way past attention.

Source: llama.cpp b11434, `src/models/gemma3n.cpp`.
"""

from __future__ import annotations

from typing import Final

from bringup.plan.anatomy import Anatomy
from bringup.plan.attention import add_attention
from bringup.plan.builder import F32_BYTES, Builder, LayerPlan
from bringup.plan.graph import Node
from bringup.plan.place import Placement

STREAMS: Final = 4
"""`n_altup` of the engine."""

_SPARSE_LAYERS: Final = 10
"""`n_layer_sparsity`: the first so many layers cut small activations off."""

_SPREAD: Final = "altup_proj.weight"
_GATHER: Final = "altup_unembd_proj.weight"


def has_streams(anatomy: Anatomy) -> bool:
    """Whether the model has them."""
    return _SPREAD in anatomy.whole and _GATHER in anatomy.whole


def spread(build: Builder, anatomy: Anatomy, placement: Placement, hidden: Node) -> Node:
    """From the embeddings to all streams."""
    return _widened(build, anatomy, placement, hidden, _SPREAD, first_bytes=hidden.size_bytes)


def gather(build: Builder, anatomy: Anatomy, placement: Placement, hidden: Node) -> Node:
    """From all streams to one row of each output."""
    row = hidden.size_bytes // STREAMS
    whole = anatomy.whole[_GATHER]
    device = build.computes_on(placement.device_of_whole(_GATHER))
    copied = whole.size_bytes if device != placement.device_of_whole(_GATHER) else 0
    others = build.graph.add((STREAMS - 1) * row, hidden, device=device, weight_bytes=copied)
    size = build.graph.add(row, hidden, device=device)
    scaled = build.beside(others, size, in_place=False)
    scaled = build.beside(scaled, build.beside(others, size=F32_BYTES * build.n_tokens, in_place=False))
    total = build.graph.add(row, hidden, scaled, device=device)
    for _ in range(STREAMS - 2):
        total = build.beside(total, scaled)
    return total


def _widened(
    build: Builder, anatomy: Anatomy, placement: Placement, hidden: Node, name: str, *, first_bytes: int
) -> Node:
    home = placement.device_of_whole(name)
    device = build.computes_on(home)
    copied = anatomy.whole[name].size_bytes if device != home else 0
    repeated = build.graph.add((STREAMS - 1) * first_bytes, hidden, device=device)
    others = build.graph.add(repeated.size_bytes, repeated, device=device, weight_bytes=copied)
    squared = build.graph.add(first_bytes, hidden, device=device)
    size = build.beside(squared, size=F32_BYTES * build.n_tokens, in_place=False)
    scaled = build.beside(others, size, in_place=False)
    squares = build.beside(others)
    sizes = build.beside(squares, size=F32_BYTES * build.n_tokens * (STREAMS - 1), in_place=False)
    scaled = build.beside(scaled, sizes)
    return build.graph.add(STREAMS * first_bytes, hidden, scaled, device=device)


def add_streams_layer(build: Builder, layer: LayerPlan, hidden: Node) -> Node:
    """One layer: predict all streams, compute the active one, correct them all by its result."""
    predicted = _predicted(build, layer, hidden)
    row = hidden.size_bytes // STREAMS
    normed = _fresh_norm(build, layer, "attn_norm", predicted, row)
    attended = build.norm(layer, "post_attention_norm", add_attention(build, layer, normed))
    summed = build.beside(attended, predicted)
    narrow = build.multiply(layer, "laurel_l", normed)
    aside = build.norm(layer, "laurel_post_norm", build.multiply(layer, "laurel_r", narrow))
    both = build.beside(summed, build.beside(aside, normed))
    result = _feed_forward(build, layer, _fresh_norm(build, layer, "ffn_norm", both, row))
    active = build.beside(build.norm(layer, "post_ffw_norm", result), both)
    return _corrected(build, layer, predicted, active)


def _fresh_norm(build: Builder, layer: LayerPlan, name: str, source: Node, size: int) -> Node:
    """A norm that does not take the place of its source."""
    weight = name + ".weight"
    device = build.computes_on(layer.devices[weight])
    bare = build.graph.add(size, source, device=device)
    return build.with_weight(layer, weight, size, bare, in_place=True)


def _predicted(build: Builder, layer: LayerPlan, hidden: Node) -> Node:
    turned = build.beside(hidden, in_place=False)
    routed = _routed(build, layer, hidden, hidden.size_bytes // STREAMS)
    factors = build.multiply(layer, "altup_predict_coef", routed)
    mixed = build.beside(turned, factors, in_place=False)
    return build.beside(build.beside(mixed, in_place=False), hidden)


def _routed(build: Builder, layer: LayerPlan, source: Node, row: int) -> Node:
    normed = _fresh_norm(build, layer, "altup_router_norm", source, row)
    return build.multiply(layer, "altup_router", normed)


def _feed_forward(build: Builder, layer: LayerPlan, source: Node) -> Node:
    up = build.multiply(layer, "ffn_up", source)
    gate = build.multiply(layer, "ffn_gate", source)
    if layer.index < _SPARSE_LAYERS:
        mean = build.beside(gate, size=F32_BYTES * build.n_tokens, in_place=False)
        spread_of = build.beside(build.beside(gate, mean, in_place=False))
        limit = build.beside(spread_of, size=F32_BYTES * build.n_tokens, in_place=False)
        gate = build.beside(gate, limit)
    return build.multiply(layer, "ffn_down", build.beside(up, gate))


def _corrected(build: Builder, layer: LayerPlan, predicted: Node, active: Node) -> Node:
    row = active.size_bytes
    new = build.beside(active, predicted, in_place=False)
    repeated = build.beside(new, size=STREAMS * row, in_place=False)
    factors = build.multiply(layer, "altup_correct_coef", _routed(build, layer, active, row))
    corrected = build.beside(build.beside(repeated, factors), predicted)
    first = build.with_weight(layer, "altup_correct_scale.weight", row, corrected)
    if build.own_rows is not None:
        gate = build.beside(build.multiply(layer, "inp_gate", first), build.own_rows(build))
        first = build.norm(layer, "post_norm", build.multiply(layer, "proj", gate))
    rest = build.beside(corrected, first, size=(STREAMS - 1) * row, in_place=False)
    return build.beside(corrected, rest, size=STREAMS * row, in_place=False)
