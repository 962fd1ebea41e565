"""Recurrent layers: the state that they keep and the nodes that they compute.

Source: llama.cpp b11434, `src/llama-memory-recurrent.cpp`, `src/llama-hparams.cpp`
(widths), `src/models/mamba-base.cpp`, `src/models/delta-net-base.cpp`, `src/models/lfm2.cpp`.
"""

from __future__ import annotations

from collections.abc import Callable

from bringup.plan.builder import F32_BYTES, Builder, LayerPlan, StateSpace
from bringup.plan.graph import Node
from bringup.plan.request import CPU


def add_recurrent(
    build: Builder, layer: LayerPlan, source: Node, *, meanwhile: Callable[[], None] | None = None
) -> Node:
    """From the normed input of a layer to the result of its recurrence.

    Args:
        build: adds the nodes.
        layer: the layer.
        source: its normed input.
        meanwhile: adds what the engine's graph meets between a scan and what is made of its result.
    """
    state = layer.state
    if state is None:
        return source
    if layer.has("shortconv.in_proj"):
        return _short_convolution(build, layer, state, source)
    if layer.has("ssm_in") and not layer.has("ssm_ba"):
        return _mamba(build, layer, state, source, meanwhile)
    if layer.has("ssm_out"):
        return _delta_net(build, layer, state, source)
    return source


def _first_state(build: Builder, layer: LayerPlan, state: StateSpace) -> Node:
    """State of the convolution: as it was read ahead, or read here."""
    read, build.state_read = build.state_read, None
    return build.read_state(layer, state.n_embd_r) if read is None else read


def _done(build: Builder, layer: LayerPlan) -> None:
    """What is left of the layer comes behind the state of the next one, unless its experts are met first."""
    if not layer.has_experts:
        build.read_ahead()


def _keep(build: Builder, layer: LayerPlan, state: Node) -> None:
    """A state written back into the cache; where that lies elsewhere it is copied there first.

    The last columns of a convolution's input are a view that spans all of it, and the copy is as large.
    """
    if state.device != layer.cache_device:
        build.graph.add(0, state, device=layer.cache_device)


def _state_of(build: Builder, layer: LayerPlan, result: Node, n_state: int) -> None:
    """The state at the end of a recurrence's result, written back: that part alone is copied."""
    if result.device != layer.cache_device:
        _keep(build, layer, Node(F32_BYTES * n_state * build.run.n_seq, result.device))


def _n_states(build: Builder, state: StateSpace) -> int:
    """Elements of the states behind a recurrence: one more for each drafted token that may be taken back."""
    return state.n_embd_s * (1 + build.run.n_rollback)


def _scan_device(layer: LayerPlan) -> str:
    """A scan is computed where its matrix lies if that is a card, else where its states do."""
    device = layer.devices.get("ssm_a", CPU)
    return layer.cache_device if device == CPU else device


def _scan(build: Builder, layer: LayerPlan, sources: tuple[Node, ...], size: int) -> Node:
    """The scan reads its states in the cache.

    Behind it the states of all slots but the first are gathered once more, for those that no token is of.
    """
    state, n_others = layer.state, build.run.n_seq - 1
    device = _scan_device(layer)
    if state is not None and device != layer.cache_device:
        kept = F32_BYTES * state.n_embd_s * build.run.n_seq
        sources += (Node(kept, layer.cache_device), Node(kept, layer.cache_device))
    scanned = build.graph.add(size, *sources, device=device)
    if state is not None:
        _state_of(build, layer, scanned, _n_states(build, state))
    if state is not None and n_others and build.slots is not None:
        others = F32_BYTES * state.n_embd_s * n_others
        gathered = build.graph.add(others, build.slots, device=layer.cache_device)
        build.graph.add(0, gathered, device=layer.cache_device)
    return scanned


def _short_convolution(build: Builder, layer: LayerPlan, state: StateSpace, source: Node) -> Node:
    width = F32_BYTES * build.n_tokens * (layer.tensors["shortconv.out_proj.weight"].shape[0])
    gathered = _first_state(build, layer, state)
    joint = build.multiply(layer, "shortconv.in_proj", source)
    product = build.beside(joint, size=width, in_place=False)
    tail = F32_BYTES * state.n_embd_r * build.run.n_seq
    longer = build.graph.add(width + tail, gathered, product, device=product.device)
    _keep(build, layer, longer)
    _done(build, layer)
    result = build.beside(longer, size=width, in_place=False)
    gated = build.beside(result, joint)
    return _flat(build.multiply(layer, "shortconv.out_proj", gated))


def _mamba(
    build: Builder,
    layer: LayerPlan,
    state: StateSpace,
    source: Node,
    meanwhile: Callable[[], None] | None,
) -> Node:
    """Mamba and Mamba 2: one projection, a convolution, a scan with its states behind the result."""
    rows = F32_BYTES * build.n_tokens
    tail = F32_BYTES * state.n_embd_r * build.run.n_seq
    gathered = _first_state(build, layer, state)
    joint = build.multiply(layer, "ssm_in", source)
    longer = build.beside(joint, gathered, size=rows * state.n_convolved + tail, in_place=False)
    _keep(build, layer, longer)
    convolved = build.beside(longer, size=rows * state.n_convolved, in_place=False)
    convolved = build.beside(convolved)
    size = rows * state.n_inner + F32_BYTES * _n_states(build, state) * build.run.n_seq
    if state.n_convolved > state.n_inner:
        scanned = _second_scan(build, layer, joint, convolved, size)
    else:
        scanned = _scan(build, layer, (convolved, *_steps(build, layer, convolved)), size)
    if meanwhile is not None:
        meanwhile()
    _done(build, layer)
    at = joint.device if meanwhile is not None else build.follows(joint.device)
    inner = rows * state.n_inner
    gate = build.graph.add(inner, joint, device=at)
    if state.n_convolved > state.n_inner:
        return _second_mamba(build, layer, convolved, gate, scanned)
    direct = build.beside(convolved, size=inner)
    summed = build.beside(direct, scanned)
    result = build.graph.add(inner, gate, summed, device=summed.device)
    return _flat(build.multiply(layer, "ssm_out", build.norm(layer, "ssm_norm", result)))


def _steps(build: Builder, layer: LayerPlan, convolved: Node) -> tuple[Node, ...]:
    """Steps of Mamba, and what else its scan reads: views of one projection, or what norms make of them."""
    rows = F32_BYTES * build.n_tokens
    both = build.multiply(layer, "ssm_x", convolved)
    n_steps = layer.tensors["ssm_dt.weight"].shape[0]
    narrow = build.beside(both, size=rows * n_steps, in_place=False)
    steps = build.multiply(layer, "ssm_dt", narrow)
    if not (layer.has("ssm_b_norm") and layer.has("ssm_c_norm")):
        return steps, both
    n_state = (both.size_bytes // rows - n_steps) // 2
    sides = (build.beside(both, size=rows * n_state, in_place=False) for _ in range(2))
    return steps, *sides


def _second_scan(build: Builder, layer: LayerPlan, joint: Node, convolved: Node, size: int) -> Node:
    n_heads = layer.tensors["ssm_dt.bias"].n_elements if "ssm_dt.bias" in layer.tensors else 1
    steps = build.beside(joint, size=F32_BYTES * build.n_tokens * n_heads, in_place=False)
    views: tuple[Node, ...] = (convolved,)
    if _scan_device(layer) != convolved.device:  # three views of one result, each as wide as all of it
        views += (Node(convolved.size_bytes, convolved.device), Node(convolved.size_bytes, convolved.device))
    return _scan(build, layer, (*views, steps), size)


def _second_mamba(build: Builder, layer: LayerPlan, convolved: Node, gate: Node, scanned: Node) -> Node:
    """Mamba 2 behind its scan."""
    direct = build.beside(convolved, size=gate.size_bytes, in_place=False)
    result = build.beside(direct, scanned)
    result = build.graph.add(gate.size_bytes, gate, result, device=result.device)
    return build.multiply(layer, "ssm_out", build.norm(layer, "ssm_norm", _flat(result)))


def _delta_net(build: Builder, layer: LayerPlan, state: StateSpace, source: Node) -> Node:
    """Gated delta net of Qwen3-Next and later, with its fused kernel."""
    rows = F32_BYTES * build.n_tokens
    n_keys = (state.n_convolved - state.n_inner) // 2
    tail = F32_BYTES * state.n_embd_r * build.run.n_seq
    gathered = _first_state(build, layer, state)
    joint = build.multiply(layer, "attn_qkv", source) if layer.has("attn_qkv") else source
    size = rows * state.n_convolved + tail
    longer = build.graph.add(size, gathered, joint, device=joint.device)
    _keep(build, layer, longer)
    kept = build.read_state(layer, state.n_embd_s)
    convolved = build.beside(longer, size=rows * state.n_convolved, in_place=False)
    convolved = build.beside(convolved)
    heads = [build.beside(convolved, size=rows * n_keys, in_place=False)]
    if layer.has("ssm_ba"):  # Qwen3-Next repeats the heads of queries and keys
        heads = [build.beside(heads[0], size=rows * state.n_inner, in_place=False)]
    heads.append(build.beside(convolved, size=rows * n_keys, in_place=False))
    if layer.has("ssm_ba"):
        heads[1] = build.beside(heads[1], size=rows * state.n_inner, in_place=False)
        both = build.multiply(layer, "ssm_ba", source)
        half = both.size_bytes // 2
        gates = [build.beside(both, size=half, in_place=False), build.beside(both, size=half, in_place=False)]
    else:
        gates = [build.multiply(layer, name, source) for name in ("ssm_alpha", "ssm_beta") if layer.has(name)]
    size = rows * state.n_inner + F32_BYTES * _n_states(build, state) * build.run.n_seq
    result = build.beside(*heads, convolved, *gates, kept, size=size, in_place=False)
    _state_of(build, layer, result, _n_states(build, state))
    _done(build, layer)
    normed = build.beside(build.beside(result, size=rows * state.n_inner, in_place=False))
    gate = build.multiply(layer, "attn_gate", source) if layer.has("attn_gate") else source
    gate = build.beside(gate, in_place=False)
    return _flat(build.multiply(layer, "ssm_out", build.beside(normed, gate)))


def _flat(node: Node) -> Node:
    """The same, its sequences in one row from here on."""
    node.is_viewed = True
    return node
