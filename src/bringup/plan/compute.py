"""Compute buffers of every device: one worst-case prompt graph, laid out as the engine's allocator does.

Source: llama.cpp b11434, `llama_context::sched_reserve` (what is reserved), `src/llama-graph.cpp`
(inputs), and the modules that add the nodes of a layer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import field

from bringup.plan.altup import add_streams_layer, gather, has_streams, spread
from bringup.plan.anatomy import Anatomy, alike_layers
from bringup.plan.attention import add_attention, finish_attention, start_attention
from bringup.plan.builder import F32_BYTES, Builder, LayerPlan, Order, StateSpace
from bringup.plan.feed_forward import add_feed_forward
from bringup.plan.graph import PIPELINE_COPIES, Graph, Node, measure
from bringup.plan.inputs import add_inputs
from bringup.plan.kv_cache import LayerCache
from bringup.plan.per_layer import add_own_rows
from bringup.plan.place import Placement
from bringup.plan.recurrent import add_recurrent
from bringup.plan.request import CPU, SplitMode
from bringup.plan.run import Run
from bringup.records import dataclass, replace

_LATE_OUTPUTS = frozenset(
    {
        *("bailingmoe3", "cohere2moe", "gemma4", "gpt-oss", "hy_v3", "nemotron_h", "nemotron_h_moe"),
        *("qwen35", "qwen35moe", "qwen3next", "step35"),
    }
)
"""Families whose last layer is computed for every token, since drafting may want its result."""

_ALL_OUTPUTS = frozenset({"cogvlm"})
"""Families that make logits for every token whatever is asked for."""

_COPIED_LOGITS = frozenset({"chameleon"})
"""Families that write into a copy of the logits (words that stand for parts of pictures)."""

_KEPT_SCORES: Mapping[str, float] = {"t5": 4.5}
"""Families whose layers are not laid out: so many times the scores of one layer, seen from above."""

_ORDERS: Mapping[str, Order] = {"falcon": Order.RESIDUAL_LAST, "phi2": Order.ATTENTION_FIRST}
"""Of what families with attention and a feed-forward part beside each other compute and add."""

_NORMED_VALUES = frozenset({"gemma3n", "gemma4"})
"""Families whose values have a norm without a weight."""

_ROPE_IN_WINDOWS = frozenset({"cohere2"})
"""Families that turn heads by their position in sliding layers only."""

_RESIDUAL_FIRST = frozenset({"jamba", "lfm2", "lfm2moe"})
"""Families that add to the residual, not the residual to the result: a sum takes its first source's place."""

_KEPT_ALIKE = 3
"""Of a pattern of layers that repeats so many rounds are laid out: what comes after changes nothing."""
_LONGEST_PATTERN = 8


@dataclass(slots=True)
class Layouts:
    """Compute buffers of one model; a layout that was made once is kept.

    Attributes:
        anatomy: the model.
        is_estimated: layers lack tensors that their family has, so that sizes are an estimate from above.
    """

    anatomy: Anatomy
    is_estimated: bool = False
    _known: dict[Hashable, dict[str, int]] = field(default_factory=dict)
    _signs: dict[Hashable, int] = field(default_factory=dict)
    _numbers: dict[Hashable, int] = field(default_factory=dict)
    _alike: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._alike = alike_layers(self.anatomy.layers)

    def compute_bytes(self, placement: Placement, run: Run, *, offloads_cache: bool = True) -> dict[str, int]:
        """Bytes of the compute buffer of each device; main memory holds the inputs too."""
        signs = tuple(self._sign(placement, index) for index in range(self.anatomy.architecture.n_layer))
        chosen = _distinct_layers(signs)
        pipelines = is_pipelined(placement, offloads_cache=offloads_cache)
        key = (run, placement.output, pipelines, offloads_cache, tuple(signs[index] for index in chosen))
        if key not in self._known:
            sizes = self._sizes(placement, run, chosen, offloads_cache=offloads_cache, is_pipelined=pipelines)
            self._known[key] = {device: sizes.get(device, 0) for device in (*placement.cards, CPU)}
        return self._known[key]

    def _sizes(
        self, placement: Placement, run: Run, chosen: list[int], *, offloads_cache: bool, is_pipelined: bool
    ) -> dict[str, int]:
        if not self.anatomy.caches:  # without a cache tokens look at their own batch only
            run = replace(run, n_ctx_seq=run.n_ubatch)
        try:
            graph = _build(self.anatomy, placement, run, chosen, offloads_cache=offloads_cache)
        except KeyError:  # a tensor that every layer of the family has
            self.is_estimated = True
            return _estimate(self.anatomy, placement, run)
        n_copies = PIPELINE_COPIES if is_pipelined else 1
        sizes = measure(graph, n_copies=n_copies, copies_unused=run.has_mixed_batches)
        figures = self.anatomy.architecture
        if (times := _KEPT_SCORES.get(figures.name)) is None:
            return sizes
        self.is_estimated = True
        scores = int(times * F32_BYTES * run.cells * run.n_ubatch * max(figures.n_head))
        return {device: size + scores for device, size in sizes.items()}

    def _sign(self, placement: Placement, index: int) -> int:
        """A number for all that are laid out as this layer; without rules by name, worked out once."""
        place = (placement.layers[index], index < placement.n_cpu_moe, bool(placement.cards))
        kind = (self.anatomy.architecture.swa_layers[index], index in self.anatomy.caches)
        key = (self._alike[index], *kind, *place)
        number = None if placement.overrides else self._signs.get(key)
        if number is None:
            sign = _sign(self.anatomy, placement, index)
            number = self._numbers.setdefault(sign, len(self._numbers))
            if not placement.overrides:
                self._signs[key] = number
        return number


def compute_bytes(
    anatomy: Anatomy, placement: Placement, run: Run, *, offloads_cache: bool = True
) -> dict[str, int]:
    """Bytes of the compute buffer of each device; main memory holds the inputs too."""
    return Layouts(anatomy).compute_bytes(placement, run, offloads_cache=offloads_cache)


def _estimate(anatomy: Anatomy, placement: Placement, run: Run) -> dict[str, int]:
    """Sizes from above where the layers are not of a form that is known: mask, live rows, logits."""
    figures = anatomy.architecture
    widest = max((*(figures.n_ff or (0,)), *(figures.n_ff_exp or (0,)), figures.n_embd))
    rows = 8 * figures.n_embd + 3 * widest * max(1, figures.n_expert_used)
    size = run.mask_element_bytes * run.cells * run.n_ubatch + F32_BYTES * run.n_ubatch * rows
    size += F32_BYTES * (figures.n_vocab or 0) * run.n_outputs
    return dict.fromkeys((*placement.cards, CPU), size)


def is_pipelined(placement: Placement, *, offloads_cache: bool) -> bool:
    """Whether several cards work on different batches at once, which needs copies of the inputs."""
    return (
        placement.may_pipeline
        and len(placement.cards) > 1
        and placement.mode is SplitMode.LAYER
        and CPU not in (*placement.layers, placement.output)
        and not placement.is_overridden
        and offloads_cache
    )


def _build(
    anatomy: Anatomy, placement: Placement, run: Run, chosen: list[int], *, offloads_cache: bool
) -> Graph:
    graph = Graph()
    build, hidden = add_inputs(graph, anatomy, placement, run, offloads_cache=offloads_cache)
    plans = [layer_plan(anatomy, placement, index, offloads_cache=offloads_cache) for index in chosen]
    name = anatomy.architecture.name
    has_all_outputs = name in _ALL_OUTPUTS
    streams = has_streams(anatomy)
    if streams:
        hidden = spread(build, anatomy, placement, hidden)
    has_late_outputs = has_all_outputs or streams or (run.has_late_outputs and name in _LATE_OUTPUTS)
    build.order = _ORDERS.get(name, Order.RESIDUAL_FIRST)
    build.norms_values = name in _NORMED_VALUES
    build.adds_to_residual = name in _RESIDUAL_FIRST
    has_rope, only_windows = build.has_rope, name in _ROPE_IN_WINDOWS
    build.awaited = _awaited(plans)
    build.read_ahead()
    for place, layer in enumerate(plans):
        if layer.is_mixed:
            build.awaited = _awaited(plans[place + 1 :])
        build.has_rope = has_rope and (layer.is_swa or not only_windows)
        is_last = place == len(plans) - 1 and not has_late_outputs
        if streams:
            hidden = add_streams_layer(build, layer, hidden)
        else:
            hidden = _add_layer(build, layer, hidden, is_last=is_last)
    if streams:
        hidden = gather(build, anatomy, placement, hidden)
    if has_late_outputs and not has_all_outputs:
        hidden = _only_outputs(build, hidden)
        build.n_tokens = run.n_outputs
    _add_output(build, anatomy, placement, hidden)
    return graph


def _awaited(plans: Iterable[LayerPlan]) -> LayerPlan | None:
    """The first of these layers that is no plain feed-forward part, if it begins with a state of its own."""
    first = next((one for one in plans if one.is_mixed), None)
    return first if first is not None and first.reads_state else None


def keeps_fused_attention(anatomy: Anatomy, placement: Placement, *, offloads_cache: bool) -> bool:
    """Whether the engine, left to choose, uses the fused kernels where the device has them.

    It does not where it finds one on another device than its layer: where the last layer in main memory
    attends and the first one on a card begins with a state, the kernel comes behind that state and goes to
    the card; with caches and states in main memory all such kernels stay there.
    """
    layers = placement.layers
    if anatomy.architecture.recurrent is None or layers[-1] == CPU or (offloads_cache and layers[0] != CPU):
        return True
    first = next(index for index, device in enumerate(layers) if device != CPU)
    judged = [first - 1] if offloads_cache else range(first, len(layers))
    return not any(_attends_behind_state(anatomy, placement, index) for index in judged)


def _attends_behind_state(anatomy: Anatomy, placement: Placement, index: int) -> bool:
    """Whether a layer attends, and the state that the next one begins with is read before that."""
    layer = layer_plan(anatomy, placement, index)
    if not layer.n_head or layer.state is not None or layer.has_experts:
        return False
    behind = (layer_plan(anatomy, placement, at) for at in range(index + 1, len(placement.layers)))
    return _awaited(behind) is not None


def layer_plan(
    anatomy: Anatomy, placement: Placement, index: int, *, offloads_cache: bool = True
) -> LayerPlan:
    """What the nodes of one layer need to know."""
    model = anatomy.architecture
    tensors = anatomy.layers[index]
    is_swa = model.swa_layers[index]
    cache = anatomy.caches.get(index)
    device = placement.layers[index]
    is_recurrent = model.recurrent is not None and model.recurrent_layers[index]
    return LayerPlan(
        tensors=tensors,
        devices={suffix: placement.device_in_layer(index, suffix) for suffix in tensors},
        device=device,
        cache_device=device if offloads_cache else CPU,
        cache=None if cache is None else LayerCache(cache.n_embd_k, cache.n_embd_v, cache.is_swa),
        n_head=model.n_head[index],
        n_head_kv=model.n_head_kv[index],
        n_head_k=model.n_embd_head_k_swa if is_swa else model.n_embd_head_k,
        n_head_v=model.n_embd_head_v_swa if is_swa else model.n_embd_head_v,
        n_expert_used=model.n_expert_used,
        is_swa=is_swa,
        index=index,
        state=_state_space(anatomy, index) if is_recurrent else None,
    )


def _state_space(anatomy: Anatomy, index: int) -> StateSpace | None:
    recurrent = anatomy.architecture.recurrent
    if recurrent is None:
        return None
    tensors = anatomy.layers[index]
    out, convolution = tensors.get("ssm_out.weight"), tensors.get("ssm_conv1d.weight")
    n_inner = out.shape[0] if out else anatomy.architecture.n_embd
    return StateSpace(
        n_embd_r=recurrent.n_embd_r,
        n_embd_s=recurrent.n_embd_s,
        n_inner=n_inner,
        n_convolved=convolution.shape[1] if convolution else n_inner,
    )


def _distinct_layers(signs: Sequence[Hashable]) -> list[int]:
    """Layers to lay out: of a pattern that repeats the first few rounds, and the last layer of the model.

    Their order stays, since what a layer leaves behind decides where the next one lies.
    """
    kept = list(range(len(signs) - 1))
    for length in range(1, _LONGEST_PATTERN + 1):
        kept = _without_repeats(kept, signs, length)
    return [*kept, len(signs) - 1]


def _without_repeats(kept: list[int], signs: Sequence[Hashable], length: int) -> list[int]:
    """Layers without the further rounds of patterns of one length."""
    result: list[int] = []
    at = 0
    while at < len(kept):
        rounds = 1
        while _is_repeated(kept, signs, at + (rounds - 1) * length, length):
            rounds += 1
        taken = min(rounds, _KEPT_ALIKE) * length if rounds > _KEPT_ALIKE else 1
        result += kept[at : at + taken]
        at += rounds * length if rounds > _KEPT_ALIKE else 1
    return result


def _is_repeated(kept: list[int], signs: Sequence[Hashable], at: int, length: int) -> bool:
    """Whether a pattern of this length comes again right behind itself."""
    if at + 2 * length > len(kept):
        return False
    return all(signs[kept[at + step]] == signs[kept[at + length + step]] for step in range(length))


def _sign(anatomy: Anatomy, placement: Placement, index: int) -> Hashable:
    layer = anatomy.layers[index]
    model = anatomy.architecture
    widths = tuple(
        (suffix, tensor.shape, placement.device_in_layer(index, suffix)) for suffix, tensor in layer.items()
    )
    # The size of a weight counts only where it is copied to a card.
    copied = tuple(
        tensor.size_bytes
        for suffix, tensor in layer.items()
        if placement.cards and placement.device_in_layer(index, suffix) == CPU
    )
    return (placement.layers[index], model.swa_layers[index], index in anatomy.caches, widths, copied)


def _add_layer(build: Builder, layer: LayerPlan, hidden: Node, *, is_last: bool) -> Node:
    """One layer with its residuals."""
    normed = _first_norm(build, layer, hidden)
    has_attention = layer.n_head > 0 and (layer.has("attn_output") or layer.has("attn_out"))
    if has_attention and layer.has("ffn_down") and not _has_second_norm(layer):
        return _add_parallel(build, layer, hidden, normed, is_last=is_last)
    mixed: Node | None = None
    if layer.state is not None and has_attention:
        mixed = _add_both(build, layer, hidden, normed)
    elif layer.state is not None:
        mixed = add_recurrent(build, layer, normed)
    elif has_attention:
        mixed = add_attention(build, layer, normed)
    has_ffn_norm = layer.has("ffn_norm")
    if mixed is not None and has_ffn_norm:
        mixed = build.norm(layer, "post_attention_norm", mixed)
    if is_last:
        if mixed is None:
            normed = _only_outputs(build, normed)
        else:
            mixed = _only_outputs(build, mixed)
        hidden = _only_outputs(build, hidden)
        build.n_tokens = build.run.n_outputs
    residual = hidden if mixed is None else _add_residual(build, mixed, hidden)
    if not (layer.has("ffn_down") or layer.has("ffn_down_exps")):
        return residual
    source = build.norm(layer, "ffn_norm" if has_ffn_norm else "post_attention_norm", residual)
    if mixed is None and not has_ffn_norm:
        source = normed
    result = add_feed_forward(build, layer, source)
    result = build.norm(layer, "post_ffw_norm", result)
    # Behind experts alone the state of the next layer is read right before the sum.
    is_next = layer.has_experts and not layer.has("ffn_down_shexp")
    device = build.follows(result.device) if is_next else result.device
    return add_own_rows(build, layer, _add_residual(build, result, residual, device=device))


def _add_residual(build: Builder, result: Node, residual: Node, *, device: str = "") -> Node:
    """The sum, in the place of its first source where that is free."""
    both = (residual, result) if build.adds_to_residual else (result, residual)
    return build.graph.add(result.size_bytes, *both, device=device or result.device, in_place=True)


def _add_both(build: Builder, layer: LayerPlan, hidden: Node, normed: Node) -> Node:
    """Attention and a recurrence beside each other, each behind a norm of its own (Falcon H1).

    The engine's graph reaches the output matrix of the attention behind the scan.
    """
    result, gate = start_attention(build, layer, normed)
    attended: list[Node] = []

    def finish() -> None:
        attended.append(finish_attention(build, layer, normed, result, gate))

    if layer.state is not None:
        build.state_read = build.read_state(layer, layer.state.n_embd_r)
    recurred = add_recurrent(build, layer, build.norm(layer, "attn_norm", hidden), meanwhile=finish)
    if not attended:
        finish()
    return build.beside(*attended, recurred)


def _has_second_norm(layer: LayerPlan) -> bool:
    return layer.has("ffn_norm") or layer.has("post_attention_norm")


def _add_parallel(build: Builder, layer: LayerPlan, hidden: Node, normed: Node, *, is_last: bool) -> Node:
    """Attention and feed-forward part beside each other, on the same input (Command R, Falcon).

    The engine's graph reaches the feed-forward part before the output matrix of the attention.
    """
    attended, gate = start_attention(build, layer, normed)
    source = build.norm(layer, "attn_norm", hidden) if _has_two_norms(layer) else normed
    if is_last:
        attended, source, hidden = (_only_outputs(build, node) for node in (attended, source, hidden))
        build.n_tokens = build.run.n_outputs
    if build.order is Order.ATTENTION_FIRST:
        first = finish_attention(build, layer, normed, attended, gate)
        return build.beside(build.beside(first, add_feed_forward(build, layer, source)), hidden)
    result = add_feed_forward(build, layer, source)
    if build.order is Order.RESIDUAL_LAST:
        finished = finish_attention(build, layer, normed, attended, gate)
        return build.beside(build.beside(result, finished), hidden)
    result = build.beside(result, hidden)
    return build.beside(result, finish_attention(build, layer, normed, attended, gate))


def _has_two_norms(layer: LayerPlan) -> bool:
    """Whether attention has a norm of its own, beside that of the feed-forward part (Falcon 40B)."""
    return layer.has("attn_norm_2") and layer.has("attn_norm")


def _first_norm(build: Builder, layer: LayerPlan, hidden: Node) -> Node:
    if _has_two_norms(layer):
        return build.norm(layer, "attn_norm_2", hidden)
    if layer.has("attn_norm"):
        return build.norm(layer, "attn_norm", hidden)
    device = build.computes_on(layer.device)
    if device == hidden.device:
        return hidden
    build.graph.add(0, hidden, device=device)
    return hidden


def _only_outputs(build: Builder, node: Node) -> Node:
    """Rows of the outputs only."""
    size = node.size_bytes * build.run.n_outputs // build.n_tokens
    return build.beside(node, build.out_rows, size=size, in_place=False)


def _add_output(build: Builder, anatomy: Anatomy, placement: Placement, hidden: Node) -> None:
    n_vocab = anatomy.architecture.n_vocab or 0
    device = build.computes_on(placement.output)
    normed = build.graph.add(hidden.size_bytes, hidden, device=device, in_place=True)
    matrix = anatomy.whole.get("output.weight") or anatomy.whole.get("token_embd.weight")
    copied = matrix.size_bytes if matrix is not None and device != placement.output else 0
    size = F32_BYTES * n_vocab * build.n_tokens
    logits = build.graph.add(size, normed, device=device, weight_bytes=copied)
    if anatomy.architecture.name in _COPIED_LOGITS:
        logits = build.graph.add(size, logits, device=device)
    logits.is_output = True
