"""Sparse attention: an indexer chooses what a token attends to (DeepSeek 3.2, GLM 5, Dots 3).

Its keys lie in a cache of their own. Each layer makes a mask of its own from a block of zeros that is there
from the start of the graph: what these take grows with the layers.

Source: llama.cpp b11434, `src/models/deepseek32.cpp`, `build_attn` for `llm_graph_input_attn_k_dsa` in
`src/llama-graph.cpp`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bringup.model import families
from bringup.plan.anatomy import Anatomy
from bringup.plan.builder import OFFLOAD_LEAST_TOKENS, Indexers
from bringup.plan.graph import Graph
from bringup.plan.place import Placement
from bringup.plan.request import CPU
from bringup.plan.run import Run

_ELEMENT_BYTES: Final = 4
_INDEX_BYTES: Final = 8


_SHIFTED: Final = frozenset({"arwkv7", "rwkv6", "rwkv6qwen2", "rwkv7"})
"""Families that mix each token with the one before, several ways at once (RWKV)."""

_STREAMS: Final = {
    **{"deepseek4": 2.5, "glm5-next": 3.0, "hy_v4": 1.5, "qwen4exp": 3.5},
    **dict.fromkeys(_SHIFTED, 16.0),
}
"""Residuals with all their streams that a compute buffer holds beside what is laid out; rows of RWKV.

From dry runs of b11434 on one model of each family (of RWKV 7 for all of that), eight settings each."""

_LATER_STREAMS: Final = {"deepseek4": 8, "glm5-next": 8, "hy_v4": 22, "qwen4exp": 8}
"""Further ones on the later of several cards that work at once: what they are given lies there four times."""

_MASKS_OF_ONE_SLOT: Final = 2.25
_MASKS_OF_MORE_SLOTS: Final = 0.5
"""Masks of MiniMax M3 for each head of its indexers over the window of a slot, likewise."""


def is_laid_out(anatomy: Anatomy) -> bool:
    """Whether the graph of this family's indexers is known node by node."""
    figures = anatomy.architecture
    return figures.name in families.INDEXED_LAID_OUT and bool(figures.index_layers)


def block_mask_elements(anatomy: Anatomy, run: Run) -> int:
    """Elements a token of the masks that each head of an indexer has over the window (MiniMax M3)."""
    is_sparse = _has_block_masks(anatomy) and run.flash_attention and run.n_stream == run.n_seq
    factor = _MASKS_OF_ONE_SLOT if run.n_seq == 1 else _MASKS_OF_MORE_SLOTS
    return int(factor * anatomy.architecture.n_index_head * run.cells) if is_sparse else 0


def stream_elements(anatomy: Anatomy, *, is_later: bool) -> int:
    """Elements a token of the rows that live at once; `is_later` on all cards but the first."""
    figures = anatomy.architecture
    factor = _STREAMS.get(figures.name, 0.0) + (_LATER_STREAMS.get(figures.name, 0) if is_later else 0)
    streams = 1 if figures.name in _SHIFTED else figures.n_residual
    return int(factor * streams * figures.n_embd)


def _has_block_masks(anatomy: Anatomy) -> bool:
    figures = anatomy.architecture
    return figures.name == families.INDEXED_WITH_VALUES and bool(figures.index_layers)


def is_estimated(anatomy: Anatomy) -> bool:
    """Whether part of the compute buffer is estimated, not laid out."""
    return _has_block_masks(anatomy) or anatomy.architecture.name in _STREAMS


def add_indexers(
    graph: Graph,
    anatomy: Anatomy,
    placement: Placement,
    run: Run,
    add_masks: Callable[[], None],
) -> Indexers | None:
    """Leaves of the indexers; `None` for a model without, or one whose graph is not known.

    Args:
        graph: where they go.
        anatomy: the model.
        placement: of its layers.
        run: sizes of the run.
        add_masks: adds the other leaves of attention, which come behind those of the first indexer.
    """
    if not is_laid_out(anatomy):
        add_masks()
        return None
    figures = anatomy.architecture
    n_top = min(run.cells, figures.n_index_top)
    size = _ELEMENT_BYTES * n_top * run.n_ubatch
    sparse = [layer.index for layer in figures.cache_layers if not layer.is_swa]
    width = figures.index_layers[0].n_embd_k
    is_offloaded = bool(placement.cards) and run.offloads_ops and run.n_ubatch >= OFFLOAD_LEAST_TOKENS
    devices = {
        index: placement.cards[0]
        if is_offloaded and placement.layers[index] == CPU
        else placement.layers[index]
        for index in sparse
    }
    zeros = {index: graph.add_leaf(size, devices[index]) for index in sparse[:1]}
    mask = graph.add_input(run.mask_element_bytes * run.cells * run.n_ubatch, CPU)
    cells = graph.add_input(_INDEX_BYTES * run.n_ubatch, CPU)
    rotation = graph.add_input(_ELEMENT_BYTES * width * width, CPU)
    add_masks()
    zeros |= {index: graph.add_leaf(size, devices[index]) for index in sparse[1:]}
    return Indexers(mask, cells, rotation, zeros, n_top)
