"""A computation graph as llama.cpp's scheduler sees it, and the buffers that its allocator gives to it.

The size of a compute buffer is the peak of the tensors that live at once, in the places where ggml's
allocator puts them; no sum of parts tells it. So the graph is built here with sizes only, cut into splits
and laid out by the same rules (llama.cpp b11434, `ggml/src/ggml-alloc.c`: best fit over the free blocks,
results in place of their last-used source; `ggml/src/ggml-backend.cpp`: inputs of a split are copied to its
device, weights that stay in main memory one at a time).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import field
from typing import Final, TypeAlias

from bringup.records import dataclass

ALIGNMENT_BYTES: Final = 128
"""Alignment of a tensor in a CUDA buffer; main memory has less, which makes no difference that is seen."""

PIPELINE_COPIES: Final = 4
"""GGML_SCHED_MAX_COPIES: of every input of a split, where several cards work at once."""

_ENDLESS: Final = 1 << 62


class Node:
    """One tensor of the graph. A plan makes thousands: an ordinary class has the quickest `__init__`.

    Attributes:
        size_bytes: of its data.
        device: where it is computed.
        sources: tensors that it is computed from, weights left out.
        weight_bytes: size of the weight that it needs, where that lies on another device; else 0.
        in_place: whether it may take the place of a source of the same size.
        is_input: a leaf that is filled from outside before the graph is computed.
        is_output: read after the last node: never freed.
        kept: tensors that a fused kernel reads until this node is done.
        extra_bytes: room behind the data that its kernel works in.
        is_viewed: its users see it through a view, in another shape; the place of a view is never taken.
        n_uses: users that are still to come, while it is laid out.
        offset: where it lies in its buffer.
        placed_bytes: what it takes there; 0 while it has no place.
    """

    __slots__ = (
        *("device", "extra_bytes", "in_place", "is_input", "is_output", "is_viewed", "kept"),
        *("n_uses", "offset", "placed_bytes", "size_bytes", "sources", "weight_bytes"),
    )

    def __init__(
        self,
        size_bytes: int,
        device: str,
        sources: tuple[Node, ...] = (),
        weight_bytes: int = 0,
        *,
        in_place: bool = False,
        is_input: bool = False,
    ) -> None:
        self.size_bytes = size_bytes
        self.device = device
        self.sources = sources
        self.weight_bytes = weight_bytes
        self.in_place = in_place
        self.is_input = is_input
        self.is_output = False
        self.kept: tuple[Node, ...] = ()
        self.extra_bytes = 0
        self.is_viewed = False
        self.n_uses = 0
        self.offset = 0
        self.placed_bytes = 0


@dataclass(slots=True)
class Graph:
    """Nodes in the order in which they are computed."""

    inputs: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def add_input(self, size_bytes: int, device: str) -> Node:
        """A tensor that is filled before the graph is computed."""
        node = Node(size_bytes, device, is_input=True)
        self.inputs.append(node)
        return node

    def add_leaf(self, size_bytes: int, device: str) -> Node:
        """A tensor that is there from the start and filled by the graph itself."""
        node = Node(size_bytes, device)
        self.inputs.append(node)
        return node

    def add(
        self,
        size_bytes: int,
        *sources: Node,
        device: str,
        in_place: bool = False,
        weight_bytes: int = 0,
    ) -> Node:
        """A tensor that is computed from others."""
        node = Node(size_bytes, device, sources, weight_bytes, in_place=in_place)
        self.nodes.append(node)
        return node


def measure(graph: Graph, *, n_copies: int = 1, copies_unused: bool = True) -> dict[str, int]:
    """Bytes of the compute buffer of each device.

    Args:
        graph: what is computed.
        n_copies: copies of each input of a split (`PIPELINE_COPIES` with pipeline parallelism).
        copies_unused: inputs that no node reads have their copies too, as in newer builds.
    """
    steps, copies = _schedule(graph)
    return _Layout(n_copies, copies_unused=copies_unused).run(graph.inputs, steps, copies)


_Step: TypeAlias = tuple[Node, tuple[Node, ...], bool]
"""One entry of the scheduled list: a node, its sources, whether it is computed here (a dependency is not)."""


def _schedule(graph: Graph) -> tuple[list[_Step], list[Node]]:
    """The list that the allocator walks, with the copies at the head of each split; and those copies."""
    steps: list[_Step] = []
    copied: dict[tuple[Node, str], Node] = {}
    copies: list[Node] = []
    for split in _splits(graph.nodes):
        device = split[0].device
        weights: dict[Node, Node] = {}
        reaching: set[Node] = set()
        for node in split:
            for source in node.sources:
                if source.device == device:
                    continue
                reaching.add(node)
                if (source, device) not in copied:
                    copy = Node(source.size_bytes, device)
                    copied[source, device] = copy
                    copies.append(copy)
                    steps += [(source, (source,), False), (copy, (), True)]
            if node.weight_bytes:
                weights[node] = Node(node.weight_bytes, device)
                steps.append((weights[node], (), True))
        steps += _computed(split, reaching, weights, copied)
    return steps, copies


def _computed(
    split: list[Node], reaching: set[Node], weights: dict[Node, Node], copied: dict[tuple[Node, str], Node]
) -> Iterator[_Step]:
    """The nodes of a split; those that reach for another device take the copies made on theirs."""
    device = split[0].device
    for node in split:
        sources = node.sources
        if node in reaching:
            sources = tuple(one if one.device == device else copied[one, device] for one in sources)
        if node in weights:
            sources += (weights[node],)
        yield node, sources, True
        if node.kept:
            yield node, node.kept, False


def _splits(nodes: list[Node]) -> list[list[Node]]:
    """Runs of nodes on one device; a weight that is copied starts a new one, so that its place is reused."""
    splits: list[list[Node]] = []
    for node in nodes:
        if not splits or splits[-1][0].device != node.device or node.weight_bytes:
            splits.append([node])
        else:
            splits[-1].append(node)
    return splits


class _Blocks:
    """Free blocks of one buffer that may grow without end, as `ggml_dyn_tallocr` keeps them."""

    __slots__ = ("offsets", "peak_bytes", "sizes")

    def __init__(self) -> None:
        self.offsets = [0]
        self.sizes = [_ENDLESS]
        self.peak_bytes = 0

    def take(self, size: int) -> int:
        """Offset of a new tensor: the smallest block that holds it, the last one only if no other does."""
        sizes = self.sizes
        best = last = len(sizes) - 1
        best_size = _ENDLESS
        for index in range(last):
            if size <= sizes[index] <= best_size:
                best, best_size = index, sizes[index]
        offset = self.offsets[best]
        if best == last:
            self.peak_bytes = max(self.peak_bytes, offset + size)
        if sizes[best] == size:
            del sizes[best], self.offsets[best]
        else:
            sizes[best] -= size
            self.offsets[best] = offset + size
        return offset

    def give_back(self, offset: int, size: int) -> None:
        """Free a tensor and join it with the free blocks beside it."""
        offsets, sizes = self.offsets, self.sizes
        index = bisect_left(offsets, offset)
        joins_before = index > 0 and offsets[index - 1] + sizes[index - 1] == offset
        joins_behind = index < len(offsets) and offset + size == offsets[index]
        if joins_before:
            sizes[index - 1] += size
            if joins_behind:
                sizes[index - 1] += sizes[index]
                del offsets[index], sizes[index]
        elif joins_behind:
            offsets[index] = offset
            sizes[index] += size
        else:
            offsets.insert(index, offset)
            sizes.insert(index, size)


class _Layout:
    """The allocator's walk over the list."""

    def __init__(self, n_copies: int, *, copies_unused: bool) -> None:
        self.n_copies = n_copies
        self.copies_unused = copies_unused
        self.buffers: dict[str, _Blocks] = {}

    def run(self, inputs: list[Node], steps: list[_Step], copies: list[Node]) -> dict[str, int]:
        for _, sources, _ in steps:
            for source in sources:
                source.n_uses += 1
        if self.n_copies > 1:
            read = (one for one in inputs if one.is_input and (one.n_uses or self.copies_unused))
            self._place_copies((*read, *copies))
        for node in inputs:
            self._place(node)
        for node, sources, is_computed in steps:
            if is_computed and not node.placed_bytes and not (node.in_place and _take_over(node, sources)):
                self._place(node)
            for source in sources:
                source.n_uses -= 1
                if not source.n_uses and source.placed_bytes and not source.is_output:
                    self.buffers[source.device].give_back(source.offset, source.placed_bytes)
                    source.placed_bytes = 0
        return {device: buffer.peak_bytes for device, buffer in self.buffers.items()}

    def _place_copies(self, nodes: tuple[Node, ...]) -> None:
        """Copies that take turns: they are never freed."""
        for node in nodes:
            for _ in range(self.n_copies - 1):
                self._buffer(node.device).take(_aligned(node.size_bytes))
            self._place(node)
            node.is_output = True

    def _buffer(self, device: str) -> _Blocks:
        buffer = self.buffers.get(device)
        if buffer is None:
            buffer = self.buffers[device] = _Blocks()
        return buffer

    def _place(self, node: Node) -> None:
        if node.placed_bytes or not node.size_bytes:
            return
        node.placed_bytes = _aligned(node.size_bytes + node.extra_bytes)
        node.offset = self._buffer(node.device).take(node.placed_bytes)


def _take_over(node: Node, sources: tuple[Node, ...]) -> bool:
    """Give the node the place of a source that nobody else needs."""
    for source in sources:
        is_free = source.n_uses == 1 and source.placed_bytes and not source.is_output
        if is_free and not source.is_viewed and source.size_bytes == node.size_bytes:
            node.offset, node.placed_bytes = source.offset, source.placed_bytes
            source.placed_bytes = 0
            return True
    return False


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
