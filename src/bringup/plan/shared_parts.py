"""Parts of a plan whose cards share matrices (`--split-mode row` and `tensor`); see `shared_weights`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from bringup.model.architecture import CacheLayer
from bringup.plan import parts
from bringup.plan.anatomy import Anatomy
from bringup.plan.builder import F32_BYTES
from bringup.plan.compute import Layouts
from bringup.plan.place import Placement
from bringup.plan.plan import Part
from bringup.plan.request import CPU, Device, DeviceKind, SplitMode
from bringup.plan.run import Run
from bringup.plan.shared_weights import TensorSplit, split_rows, weights_by_rows
from bringup.plan.weights import Sum, tensors_with_devices
from bringup.records import replace
from bringup.units import MIB

_PAGE_BYTES: Final = 2 * MIB
"""What the driver rounds an allocation up to; smaller ones share a page."""


def weights(anatomy: Anatomy, placement: Placement, cards: Sequence[Device]) -> dict[str, Sum]:
    """Weights of each device."""
    if placement.mode is SplitMode.ROW:
        return weights_by_rows(anatomy, placement, cards)
    return TensorSplit(anatomy, placement.cards, placement.shares).weights(placement)


def caches(anatomy: Anatomy, placement: Placement, run: Run, *, offloads: bool) -> Iterator[Part]:
    """Caches of each device; where all is shared, each card has whole heads of every layer."""
    if placement.mode is not SplitMode.TENSOR or not offloads:
        yield from parts.caches(anatomy, placement, run, offloads=offloads)
        return
    split = TensorSplit(anatomy, placement.cards, placement.shares)
    first = placement.cards[0]
    shares = {index: split.caches(index, one) for index, one in parts.kept_layers(anatomy, run).items()}
    for card in placement.cards:
        own = {
            index: CacheLayer(index, shares[index][card].n_embd_k, shares[index][card].n_embd_v, one.is_swa)
            if placement.layers[index] == first
            else one
            for index, one in anatomy.caches.items()
        }
        for part in parts.caches(replace(anatomy, caches=own), placement, run, offloads=offloads):
            if part.device == first:
                yield replace(part, device=card)
            elif card == first:
                yield part


def compute_bytes(
    layouts: Layouts, placement: Placement, run: Run, *, offloads_cache: bool
) -> dict[str, int]:
    """Compute buffers of each device; where all is shared, each card lays out the graph of one card alone."""
    if placement.mode is not SplitMode.TENSOR:
        return layouts.compute_bytes(placement, run, offloads_cache=offloads_cache)
    alone = replace(placement, cards=placement.cards[:1], mode=SplitMode.LAYER, shares=())
    sizes = dict(layouts.compute_bytes(alone, run, offloads_cache=offloads_cache))
    of_card = sizes.pop(placement.cards[0])
    return {**dict.fromkeys(placement.cards, of_card), **sizes}


def overhead(anatomy: Anatomy, placement: Placement, run: Run, device: Device) -> Part:
    """What a process costs on a device, with what the cards need to put their shares together."""
    if placement.mode is SplitMode.LAYER or device.name == CPU:
        return parts.overhead(anatomy, placement, run, device)
    if placement.mode is SplitMode.TENSOR:
        first = replace(device, name=placement.cards[0])
        part = parts.overhead(anatomy, placement, run, first)
        steps = max(1, math.ceil(math.log2(len(placement.cards))))
        more = F32_BYTES * anatomy.architecture.n_embd * run.n_ubatch * steps
        what = f"partial sums of {steps} exchange(s)"
    else:
        part = parts.overhead(anatomy, placement, run, device)
        more = _row_extras(anatomy, placement, run)
        what = "inputs and results of split matrices, and pages of their own for the pieces, estimated"
    return replace(
        part,
        device=device.name,
        bytes=part.bytes + more,
        formula=f"{part.formula} + {more // MIB} MiB: {what}",
    )


def _row_extras(anatomy: Anatomy, placement: Placement, run: Run) -> int:
    """On each card copies of the widest input and result in f32, and half a page for each large piece."""
    cards = [Device(name, DeviceKind.CUDA, 1, 1) for name in placement.cards]
    widest = count = 0
    for tensor, device in tensors_with_devices(anatomy, placement):
        rows = split_rows(tensor, device, placement, cards)
        if rows is None:
            continue
        is_output = tensor.name == "output.weight"
        columns = run.n_outputs if is_output else run.n_ubatch
        widest = max(widest, columns * (tensor.shape[0] + max(rows)))
        count += tensor.size_bytes // len(cards) >= _PAGE_BYTES // 2
    return F32_BYTES * widest + count * _PAGE_BYTES // 2
