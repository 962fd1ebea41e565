"""Where each layer of a model lies, and how many bytes of what: the planner's sums, taken apart for a map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from enum import Enum

from bringup.model.gguf import Tensor
from bringup.plan.anatomy import Anatomy
from bringup.plan.kv_cache import layer_bytes, recurrent_bytes
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.parts import kept_layers
from bringup.plan.place import Placement, is_expert, is_input
from bringup.plan.request import CPU
from bringup.plan.run import Run
from bringup.plan.weights import size_on_card
from bringup.records import dataclass


class Piece(Enum):
    """What a share of a layer is."""

    ATTENTION = "attention"
    FEED_FORWARD = "feed-forward"
    EXPERTS = "experts"
    INPUT = "token embedding"
    OUTPUT = "output"
    CACHE = "KV cache"
    STATE = "recurrent state"


@dataclass(frozen=True, slots=True)
class LayerShare:
    """What one layer has on one device.

    Attributes:
        index: of the layer; `None` for tensors that belong to no layer.
        device: as llama.cpp calls it.
        pieces: bytes by what they are, none of them 0.
    """

    index: int | None
    device: str
    pieces: tuple[tuple[Piece, int], ...]

    def bytes_of(self, *pieces: Piece) -> int:
        """Bytes of these pieces, of all of them where none is named."""
        return sum(size for piece, size in self.pieces if not pieces or piece in pieces)


def map_layers(anatomy: Anatomy, plan: MemoryPlan) -> tuple[LayerShare, ...]:
    """Every layer's share of every device: input tensors first, then layer by layer, the output last.

    Weights and caches sum up to the plan's own parts of these names, device by device.
    """
    sizes: dict[tuple[int | None, str], dict[Piece, int]] = defaultdict(lambda: defaultdict(int))
    last: dict[tuple[int | None, str], dict[Piece, int]] = defaultdict(lambda: defaultdict(int))
    for piece, device, size in _of_no_layer(anatomy, plan.placement):
        (sizes if piece is Piece.INPUT else last)[None, device][piece] += size
    caches = dict(_caches(anatomy, plan))
    for index in range(anatomy.architecture.n_layer):
        for suffix, tensor in anatomy.layers[index].items():
            device = plan.placement.device_in_layer(index, suffix)
            sizes[index, device][_piece_of(suffix)] += _size(tensor, device)
        for piece, device, size in caches.get(index, ()):
            sizes[index, device][piece] += size
    return tuple(
        LayerShare(index, device, tuple((piece, inside[piece]) for piece in Piece if inside.get(piece)))
        for table in (sizes, last)
        for (index, device), inside in table.items()
    )


def _piece_of(suffix: str) -> Piece:
    if is_expert(suffix):
        return Piece.EXPERTS
    return Piece.FEED_FORWARD if suffix.startswith(("ffn_", "exp_probs")) else Piece.ATTENTION


def _size(tensor: Tensor, device: str) -> int:
    return tensor.size_bytes if device == CPU else size_on_card(tensor)


def _of_no_layer(anatomy: Anatomy, placement: Placement) -> Iterator[tuple[Piece, str, int]]:
    for name, tensor in anatomy.whole.items():
        device = placement.device_of_whole(name)
        yield Piece.INPUT if is_input(name) else Piece.OUTPUT, device, _size(tensor, device)
    if anatomy.is_tied and placement.output != CPU:
        yield Piece.OUTPUT, placement.output, size_on_card(anatomy.whole["token_embd.weight"])


def _caches(anatomy: Anatomy, plan: MemoryPlan) -> Iterator[tuple[int, list[tuple[Piece, str, int]]]]:
    run: Run = plan.run
    figures = anatomy.architecture
    kept = kept_layers(anatomy, run)
    state = figures.recurrent
    for index in range(figures.n_layer):
        device = plan.placement.layers[index] if plan.request.offloads_cache else CPU
        found: list[tuple[Piece, str, int]] = []
        cache = kept.get(index)
        if cache is not None:
            cells = (run.swa_cells if cache.is_swa else run.cells) * run.n_stream
            size = layer_bytes(cache, cells=cells, type_k=run.type_k, type_v=run.type_v)
            found.append((Piece.CACHE, device, size))
        if state is not None and figures.recurrent_layers[index]:
            size = recurrent_bytes(
                n_embd_r=state.n_embd_r, n_embd_s=state.n_embd_s, n_layer=1, n_seq=run.n_seq
            )
            found.append((Piece.STATE, device, size))
        yield index, found
