"""What a layer is to the graph, and the builder that adds its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from typing import Final

from bringup.model.gguf import Tensor
from bringup.plan.graph import Graph, Node
from bringup.plan.kv_cache import LayerCache
from bringup.plan.request import CPU
from bringup.plan.run import Run
from bringup.records import dataclass

OFFLOAD_LEAST_TOKENS: Final = 32
"""From so many rows on, weights of main memory are copied to a card (GGML_OP_OFFLOAD_MIN_BATCH)."""

F32_BYTES: Final = 4


class Order(Enum):
    """What comes first where attention and feed-forward part lie beside each other."""

    RESIDUAL_FIRST = "feed-forward part, residual, output matrix of the attention"
    RESIDUAL_LAST = "feed-forward part, output matrix of the attention, residual"
    ATTENTION_FIRST = "output matrix of the attention, feed-forward part, residual"


@dataclass(frozen=True, slots=True)
class StateSpace:
    """Widths of a recurrent layer in elements.

    Attributes:
        n_embd_r: state of the convolution.
        n_embd_s: state of the recurrence.
        n_inner: width of its inside.
        n_convolved: channels of the convolution: the inside with its keys.
    """

    n_embd_r: int
    n_embd_s: int
    n_inner: int
    n_convolved: int


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer: its tensors, where they lie, what it keeps and where that lies.

    Attributes:
        tensors: by the name behind `blk.N.`.
        devices: device of each of them.
        device: device of the layer.
        cache_device: device of its cache.
        cache: what it keeps of a token; `None` for no cache of its own.
        n_head: attention heads, 0 for no attention.
        n_head_kv: heads of keys and values.
        n_head_k: elements of one head's keys.
        n_head_v: elements of one head's values.
        n_expert_used: experts that a token passes.
        is_swa: sees the window only.
        index: of the layer.
        state: widths of a recurrent layer, else `None`.
    """

    tensors: Mapping[str, Tensor]
    devices: Mapping[str, str]
    device: str
    cache_device: str
    cache: LayerCache | None
    n_head: int
    n_head_kv: int
    n_head_k: int
    n_head_v: int
    n_expert_used: int
    is_swa: bool = False
    index: int = 0
    state: StateSpace | None = None

    def has(self, name: str) -> bool:
        """Whether the file has this matrix or vector for the layer."""
        return name + ".weight" in self.tensors

    @property
    def reads_state(self) -> bool:
        """Whether the layer begins with the state of its convolution, read before its norm."""
        is_mamba = self.has("ssm_in") and not self.has("ssm_ba") and not self.has("attn_output")
        return self.state is not None and (is_mamba or self.has("shortconv.in_proj"))

    @property
    def has_experts(self) -> bool:
        """Whether its feed-forward part are experts."""
        return self.has("ffn_down_exps")

    @property
    def is_mixed(self) -> bool:
        """Whether it does more than a plain feed-forward part, the nodes of which are only met when used."""
        return self.n_head > 0 or self.state is not None or self.has_experts


@dataclass(slots=True)
class Indexers:
    """What the layers of a model with sparse attention share.

    Attributes:
        mask: of the indexers.
        cells: where their keys go.
        rotation: matrix that queries and keys of the indexers are turned with.
        zeros: by layer.
        n_top: tokens that are chosen, at most.
        chosen: what the last indexer chose; layers without one take it over.
    """

    mask: Node
    cells: Node
    rotation: Node
    zeros: Mapping[int, Node]
    n_top: int
    chosen: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Builder:
    """Adds nodes to a graph.

    Attributes:
        graph: where they go.
        run: the sizes of the run.
        cards: names of the cards, in order.
        masks: attention masks, by whether they are those of the sliding layers.
        n_tokens: rows that are computed now; the last layer ends with the rows of the outputs only.
        positions: of the tokens.
        cells: where keys and values go, by whether they are those of the sliding layers.
        rotations: matrices that keys and values are rotated with, likewise.
        out_rows: which rows are outputs.
        slots: which recurrent states are read; `None` for a model without.
        has_rope: heads are turned by their position.
        cast_masks: masks of older builds after their cast.
        own_rows: gives the embeddings that each layer has of its own; `None` for a model without.
        awaited: the layer whose state is read next, ahead of what is left of this layer.
        state_read: state that was read ahead for the next layer that has one.
        order: of attention and feed-forward parts that lie beside each other.
        indexers: what chooses the tokens that sparse attention looks at; `None` for a model without.
        norms_values: values have a norm, which has no weight.
        narrow: the row that queries of the layer are made of, where attention is latent.
        adds_to_residual: the residual comes first where what attention or feed-forward parts make is added.
    """

    graph: Graph
    run: Run
    cards: tuple[str, ...]
    masks: Mapping[bool, Node]
    n_tokens: int
    positions: Node
    cells: Mapping[bool, tuple[Node, Node]]
    rotations: Mapping[bool, tuple[Node, Node]]
    out_rows: Node
    slots: Node | None = None
    has_rope: bool = True
    cast_masks: dict[bool, Node] = field(default_factory=dict)
    own_rows: Callable[[Builder], Node] | None = None
    awaited: LayerPlan | None = None
    state_read: Node | None = None
    adds_to_residual: bool = False
    norms_values: bool = False
    order: Order = Order.RESIDUAL_FIRST
    indexers: Indexers | None = None
    narrow: Node | None = None

    def read_state(self, layer: LayerPlan, n_state: int) -> Node:
        """States of the slots, read out of the cache where that lies."""
        size = F32_BYTES * n_state * self.run.n_seq
        sources = () if self.slots is None else (self.slots,)
        return self.graph.add(size, *sources, device=layer.cache_device)

    def read_ahead(self) -> None:
        """The engine's graph meets the state of the next layer here, before what is left of this one."""
        if self.awaited is not None and self.awaited.state is not None:
            self.state_read = self.read_state(self.awaited, self.awaited.state.n_embd_r)
        self.awaited = None

    def follows(self, device: str) -> str:
        """Where a node without a weight is computed that comes first behind a state read ahead."""
        read = self.state_read
        return read.device if read is not None and read.device != CPU else device

    def computes_on(self, device: str, *, n_rows: int | None = None) -> str:
        """Where a node with a weight on `device` is computed."""
        rows = self.n_tokens if n_rows is None else n_rows
        is_copied = device == CPU and self.cards and self.run.offloads_ops and rows >= OFFLOAD_LEAST_TOKENS
        return self.cards[0] if is_copied else device

    def with_weight(
        self, layer: LayerPlan, name: str, size: int, *sources: Node, in_place: bool = False
    ) -> Node:
        """A node that needs one tensor of the layer."""
        device = layer.devices[name]
        computed = self.computes_on(device)
        copied = layer.tensors[name].size_bytes if computed != device else 0
        return self.graph.add(size, *sources, device=computed, in_place=in_place, weight_bytes=copied)

    def multiply(self, layer: LayerPlan, name: str, *sources: Node, n_rows: int = 1) -> Node:
        """A matrix times `n_rows` rows a token, with the bias that the file has for it."""
        weight = name + ".weight"
        size = F32_BYTES * layer.tensors[weight].shape[1] * self.n_tokens * n_rows
        node = self.with_weight(layer, weight, size, *sources)
        if name + ".bias" in layer.tensors:
            node = self.with_weight(layer, name + ".bias", size, node, *sources[1:], in_place=True)
        return node

    def beside(self, *sources: Node, size: int | None = None, in_place: bool = True) -> Node:
        """A node without a weight, on the device of its first source."""
        first = sources[0]
        return self.graph.add(
            first.size_bytes if size is None else size, *sources, device=first.device, in_place=in_place
        )

    def mask(self, device: str, *, is_swa: bool) -> Node:
        """The mask as the kernels want it."""
        if not self.run.casts_mask:
            return self.masks[is_swa]
        if is_swa not in self.cast_masks:
            given = self.masks[is_swa]
            self.cast_masks[is_swa] = self.graph.add(given.size_bytes // 2, given, device=device)
        return self.cast_masks[is_swa]

    def rope(self, node: Node) -> Node:
        """Rotary positions, where the family has them."""
        return self.beside(node, self.positions) if self.has_rope else node

    def norm(self, layer: LayerPlan, name: str, source: Node) -> Node:
        """A norm and its weight, where the file has one; else the source itself."""
        if not layer.has(name):
            return source
        weight = name + ".weight"
        device = self.computes_on(layer.devices[weight])
        bare = self.graph.add(source.size_bytes, source, device=device, in_place=True)
        return self.with_weight(layer, weight, source.size_bytes, bare, in_place=True)


def is_cuda(device: str) -> bool:
    """Whether CUDA's backend drives a device, with its fused kernels and their room; ROCm shares it."""
    return device.startswith(("CUDA", "ROCm"))


def is_metal(device: str) -> bool:
    """Whether Apple's backend drives a device."""
    return device.startswith(("MTL", "Metal"))
