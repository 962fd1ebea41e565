"""The leaves of a graph that the engine fills before it computes, and the embedded tokens.

Their order decides which holes lie where once they are freed, so it is that in which the engine's graph first
meets them. Source: llama.cpp b11434, `build_inp_embd`, `build_inp_pos`, `build_attn_inp_kv` in
`src/llama-graph.cpp`, `build_input_v_idxs` in `src/llama-kv-cache.cpp`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from bringup.plan.anatomy import Anatomy
from bringup.plan.builder import F32_BYTES, Builder
from bringup.plan.graph import Graph, Node
from bringup.plan.per_layer import has_own_rows, look_up
from bringup.plan.place import Placement
from bringup.plan.request import CPU
from bringup.plan.run import Run
from bringup.plan.sparse import add_indexers

_INDEX_BYTES: Final = 8
_TOKEN_BYTES: Final = 4

_VALUE_ROTATION: Final = 64
"""Width of the matrix for values; that for keys is the largest power of two in their head."""

_FOUR_POSITIONS: Final = frozenset({"qwen2vl", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "paddleocr"})
"""Families whose rotary positions are four numbers a token."""

_WITHOUT_ROPE: Final = frozenset(
    {
        *("gpt2", "gptj", "mpt", "refact", "bloom", "mamba", "mamba2", "jamba", "jina-bert-v2", "jais"),
        *("t5", "t5encoder", "wavtokenizer-dec", "nemotron_h", "nemotron_h_moe", "kimi-linear", "kimi-k3"),
        "glm5-next",
    }
)
"""Families without rotary positions (`llama_model_rope_type` in `src/llama-model.cpp`)."""

_NEVER_MIXED: Final = frozenset(
    {"cogvlm", "deepseek4", "graniteswitch", "eagle3", "dflash", "gemma4-assistant"}
)
"""`llm_arch_supports_mixed_batch` in `src/llama-arch.cpp`."""


_Pairs: TypeAlias = dict[bool, tuple[Node, Node]]


def add_inputs(
    graph: Graph, anatomy: Anatomy, placement: Placement, run: Run, *, offloads_cache: bool
) -> tuple[Builder, Node]:
    """The leaves, and the hidden state that the first layer starts from."""
    figures = anatomy.architecture
    has_mixed = run.has_mixed_batches and figures.name not in _NEVER_MIXED
    row, n_tokens = F32_BYTES * figures.n_embd * run.n_ubatch, run.n_ubatch
    tokens = graph.add_input(_TOKEN_BYTES * n_tokens, CPU)
    if run.takes_embeddings:
        graph.add_input(row, CPU)  # for batches that are embeddings: nothing in this graph reads it
    mixed: tuple[Node, ...] = ()
    if has_mixed:
        sizes = (_TOKEN_BYTES * n_tokens, _INDEX_BYTES * n_tokens, row)
        mixed = tuple(graph.add_input(size, CPU) for size in sizes)
    slots = graph.add_input(_TOKEN_BYTES * run.n_seq, CPU) if figures.recurrent else None
    n_positions = 4 if figures.name in _FOUR_POSITIONS else 1
    positions = graph.add_input(_TOKEN_BYTES * n_positions * n_tokens, CPU)
    kinds: list[tuple[_Pairs, _Pairs, dict[bool, Node]]] = []
    indexers = add_indexers(
        graph, anatomy, placement, run, lambda: kinds.append(_add_cache_inputs(graph, anatomy, run))
    )
    cells, rotations, masks = kinds[0]
    out_rows = graph.add_input(_TOKEN_BYTES * run.n_outputs, CPU)
    has_rope = figures.name not in _WITHOUT_ROPE
    build = Builder(
        graph, run, placement.cards, masks, n_tokens, positions, cells, rotations, out_rows, slots, has_rope
    )
    build.indexers = indexers
    embedded = graph.add(row, tokens, device=CPU)
    if has_own_rows(anatomy):
        own_tokens = graph.add_input(_TOKEN_BYTES * n_tokens, CPU)
        if mixed:
            _add_mixed(build, CPU, row, mixed)
        build.own_rows = look_up(build, anatomy, placement, embedded, own_tokens).inputs
    elif mixed:
        device = _first_device(build, anatomy, placement, offloads_cache=offloads_cache)
        _add_mixed(build, device, row, mixed)
    return build, embedded


def _add_cache_inputs(graph: Graph, anatomy: Anatomy, run: Run) -> tuple[_Pairs, _Pairs, dict[bool, Node]]:
    """Cells, rotations and masks, for full and for sliding layers in order of appearance."""
    figures = anatomy.architecture
    cells: _Pairs = {}
    rotations: _Pairs = {}
    masks: dict[bool, Node] = {}
    widest = max((layer.n_embd_v for layer in anatomy.caches.values()), default=1)
    for layer in anatomy.caches.values():
        if layer.is_swa in masks:
            continue
        n_head_k = figures.n_embd_head_k_swa if layer.is_swa else figures.n_embd_head_k
        n_head_v = figures.n_embd_head_v_swa if layer.is_swa else figures.n_embd_head_v
        turn_k = n_head_k & -n_head_k if run.is_rotated(run.type_k, n_head_k) else 0
        turn_v = _VALUE_ROTATION if layer.n_embd_v and run.is_rotated(run.type_v, n_head_v) else 0
        rotation_k, rotation_v = (graph.add_input(F32_BYTES * turn * turn, CPU) for turn in (turn_k, turn_v))
        rotations[layer.is_swa] = (rotation_k, rotation_v)
        keys = graph.add_input(_INDEX_BYTES * run.n_ubatch if run.lists_cells else 0, CPU)
        # Without the fused kernels values are kept turned, and each of their elements has a cell of its own.
        values = keys
        if layer.n_embd_v and run.lists_cells:
            width = 1 if run.flash_attention else widest
            values = graph.add_input(_INDEX_BYTES * run.n_ubatch * width, CPU)
        cells[layer.is_swa] = (keys, values)
        n_cells = run.swa_cells if layer.is_swa else run.cells
        masks[layer.is_swa] = graph.add_input(run.mask_element_bytes * n_cells * run.n_ubatch, CPU)
    if masks:  # a layer without a cache of its own looks at what is there
        for kind in (cells, rotations):
            kind.setdefault(False, next(iter(kind.values())))
        masks.setdefault(False, next(iter(masks.values())))
    elif any(figures.n_head) and not figures.recurrent:  # no cache at all: the mask is over the batch itself
        nothing = graph.add_input(0, CPU)
        for is_swa in sorted({False, *figures.swa_layers}):
            cells[is_swa] = rotations[is_swa] = (nothing, nothing)
            masks[is_swa] = graph.add_input(run.mask_element_bytes * run.n_ubatch * run.n_ubatch, CPU)
    return cells, rotations, masks


def _first_device(build: Builder, anatomy: Anatomy, placement: Placement, *, offloads_cache: bool) -> str:
    """Where the first node behind the embeddings is computed: what precedes it follows it there."""
    if not placement.layers:
        return CPU
    # Some families read their states before the first norm: where those lie in main memory, that is first.
    first = set(anatomy.layers[0])
    is_mamba = "ssm_in.weight" in first and "ssm_ba.weight" not in first and "attn_output.weight" not in first
    reads_first = is_mamba or "shortconv.in_proj.weight" in first
    if reads_first and (placement.layers[0] == CPU or not offloads_cache):
        return CPU
    return build.computes_on(placement.layers[0])


def _add_mixed(build: Builder, device: str, row: int, mixed: tuple[Node, ...]) -> None:
    """The branch for batches of tokens and embeddings, which is there though nothing reads it."""
    tokens, slots, embeddings = mixed
    rows = build.graph.add(row, tokens, device=CPU)
    copy = build.graph.add(row, embeddings, device=device)
    copy.is_output = True  # its only user is a view that nothing reads, so it is never freed
    build.graph.add(0, rows, slots, copy, device=device)
