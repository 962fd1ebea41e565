"""The first plan: main memory only, one engine process, context down until it fits, else a refusal.

It never promises more memory than is free. Where the engine has a card it leaves the placement of layers
to the engine's own fit and says so, because nothing here has looked at the card.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bringup.errors import DoesNotFit, WrongUse
from bringup.plan.kv_cache import (
    LayerCache,
    layer_bytes,
    pad_cells,
    recurrent_bytes,
    swa_cells,
)
from bringup.plan.plan import CacheTypes, Part, Plan, Residence
from bringup.units import GIB, MIB

DEFAULT_CONTEXT_TOKENS: Final = 8192
"""Window that is asked for when nobody says one: enough for a long talk, cheap on every family."""

SMALLEST_CONTEXT_TOKENS: Final = 512
"""Below this a chat model cannot be talked with."""

_TAG: Final = "llama.cpp b11434"
_OVERHEAD_BYTES: Final = 192 * MIB
"""Interpreter, libraries and thread stacks of an engine child: 165 MiB of private data measured with
xllamacpp 2026.10 and SmolLM2-135M beyond what the engine's own breakdown prints, rounded up."""


@dataclass(frozen=True, slots=True)
class ModelNeeds:
    """What the arithmetic wants to know of a model; bytes and elements from its header.

    Attributes:
        name: for messages.
        weights_bytes: sum of all tensors.
        repacked_bytes: tensors that the CPU backend would copy into another layout.
        layers: cache widths of each layer that keeps keys and values.
        n_swa: sliding window in tokens, 0 for none.
        n_embd: width of a token in elements.
        n_ff_active: elements of the feed-forward layers that one token passes (experts: only those used).
        n_vocab: tokens in the vocabulary.
        n_ctx_train: trained context in tokens, `None` when the file does not say.
        recurrent: `(layers, n_embd_r, n_embd_s)` of state-space layers.
        is_cache_known: whether this architecture's cache widths are certain; when not, a note says so.
    """

    name: str
    weights_bytes: int
    repacked_bytes: int
    layers: tuple[LayerCache, ...]
    n_swa: int
    n_embd: int
    n_ff_active: int
    n_vocab: int
    n_ctx_train: int | None
    recurrent: tuple[int, int, int] = (0, 0, 0)
    is_cache_known: bool = True


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user wants.

    Attributes:
        n_ctx: window in tokens for all slots; `None` lets the plan choose, 0 means the trained context.
        n_parallel: slots.
        n_threads: threads of the engine.
        n_ubatch: micro-batch in tokens.
        cache_types: element types of the KV cache.
        engine_places_layers: the engine has a card and fits layers to it by itself.
    """

    n_ctx: int | None = None
    n_parallel: int = 1
    n_threads: int = 1
    n_ubatch: int = 512
    cache_types: CacheTypes = field(default_factory=CacheTypes)
    engine_places_layers: bool = False


def plan_run(needs: ModelNeeds, *, available_bytes: int, request: PlanRequest) -> Plan:
    """The plan that is followed by `run` and `serve`.

    Args:
        needs: the model's figures.
        available_bytes: main memory free for us now (the smaller of the machine's and the cgroup's).
        request: what the user wants; a context that was asked for is kept or refused, never cut.

    Raises:
        WrongUse: a context or a number of slots that cannot be.
        DoesNotFit: not even the smallest window fits; the message carries the figures.
    """
    _check(request)
    for n_ctx in _candidates(needs, request):
        plan = _plan_for(needs, n_ctx, available_bytes=available_bytes, request=request)
        if request.engine_places_layers or plan.total_bytes() <= available_bytes:
            return plan
    raise _refusal(needs, available_bytes=available_bytes, request=request)


def _check(request: PlanRequest) -> None:
    if request.n_ctx is not None and request.n_ctx < 0:
        raise WrongUse(
            f"a context of {request.n_ctx} tokens cannot be",
            hint="Give a positive number of tokens, or 0 for the model's trained context.",
        )
    if request.n_parallel < 1:
        raise WrongUse("at least one slot is needed", hint="Give --parallel 1 or more.")


def _candidates(needs: ModelNeeds, request: PlanRequest) -> tuple[int, ...]:
    """Windows to try, widest first. One that the user asked for is the only candidate."""
    trained = needs.n_ctx_train
    if request.n_ctx is not None:
        return (request.n_ctx or trained or DEFAULT_CONTEXT_TOKENS,)
    widest = min(DEFAULT_CONTEXT_TOKENS * request.n_parallel, trained or DEFAULT_CONTEXT_TOKENS)
    steps = [widest]
    while steps[-1] > SMALLEST_CONTEXT_TOKENS:
        steps.append(max(SMALLEST_CONTEXT_TOKENS, steps[-1] // 2 // 256 * 256))
    return tuple(steps)


def _plan_for(needs: ModelNeeds, n_ctx: int, *, available_bytes: int, request: PlanRequest) -> Plan:
    n_ctx_seq = pad_cells(-(-n_ctx // request.n_parallel))
    total_ctx = n_ctx_seq * request.n_parallel
    fixed = (
        *_weights(needs),
        *_caches(needs, n_ctx_seq, request),
        _compute(needs, n_ctx_seq, request),
        _output(needs, request),
        Part("overhead", _OVERHEAD_BYTES, "CPU", "a constant", "measured, see this module"),
        _margin(available_bytes),
    )
    left = available_bytes - sum(part.bytes for part in fixed)
    cache_ram = max(0, min(GIB, left // 4)) // MIB * MIB
    prompt_cache = Part(
        "prompt_cache",
        cache_ram,
        "CPU",
        "min(1 GiB, a quarter of what is left)",
        "the engine's --cache-ram, set by us",
    )
    return Plan(
        parts=(*fixed, prompt_cache),
        n_ctx=total_ctx,
        n_ctx_train=needs.n_ctx_train,
        n_parallel=request.n_parallel,
        n_ubatch=request.n_ubatch,
        n_threads=request.n_threads,
        n_gpu_layers=None,
        cache_types=request.cache_types,
        cache_ram_bytes=cache_ram,
        memory_limit_bytes=None if request.engine_places_layers else _limit(fixed, cache_ram),
        available_bytes=available_bytes,
        notes=_notes(needs, total_ctx, request),
    )


def _weights(needs: ModelNeeds) -> tuple[Part, ...]:
    mapped = Part(
        "weights",
        needs.weights_bytes - needs.repacked_bytes,
        "CPU",
        "sum of the tensors' bytes, mapped from the file",
        "the file's tensor table",
        Residence.MAPPED,
    )
    if not needs.repacked_bytes:
        return (mapped,)
    repacked = Part(
        "weights",
        needs.repacked_bytes,
        "CPU",
        "sum of the tensors that the CPU backend copies into another layout",
        f"{_TAG}, ggml/src/ggml-cpu/repack.cpp",
    )
    return (mapped, repacked)


def _caches(needs: ModelNeeds, n_ctx_seq: int, request: PlanRequest) -> tuple[Part, ...]:
    types = request.cache_types
    window = swa_cells(n_ctx_seq=n_ctx_seq, n_swa=needs.n_swa, n_ubatch=request.n_ubatch)
    source = f"{_TAG}, src/llama-kv-cache.cpp"
    parts = []
    for name, is_swa, cells in (("kv_cache", False, n_ctx_seq), ("kv_cache_swa", True, window)):
        layers = [layer for layer in needs.layers if layer.is_swa == is_swa]
        size = sum(
            layer_bytes(layer, cells=cells * request.n_parallel, type_k=types.k, type_v=types.v)
            for layer in layers
        )
        if layers:
            formula = (
                f"{len(layers)} layers x {cells} cells x {request.n_parallel} slots, {types.k}/{types.v}"
            )
            parts.append(Part(name, size, "CPU", formula, source))
    n_layer, n_embd_r, n_embd_s = needs.recurrent
    if n_layer:
        size = recurrent_bytes(
            n_embd_r=n_embd_r, n_embd_s=n_embd_s, n_layer=n_layer, n_seq=request.n_parallel
        )
        formula = f"{n_layer} layers x {request.n_parallel} slots x ({n_embd_r} + {n_embd_s}) x 4"
        parts.append(Part("recurrent_state", size, "CPU", formula, f"{_TAG}, src/llama-memory-recurrent.cpp"))
    return tuple(parts)


def _compute(needs: ModelNeeds, n_ctx_seq: int, request: PlanRequest) -> Part:
    n_ubatch = min(request.n_ubatch, n_ctx_seq)
    mask = 2 * n_ctx_seq * n_ubatch
    live = 4 * n_ubatch * (8 * needs.n_embd + 2 * needs.n_ff_active)
    return Part(
        "compute",
        mask + live,
        "CPU",
        "mask 2 x n_ctx x n_ubatch + 4 x n_ubatch x (8 n_embd + 2 n_ff), an estimate from above",
        "fitted to the engine's own figure for SmolLM2-135M (22.6 MiB at 8,192 tokens)",
    )


def _output(needs: ModelNeeds, request: PlanRequest) -> Part:
    size = 4 * needs.n_vocab * request.n_parallel
    return Part("output", size, "CPU", "4 x n_vocab x slots", f"{_TAG}, src/llama-context.cpp")


def _margin(available_bytes: int) -> Part:
    size = min(GIB, available_bytes // 10)
    return Part(
        "margin", size, "CPU", "min(1 GiB, a tenth of what is free)", "our choice", Residence.RESERVED
    )


def _limit(parts: tuple[Part, ...], cache_ram_bytes: int) -> int:
    """Private memory at which the engine is ended: twice what it should take, plus room for the allocator."""
    private = sum(part.bytes for part in parts if part.residence is Residence.ANONYMOUS)
    return 2 * (private + cache_ram_bytes) + 2 * GIB


def _notes(needs: ModelNeeds, n_ctx: int, request: PlanRequest) -> tuple[str, ...]:
    notes = []
    trained = needs.n_ctx_train
    per_slot = n_ctx // request.n_parallel
    if trained and per_slot > pad_cells(trained):
        notes.append(
            f"{per_slot:,} tokens a slot are more than the {trained:,} that the model was trained for: "
            "expect nonsense beyond them unless rope scaling is set."
        )
    if request.n_ctx is None and n_ctx < min(DEFAULT_CONTEXT_TOKENS, trained or DEFAULT_CONTEXT_TOKENS):
        notes.append(f"The window was lowered to {n_ctx:,} tokens so that it fits in the free memory.")
    if not needs.is_cache_known:
        notes.append("This architecture is not known here: its cache is counted as if it were a plain one.")
    if request.engine_places_layers:
        notes.append("The engine itself fits the layers to the card.")
    return tuple(notes)


def _refusal(needs: ModelNeeds, *, available_bytes: int, request: PlanRequest) -> DoesNotFit:
    n_ctx = _candidates(needs, request)[-1]
    plan = _plan_for(needs, n_ctx, available_bytes=available_bytes, request=request)
    lines = tuple(f"{part.name:16} {part.bytes / MIB:10,.0f} MiB" for part in plan.parts if part.bytes)
    missing = plan.total_bytes() - available_bytes
    return DoesNotFit(
        f"{needs.name} needs {plan.total_bytes() / GIB:.1f} GiB with a window of {plan.n_ctx:,} tokens, "
        f"{available_bytes / GIB:.1f} GiB are free",
        context=(*lines, f"{'missing':16} {missing / MIB:10,.0f} MiB"),
        hint=_way_out(needs, available_bytes=available_bytes, request=request),
    )


def _way_out(needs: ModelNeeds, *, available_bytes: int, request: PlanRequest) -> str:
    """The widest window that would fit where the user asked for one, else what else can be done."""
    n_ctx = request.n_ctx or 0
    while n_ctx > SMALLEST_CONTEXT_TOKENS:
        n_ctx = max(SMALLEST_CONTEXT_TOKENS, n_ctx * 3 // 4 // 256 * 256)
        plan = _plan_for(needs, n_ctx, available_bytes=available_bytes, request=request)
        if plan.total_bytes() <= available_bytes:
            return f"A window of {plan.n_ctx:,} tokens would fit: --ctx-size {plan.n_ctx}."
    return "Close other programs, or take a smaller quantisation or a smaller model."
