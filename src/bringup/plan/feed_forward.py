"""The nodes of feed-forward parts: dense, experts, shared experts.

Source: `build_ffn` and `build_moe_ffn` in `src/llama-graph.cpp` of llama.cpp b11434; what a fused kernel
keeps alive: `ggml_backend_cuda_graph_optimize` in `ggml/src/ggml-cuda/ggml-cuda.cu`.
"""

from __future__ import annotations

from typing import Final

from bringup.plan.builder import F32_BYTES, Builder, LayerPlan, is_cuda
from bringup.plan.graph import Node
from bringup.records import dataclass

FUSED_EXPERTS: Final = 15
"""Most experts of CUDA's fused sum of their results (MOE_WEIGHTED_REDUCTION_MAX_EXPERTS)."""


def add_feed_forward(build: Builder, layer: LayerPlan, source: Node) -> Node:
    """From the normed input to the result of the layer's feed-forward part."""
    has_experts = layer.has("ffn_down_exps")
    if not has_experts:
        return add_dense(build, layer, source, "")
    result = add_experts(build, layer, source)
    build.read_ahead()
    if layer.has("ffn_down_shexp"):
        shared = add_dense(build, layer, source, "_shexp")
        if layer.has("ffn_gate_inp_shexp"):
            gate = build.graph.add(F32_BYTES * build.n_tokens, source, device=shared.device)
            shared = build.beside(shared, gate)
        result = build.beside(result, shared)
    return result


def add_dense(build: Builder, layer: LayerPlan, source: Node, kind: str) -> Node:
    """A gated or plain pair of matrices; `kind` is the ending of their names."""
    down = "ffn_down" + kind
    if not layer.has(down):
        return source
    inner = layer.tensors[down + ".weight"].shape[0]
    if layer.has("ffn_gate" + kind):
        gate = build.multiply(layer, "ffn_gate" + kind, source)
        up = build.multiply(layer, "ffn_up" + kind, source)
        joined = build.beside(gate, up, in_place=False)
    else:
        up = build.multiply(layer, "ffn_up" + kind, source)
        is_fused = layer.tensors[f"ffn_up{kind}.weight"].shape[1] == 2 * inner
        joined = build.beside(up, size=F32_BYTES * inner * build.n_tokens, in_place=not is_fused)
    joined = build.norm(layer, "ffn_sub_norm", joined)
    return build.multiply(layer, down, joined)


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the router says.

    Attributes:
        order: experts of each token.
        weights: of their results.
        kept: what a fused router of CUDA keeps until the first expert is computed.
    """

    order: Node
    weights: Node
    kept: tuple[Node, ...]


def add_experts(build: Builder, layer: LayerPlan, source: Node) -> Node:
    """Router, experts and the weighted sum of their results."""
    n_used = layer.n_expert_used
    down = layer.tensors["ffn_down_exps.weight"]
    n_inner, n_embd = down.shape[0], down.shape[1]
    rows = F32_BYTES * build.n_tokens
    choice = _add_router(build, layer, source, n_expert=down.shape[-1])
    order, weights = choice.order, choice.weights
    if layer.has("ffn_gate_up_exps"):
        first = _expert_multiply(build, layer, "ffn_gate_up_exps", source, order)
        joined = build.beside(first, size=rows * n_inner * n_used, in_place=False)
    elif layer.has("ffn_gate_exps"):
        first = _expert_multiply(build, layer, "ffn_gate_exps", source, order)
        up = _expert_multiply(build, layer, "ffn_up_exps", source, order)
        joined = build.beside(first, up, in_place=False)
    else:
        first = _expert_multiply(build, layer, "ffn_up_exps", source, order)
        joined = build.beside(first)
    first.kept = choice.kept
    results = _expert_multiply(build, layer, "ffn_down_exps", joined, order)
    weighted = build.beside(results, weights)
    if n_used < 2:
        return build.beside(weighted, size=rows * n_embd, in_place=False)
    total = build.beside(weighted, size=rows * n_embd, in_place=False)
    for _ in range(n_used - 2):
        total = build.beside(total, weighted)
    if is_cuda(total.device) and n_used <= FUSED_EXPERTS:
        total.kept = (results, weights)
    return total


def _add_router(build: Builder, layer: LayerPlan, source: Node, *, n_expert: int) -> _Choice:
    rows = F32_BYTES * build.n_tokens
    weighs_late = layer.has("attn_sinks")  # gpt-oss turns only the chosen logits into weights
    logits = build.graph.add(rows * n_expert, source, device=build.computes_on(layer.device))
    probabilities = logits if weighs_late else build.beside(logits)
    judged = build.beside(probabilities) if "exp_probs_b.bias" in layer.tensors else probabilities
    order = build.beside(judged, in_place=False)
    chosen = build.beside(probabilities, order, size=rows * layer.n_expert_used, in_place=False)
    if weighs_late:
        return _Choice(order, build.beside(chosen, in_place=False), ())
    total = build.beside(chosen, size=rows, in_place=False)
    weights = build.beside(chosen, total, in_place=False)
    is_fused = is_cuda(logits.device) and _has_fused_router(n_expert)
    kept = (logits, probabilities, judged, order, chosen, total) if is_fused else ()
    return _Choice(order, weights, tuple(dict.fromkeys(kept)))


def _has_fused_router(n_expert: int) -> bool:
    """Whether CUDA has a router for so many experts (`ggml_cuda_should_use_topk_moe`)."""
    return n_expert in (288, 576) or (n_expert <= 512 and n_expert & (n_expert - 1) == 0)


def _expert_multiply(build: Builder, layer: LayerPlan, name: str, source: Node, order: Node) -> Node:
    return build.multiply(layer, name, source, order, n_rows=layer.n_expert_used)
