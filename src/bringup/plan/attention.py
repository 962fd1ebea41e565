"""The nodes of attention, by the tensors that the file has for a layer.

What a layer computes is read off its tensors: a bias adds a node, a fused matrix makes views of one
result. Order and sharing follow `src/llama-graph.cpp` and `src/models/*.cpp` of llama.cpp b11434; nodes of
a few bytes are left out.
"""

from __future__ import annotations

from bringup.plan.builder import F32_BYTES, Builder, LayerPlan, is_cuda, is_metal
from bringup.plan.graph import Node
from bringup.plan.kv_cache import row_bytes
from bringup.plan.request import CPU
from bringup.plan.run import Run


def add_attention(build: Builder, layer: LayerPlan, source: Node) -> Node:
    """From the normed input of a layer to the result of its attention."""
    result, gate = start_attention(build, layer, source)
    if not layer.has_experts:
        build.read_ahead()
    return finish_attention(build, layer, source, result, gate)


def start_attention(build: Builder, layer: LayerPlan, source: Node) -> tuple[Node, Node | None]:
    """Queries, keys, values and what comes of them; and the matrix that a gate is half of."""
    is_sparse = build.indexers is not None and layer.index in build.indexers.zeros
    if is_sparse and layer.has("indexer.attn_k"):
        _keep_index(build, layer, source)
    if layer.has("attn_kv_a_mqa"):
        query, gate, key, value = _latent(build, layer, source)
        value = None if value is None else _rotate_value(build, layer, value)
    else:
        query, gate, key, value = _project(build, layer, source)
    _store(build, layer, key, value)
    if is_sparse:
        return _attend(build, layer, query, mask=_sparse_mask(build, layer, source, query.device)), gate
    return _attend(build, layer, query), gate


def finish_attention(build: Builder, layer: LayerPlan, source: Node, result: Node, gate: Node | None) -> Node:
    """Gate and output matrix."""
    if layer.has("attn_v_b"):
        size = F32_BYTES * build.n_tokens * layer.n_head * layer.tensors["attn_v_b.weight"].shape[1]
        if build.run.flash_attention:
            result = build.with_weight(layer, "attn_v_b.weight", size, result)
        result = build.beside(result, size=size, in_place=False)
    if build.run.is_rotated(build.run.type_v, layer.n_head_v):
        result = build.beside(result, build.rotations[layer.is_swa][1], in_place=False)
    if (
        gate is not None
    ):  # the half of the joint matrix that is no query; its place is taken, not the result's
        gate = build.beside(gate, size=gate.size_bytes // 2, in_place=False)
        result = build.beside(build.beside(gate), result)
    elif layer.has("attn_gate") and layer.state is None:
        result = build.beside(result, build.beside(build.multiply(layer, "attn_gate", source)))
    result = build.norm(layer, "attn_sub_norm", result)
    return build.multiply(layer, "attn_output", result) if layer.has("attn_output") else result


def _project(
    build: Builder, layer: LayerPlan, source: Node
) -> tuple[Node, Node | None, Node | None, Node | None]:
    """Query, the matrix that its gate is half of, key and value."""
    width = F32_BYTES * build.n_tokens
    n_query = layer.n_head * layer.n_head_k
    if layer.has("attn_qkv"):
        fused = build.multiply(layer, "attn_qkv", source)
        query = build.beside(fused, size=width * n_query, in_place=False)
        query = _rotate(build, layer, query)
        value = _rotate_value(build, layer, fused)
        key = build.beside(fused, size=width * layer.n_head_kv * layer.n_head_k, in_place=False)
        return query, None, _rotate(build, layer, key), value
    query = _in_heads(build.multiply(layer, "attn_q", source))
    gate = None
    if layer.tensors["attn_q.weight"].shape[1] == 2 * n_query:
        gate = query
        query = build.beside(gate, size=width * n_query, in_place=False)
    query = build.rope(build.norm(layer, "attn_q_norm", query))
    query = _rotate(build, layer, query)
    if layer.cache is None or not layer.has("attn_k"):
        return query, gate, None, None
    if not layer.has("attn_v"):  # full layers of Gemma 4: the keys before their norm serve as values
        key = build.multiply(layer, "attn_k", source)
        value = build.beside(key, in_place=False)
        key = _finished_key(build, layer, key)
        return query, gate, key, _rotate_value(build, layer, value)
    if True in build.masks:  # with two caches the keys come first
        key = _finished_key(build, layer, build.multiply(layer, "attn_k", source))
        value = build.multiply(layer, "attn_v", source)
        value = build.beside(value, in_place=False) if build.norms_values else value
        return query, gate, key, _rotate_value(build, layer, value)
    value = _rotate_value(build, layer, build.multiply(layer, "attn_v", source))
    return query, gate, _finished_key(build, layer, build.multiply(layer, "attn_k", source)), value


def _finished_key(build: Builder, layer: LayerPlan, key: Node) -> Node:
    """Norm, rotary positions, rotation."""
    return _rotate(build, layer, build.rope(build.norm(layer, "attn_k_norm", _in_heads(key))))


def _in_heads(node: Node) -> Node:
    """The same, seen as heads from here on."""
    node.is_viewed = True
    return node


def _rotate(build: Builder, layer: LayerPlan, node: Node) -> Node:
    """A quantised cache keeps rotated keys, so that outliers are spread."""
    if not build.run.is_rotated(build.run.type_k, layer.n_head_k):
        return node
    return build.beside(node, build.rotations[layer.is_swa][0], in_place=False)


def _rotate_value(build: Builder, layer: LayerPlan, value: Node) -> Node:
    """The same with values; they are met before the keys where a model has one cache."""
    if not build.run.is_rotated(build.run.type_v, layer.n_head_v):
        return value
    size = F32_BYTES * build.n_tokens * layer.n_head_kv * layer.n_head_v
    return build.beside(value, build.rotations[layer.is_swa][1], size=size, in_place=False)


def _latent(
    build: Builder, layer: LayerPlan, source: Node
) -> tuple[Node, Node | None, Node | None, Node | None]:
    """DeepSeek's attention: keys and values come from one narrow row."""
    width = F32_BYTES * build.n_tokens
    if layer.has("attn_q_a"):
        narrow = build.norm(layer, "attn_q_a_norm", build.multiply(layer, "attn_q_a", source))
        build.narrow = narrow
        query = build.multiply(layer, "attn_q_b", narrow)
    else:
        query = build.multiply(layer, "attn_q", source)
    n_latent = layer.tensors["attn_kv_a_norm.weight"].shape[0]
    n_rope = layer.tensors["attn_kv_a_mqa.weight"].shape[1] - n_latent
    if layer.has("attn_k_b"):
        absorbed = build.with_weight(layer, "attn_k_b.weight", width * layer.n_head * n_latent, query)
        rotated = build.beside(query, size=width * layer.n_head * n_rope, in_place=False)
        query = build.beside(
            absorbed, rotated, size=width * layer.n_head * (n_latent + n_rope), in_place=False
        )
        joint = build.multiply(layer, "attn_kv_a_mqa", source)
        latent = build.norm(
            layer, "attn_kv_a_norm", build.beside(joint, size=width * n_latent, in_place=False)
        )
        key = build.beside(latent, joint, size=width * (n_latent + n_rope), in_place=False)
        return query, None, key, latent
    query = build.rope(query)
    joint = build.multiply(layer, "attn_kv_a_mqa", source)
    latent = build.norm(layer, "attn_kv_a_norm", build.beside(joint, size=width * n_latent, in_place=False))
    both = build.multiply(layer, "attn_kv_b", latent)
    value = build.beside(both, size=width * layer.n_head * layer.n_head_v, in_place=False)
    rope = build.beside(joint, size=width * n_rope, in_place=False)
    repeated = build.beside(rope, size=width * layer.n_head * n_rope, in_place=False)
    key = build.beside(both, repeated, size=width * layer.n_head * layer.n_head_k, in_place=False)
    return query, None, key, value


def _store(build: Builder, layer: LayerPlan, key: Node | None, value: Node | None) -> None:
    if key is None or value is None or layer.cache is None:
        return
    keys, values = build.cells[layer.is_swa]
    build.graph.add(0, key, keys, device=layer.cache_device)
    build.graph.add(0, value, values, device=layer.cache_device)


def _keep_index(build: Builder, layer: LayerPlan, source: Node) -> None:
    """The key of an indexer: projected, normed, turned by position and by a matrix, kept."""
    if build.indexers is None:
        return
    key = build.norm(layer, "indexer.k_norm", build.multiply(layer, "indexer.attn_k", source))
    turned = build.beside(key, build.positions, in_place=False)
    key = build.beside(turned, build.indexers.rotation, in_place=False)
    build.graph.add(0, key, build.indexers.cells, device=layer.cache_device)


def _sparse_mask(build: Builder, layer: LayerPlan, source: Node, device: str) -> Node:
    """The mask of a layer with sparse attention: closed, but for what its indexer chose."""
    indexers = build.indexers
    given = build.mask(device, is_swa=False)
    if indexers is None:
        return given
    zeros = indexers.zeros[layer.index]
    filled = build.graph.add(zeros.size_bytes, zeros, device=device, in_place=True)
    if layer.has("indexer.attn_q_b"):
        size = F32_BYTES * indexers.n_top * build.n_tokens
        best = build.graph.add(size, _index_scores(build, layer, source), device=device)
        indexers.chosen = [build.beside(best, in_place=False)]
    closed = build.graph.add(given.size_bytes, given, device=device)
    build.graph.add(0, filled, *indexers.chosen, closed, device=device)
    return build.graph.add(given.size_bytes, closed, given, device=device)


def _index_scores(build: Builder, layer: LayerPlan, source: Node) -> Node:
    """Scores of all cells for each token, by the fused kernel of the indexers."""
    indexers = build.indexers
    if indexers is None:
        return source
    narrow = source if build.narrow is None else build.narrow
    query = build.multiply(layer, "indexer.attn_q_b", narrow)
    query = build.beside(query, build.positions, in_place=False)
    query = build.beside(query, indexers.rotation, in_place=False)
    weights = build.beside(build.multiply(layer, "indexer.proj", source), in_place=False)
    size = F32_BYTES * build.run.cells * build.n_tokens
    return build.graph.add(size, query, weights, indexers.mask, device=query.device)


def _attend(build: Builder, layer: LayerPlan, query: Node, *, mask: Node | None = None) -> Node:
    run = build.run
    cells = run.swa_cells if layer.is_swa else run.cells
    device = _attends_on(build, layer, query)
    mask = build.mask(device, is_swa=layer.is_swa) if mask is None else mask
    kept = cells * run.n_stream
    n_key, n_value = layer.n_head_kv * layer.n_head_k, layer.n_head_kv * layer.n_head_v
    keys: tuple[Node, ...] = ()
    values: tuple[Node, ...] = ()
    if layer.cache_device != device:
        keys = (Node(kept * row_bytes(run.type_k, n_key), layer.cache_device),)
        values = (Node(kept * row_bytes(run.type_v, n_value), layer.cache_device),)
    size = F32_BYTES * layer.n_head * layer.n_head_v * build.n_tokens
    if run.flash_attention:
        result = build.graph.add(size, query, *keys, *values, mask, device=device)
        result.is_viewed = True
        result.extra_bytes = _room_behind(build, layer, device, cells)
        return result
    scores = build.graph.add(F32_BYTES * cells * layer.n_head * build.n_tokens, *keys, query, device=device)
    scores = build.beside(scores, mask)
    summed = build.graph.add(size, *values, scores, device=device)
    return build.beside(summed, in_place=False)


def _attends_on(build: Builder, layer: LayerPlan, query: Node) -> str:
    """Beside its output matrix; beside its cache where a state in main memory is read between the two."""
    awaited = layer if layer.state is not None else None if layer.has_experts else build.awaited
    is_apart = awaited is not None and awaited.cache_device == layer.cache_device == CPU
    return CPU if is_apart else query.device


def _room_behind(build: Builder, layer: LayerPlan, device: str, cells: int) -> int:
    """What the fused kernels of a backend want behind their result."""
    run = build.run
    n_key, n_value = layer.n_head_kv * layer.n_head_k, layer.n_head_kv * layer.n_head_v
    kept = cells * run.n_stream
    if is_cuda(device):
        return _f16_copies(layer, run, kept, n_key, n_value) if run.reserves_copies else 0
    if not is_metal(device):
        return 0
    has_values = layer.cache is None or layer.cache.n_embd_v > 0
    copies = 2 * kept * (n_key + (n_value if has_values else 0)) if run.copies_any_cache else 0
    # Results of 32 groups for up to 32 tokens with their sums and maxima, a map of the mask, its ragged end.
    parts = F32_BYTES * min(build.n_tokens, 32) * layer.n_head * 32 * (layer.n_head_v + 2)
    blocks = -(-build.n_tokens // 8) * -(-cells // 64)
    ends = 64 * (row_bytes(run.type_k, n_key) + row_bytes(run.type_v, n_value) + 2 * build.n_tokens)
    return copies + parts + blocks + ends


def _f16_copies(layer: LayerPlan, run: Run, kept: int, n_key: int, n_value: int) -> int:
    """CUDA's kernels for many tokens read f16: copies of a cache of another type stand behind the result."""
    copies = 2 * kept * n_key if run.type_k != "f16" else 0
    has_values = layer.cache is None or layer.cache.n_embd_v > 0
    return copies + (2 * kept * n_value if run.type_v != "f16" and has_values else 0)
