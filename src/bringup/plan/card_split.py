"""How the layers are shared out among several cards, so that each holds what it is given."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from bringup.plan.anatomy import Anatomy
from bringup.plan.kv_cache import LayerCache, layer_bytes
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.parts import kept_layers
from bringup.plan.request import CPU
from bringup.plan.weights import size_on_card

_STEPS: Final = 12
"""Halvings of the search for the fullness that all cards share."""

_PER_LAYER: Final = frozenset({"weights", "kv_cache", "kv_cache_swa", "kv_cache_index", "recurrent_state"})


def is_all_on_cards(plan: MemoryPlan) -> bool:
    """Whether every layer, expert and the output layer lie on cards."""
    placement = plan.placement
    if CPU in (*placement.layers, placement.output):
        return False
    return not placement.is_overridden


def keeps_caches_on_cards(plan: MemoryPlan) -> bool:
    """Whether all layers with their caches lie on cards; experts may stay in main memory."""
    placement = plan.placement
    return CPU not in (*placement.layers, placement.output) and plan.request.offloads_cache


def lacks_on_cards(plan: MemoryPlan) -> bool:
    """Whether a card has too little."""
    return any(name != CPU for name in plan.missing)


def split_layers(anatomy: Anatomy, plan: MemoryPlan) -> tuple[float, ...] | None:
    """Counts of layers for `--tensor-split`, such that all cards are about equally full.

    `None` where no split holds them all.
    """
    sizes = _layer_sizes(anatomy, plan)
    room = []
    for name in plan.placement.cards:
        fixed = sum(
            part.bytes
            for part in plan.parts
            if part.device == name and part.name not in _PER_LAYER and part.name != "other_programs"
        )
        free = next(device.free_bytes for device in plan.devices if device.name == name)
        room.append(free - fixed)
    low, high = 0.0, 1.0
    best = _fill(sizes, room, high)
    if best is None:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        counts = _fill(sizes, room, middle)
        if counts is None:
            low = middle
        else:
            high, best = middle, counts
    return tuple(float(count) for count in best)


def _layer_sizes(anatomy: Anatomy, plan: MemoryPlan) -> list[int]:
    """Bytes of each layer that is on a card, the output layer last."""
    placement, run = plan.placement, plan.run
    sizes = []
    caches = kept_layers(anatomy, run)
    indexers = {
        one.index: LayerCache(one.n_embd_k, one.n_embd_v) for one in anatomy.architecture.index_layers
    }
    for index, layer in enumerate(anatomy.layers):
        if placement.layers[index] == CPU:
            continue
        if index >= anatomy.architecture.n_layer:  # drafting layers have a place but are not loaded
            sizes.append(0)
            continue
        size = sum(
            size_on_card(tensor)
            for suffix, tensor in layer.items()
            if placement.device_in_layer(index, suffix) != CPU
        )
        for kept in (caches.get(index), indexers.get(index)):
            if kept is None or not plan.request.offloads_cache:
                continue
            cells = (run.swa_cells if kept.is_swa else run.cells) * run.n_stream
            size += layer_bytes(kept, cells=cells, type_k=run.type_k, type_v=run.type_v)
        state = anatomy.architecture.recurrent
        if state is not None and anatomy.architecture.recurrent_layers[index]:
            size += 4 * (state.n_embd_r + state.n_embd_s) * run.n_seq
        sizes.append(size)
    if placement.output != CPU:
        sizes.append(
            sum(
                size_on_card(tensor)
                for name, tensor in anatomy.whole.items()
                if placement.device_of_whole(name) != CPU or (anatomy.is_tied and name == "token_embd.weight")
            )
        )
    return sizes


def _fill(sizes: list[int], room: list[int], fullness: float) -> list[int] | None:
    """Layers of each card when it is filled in order up to a share of its room."""
    ends, at = [0], 0
    for space in room:
        left = space * fullness
        while at < len(sizes) and sizes[at] <= left:
            left -= sizes[at]
            at += 1
        ends.append(at)
    if at < len(sizes):
        return None
    return [end - start for start, end in pairwise(ends)]
