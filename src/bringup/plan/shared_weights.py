"""Matrices that several cards share: `--split-mode row`, and `tensor` with its caches.

Rows (builds before about b9,500): a card's split buffer takes the matrices of its layers, and of each of
them every card holds its share of rows. Tensor: all cards are one device to the rest of the engine, and of
each matrix a card holds columns or rows by whole heads and blocks; what is no matrix lies on each of them.
Source: llama.cpp b11434, `llama_meta_device_get_split_state` in `src/llama-model.cpp`,
`ggml/src/ggml-backend-meta.cpp`; for rows the split buffers of its CUDA backend before they were removed.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from bringup.model.gguf import Tensor
from bringup.plan.anatomy import Anatomy
from bringup.plan.kv_cache import LayerCache
from bringup.plan.place import Placement
from bringup.plan.request import CPU, Device
from bringup.plan.weights import Sum, size_on_card, tensors_with_devices

_WORTH_BLOCK: Final = 128
"""Elements below which a share of a row is too short for fast kernels."""

_NEWER_ROWS: Final = 128
_OLDER_ROWS: Final = 64
"""Rows that a kernel works on at once from Volta on, and before."""

_NO_MATRIX: Final = re.compile(
    r"norm|conv1d|_exps\.|token_embd|position_embd|rope_freqs|\.bias$|attn_[kv]_b\."
)

_LAYER: Final = re.compile(r"blk\.(\d+)\.(.+)", re.DOTALL)
_ROWS: Final = re.compile(r"attn_(?:q|k|v|qkv|gate)\.weight|ffn_(?:up|gate|gate_up)(?:_exps)?\.weight")
_COLUMNS: Final = re.compile(
    r"attn_(?:q|k|v|qkv)\.bias|attn_sinks\.weight|attn_output\.weight"
    r"|ffn_(?:up|gate)(?:_exps)?\.bias|ffn_down(?:_exps)?\.weight"
)
_FEED_FORWARD: Final = re.compile(r"ffn_")


def weights_by_rows(anatomy: Anatomy, placement: Placement, cards: Sequence[Device]) -> dict[str, Sum]:
    """Weights of each device where matrices are split by rows; pieces lie in pages of their own.

    Args:
        anatomy: the model.
        placement: which card computes a layer.
        cards: in order; `placement.shares` are of their rows, else the whole of their memory.
    """
    counts: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    names = [card.name for card in cards]
    for tensor, device in tensors_with_devices(anatomy, placement):
        rows = split_rows(tensor, device, placement, cards)
        if rows is None:
            counts[device] += 1
            sizes[device] += tensor.size_bytes if device == CPU else size_on_card(tensor)
            continue
        for name, n_rows in zip(names, rows, strict=True):
            if n_rows:
                counts[name] += 1
                sizes[name] += size_on_card(_cut(tensor, rows=n_rows))
    return {device: Sum(counts[device], sizes[device]) for device in sizes}


def split_rows(
    tensor: Tensor, device: str, placement: Placement, cards: Sequence[Device]
) -> tuple[int, ...] | None:
    """Rows of a matrix on each card; `None` where it lies whole on the one that computes its layer.

    Experts do, and what is so small that the card of its layer would have none of it.
    """
    if device == CPU or len(tensor.shape) != 2 or _NO_MATRIX.search(tensor.name):
        return None
    shares = placement.shares if any(placement.shares) else tuple(float(card.total_bytes) for card in cards)
    shares = (*shares, *(0.0,) * len(cards))[: len(cards)]
    n_rows, total = tensor.shape[1], sum(shares)
    step = max(
        (_OLDER_ROWS if (card.compute_capability or (7,))[0] < 7 else _NEWER_ROWS)
        for card, share in zip(cards, shares, strict=True)
        if share
    )
    bounds = [int(n_rows * part / total) // step * step for part in accumulate(shares[:-1])]
    rows = tuple(behind - first for first, behind in pairwise((0, *bounds, n_rows)))
    mine = [card.name for card in cards].index(device)
    return rows if rows[mine] else None


class TensorSplit:
    """How `--split-mode tensor` shares the tensors and caches of one model.

    Attributes:
        anatomy: the model.
        cards: names, in order.
        shares: of the cards; empty or zeros for equal ones, which is the engine's own choice.
    """

    def __init__(self, anatomy: Anatomy, cards: tuple[str, ...], shares: Sequence[float] = ()) -> None:
        """Nothing is worked out yet."""
        self.anatomy = anatomy
        self.cards = cards
        self.shares = tuple(shares[: len(cards)]) if any(shares) else (1.0,) * len(cards)

    def weights(self, placement: Placement) -> dict[str, Sum]:
        """Weights of each device; those that are not split are on every card."""
        counts: dict[str, int] = defaultdict(int)
        sizes: dict[str, int] = defaultdict(int)
        for tensor, device in tensors_with_devices(self.anatomy, placement):
            for name, piece in self._pieces(tensor, device):
                counts[name] += 1
                sizes[name] += piece.size_bytes if name == CPU else size_on_card(piece)
        return {device: Sum(counts[device], sizes[device]) for device in sizes}

    def caches(self, index: int, cache: LayerCache) -> dict[str, LayerCache]:
        """Widths of a layer's keys and values on each card."""
        heads = self._heads(index)
        figures = self.anatomy.architecture
        k = figures.n_embd_head_k_swa if cache.is_swa else figures.n_embd_head_k
        v = figures.n_embd_head_v_swa if cache.is_swa else figures.n_embd_head_v
        keys = self._shared(cache.n_embd_k, heads * k, index)
        values = self._shared(cache.n_embd_v, heads * v, index)
        return {
            name: LayerCache(n_k, n_v, cache.is_swa)
            for name, n_k, n_v in zip(self.cards, keys, values, strict=True)
        }

    def _pieces(self, tensor: Tensor, device: str) -> Iterator[tuple[str, Tensor]]:
        if device == CPU:
            yield CPU, tensor
            return
        match = _LAYER.fullmatch(tensor.name)
        name, index = (match[2], int(match[1])) if match else (tensor.name, None)
        is_rows = name == "output.weight" or (index is not None and bool(_ROWS.fullmatch(name)))
        is_columns = name == "output.bias" or (index is not None and bool(_COLUMNS.fullmatch(name)))
        if not (is_rows or is_columns):
            yield from ((card, tensor) for card in self.cards)
            return
        length = tensor.shape[1 if is_rows else 0]
        taken = [0] * len(self.cards)
        for segment, step in self._segments(name, index, length):
            for place, count in enumerate(self._shared(segment, step, index)):
                taken[place] += count
        for card, count in zip(self.cards, taken, strict=True):
            if count:
                yield card, _cut(tensor, rows=count) if is_rows else _cut(tensor, columns=count)

    def _segments(self, name: str, index: int | None, length: int) -> list[tuple[int, int]]:
        """Runs that are shared apart from each other, each with the step that its bounds keep to."""
        if index is None:
            return [(length, 1)]
        if _FEED_FORWARD.match(name):
            down = self._tensor(index, "ffn_down.weight") or self._tensor(index, "ffn_down_exps.weight")
            step = math.lcm(down.type.block_elements if down else 1, _WORTH_BLOCK)
            inner = down.shape[0] if down else length
            return [(inner, step)] * (length // inner) if length % inner == 0 else [(length, step)]
        figures = self.anatomy.architecture
        is_swa = figures.swa_layers[index]
        k = figures.n_embd_head_k_swa if is_swa else figures.n_embd_head_k
        v = figures.n_embd_head_v_swa if is_swa else figures.n_embd_head_v
        grouped = figures.n_head[index] // max(1, figures.n_head_kv[index])
        heads = self._heads(index)
        if name.startswith("attn_sinks") or (
            name.startswith("attn_gate") and length == figures.n_head[index]
        ):
            return [(length, heads * grouped)]
        if name.startswith("attn_output"):
            return [(length, heads * grouped * v)]
        if name.startswith("attn_qkv"):
            n_kv = figures.n_head_kv[index]
            return [
                (figures.n_head[index] * k, heads * grouped * k),
                (n_kv * k, heads * k),
                (n_kv * v, heads * v),
            ]
        if name.startswith(("attn_k.", "attn_v.")):
            return [(length, heads * (k if name.startswith("attn_k.") else v))]
        return [(length, heads * grouped * k)]

    def _heads(self, index: int) -> int:
        """Heads of keys that stay together, so that a share of the output matrix has whole blocks."""
        figures = self.anatomy.architecture
        k = figures.n_embd_head_k_swa if figures.swa_layers[index] else figures.n_embd_head_k
        width = figures.n_head[index] // max(1, figures.n_head_kv[index]) * k
        out = self._tensor(index, "attn_output.weight")
        block = out.type.block_elements if out else 1
        while block < _WORTH_BLOCK and block * len(self.cards) < width:
            block *= 2
        return math.lcm(width, block) // max(1, width)

    def _tensor(self, index: int, suffix: str) -> Tensor | None:
        return self.anatomy.layers[index].get(suffix)

    def _shared(self, length: int, step: int, index: int | None) -> tuple[int, ...]:
        """Elements of each card; which of them gets the odd rest changes from layer to layer."""
        count = len(self.cards)
        turn = (self.anatomy.architecture.n_layer if index is None else self._alike(index)) % count
        turned = [self.shares[(place + turn) % count] for place in range(count)]
        total, found, low = sum(turned), [0] * count, 0
        for place, part in enumerate(accumulate(turned)):
            high = length if place == count - 1 else int(length * part / total) // max(1, step) * max(1, step)
            found[(place + turn) % count] = high - low
            low = high
        return tuple(found)

    def _alike(self, index: int) -> int:
        """Layers of the same kind before this one."""
        is_swa = self.anatomy.architecture.swa_layers
        return sum(is_swa[before] == is_swa[index] for before in range(index))


def _cut(tensor: Tensor, *, rows: int | None = None, columns: int | None = None) -> Tensor:
    """A share of a tensor."""
    shape = list(tensor.shape)
    if rows is not None:
        shape[1] = rows
    if columns is not None:
        shape[0] = columns
    size = math.prod(shape) * tensor.type.block_bytes // tensor.type.block_elements
    return Tensor(tensor.name, tuple(shape), tensor.type, tensor.offset_bytes, size)
