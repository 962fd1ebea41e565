"""Why each choice of a plan was made, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.plan.card_split import is_all_on_cards, keeps_caches_on_cards
from bringup.plan.memory import Planner
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.repack import repacked_bytes
from bringup.plan.request import CPU, Request, SplitMode
from bringup.records import replace
from bringup.units import GIB, MIB


def reasons_of(planner: Planner, wanted: Request, plan: MemoryPlan) -> tuple[str, ...]:
    """Sentences on what the user left open and what became of it."""
    return (
        *_window(wanted, plan),
        *_layers(planner, wanted, plan),
        *_repacking(planner, plan),
        *_cache_types(wanted, plan),
        *_micro_batch(wanted, plan),
        *_attention(wanted, plan),
    )


def _window(wanted: Request, plan: MemoryPlan) -> Iterator[str]:
    if wanted.n_ctx is None:
        a_slot = f"{plan.run.n_ctx_seq:,} tokens a slot"
        if not plan.fits:
            yield f"Window: {a_slot}, the smallest that a chat can do with."
        elif is_all_on_cards(plan):
            yield f"Window: {a_slot}, because that much fits on the cards beside all layers."
        elif keeps_caches_on_cards(plan):
            yield f"Window: {a_slot}: so much fits on the cards without one more expert in main memory."
        else:
            yield f"Window: {a_slot}; nobody asked for more, and more would cost speed or memory."


def _layers(planner: Planner, wanted: Request, plan: MemoryPlan) -> Iterator[str]:
    cards = plan.placement.cards
    if not cards:
        if planner.cards_of(wanted):
            yield "No card is used: not even the buffers for computing fit beside the margin."
        else:
            yield "All layers in main memory: no card is used."
        return
    names = " and ".join(cards)
    if wanted.cards is None and len(cards) < len(planner.cards):
        yield f"Only {names} is used: the whole model fits there, and passing data between cards costs time."
    n_all = len(plan.placement.layers) + 1
    if wanted.n_gpu_layers is not None:
        yield f"{plan.n_gpu_layers} of {n_all} layers on {names}: as asked for."
    elif plan.n_gpu_layers == n_all and not plan.n_cpu_moe:
        is_ours = wanted.cards is None and plan.placement.mode is SplitMode.LAYER
        is_fastest = is_ours and is_all_on_cards(plan)
        faster = ", and nothing is faster" if is_fastest else ""
        yield f"All {n_all} layers on {names}: they fit{faster}."
    elif plan.n_gpu_layers == n_all:
        yield f"All {n_all} layers on {names}, without the experts of the first {plan.n_cpu_moe}."
    else:
        lack = _lack(planner, plan, layers=1)
        yield f"{plan.n_gpu_layers} of {n_all} layers on {names}: with one more {lack} MiB are missing there."
    if wanted.n_cpu_moe is not None and not planner.anatomy.architecture.n_expert:
        yield "--n-cpu-moe keeps nothing in main memory: this model has no experts."
    if wanted.n_cpu_moe is None and plan.n_cpu_moe:
        yield (
            f"Experts of the first {plan.n_cpu_moe} layers stay in main memory: a token needs few of them, "
            "so they cost the least speed; "
            f"with those of only {plan.n_cpu_moe - 1} there, {_lack(planner, plan, experts=1)} MiB are "
            "missing on the card."
        )
    yield from _shares(wanted, plan, names)


def _shares(wanted: Request, plan: MemoryPlan, names: str) -> Iterator[str]:
    if plan.placement.mode is not SplitMode.LAYER:
        yield from _sharing(wanted, plan, names)
    elif plan.request.tensor_split and not wanted.tensor_split:
        yield "The cards' shares follow the bytes of their layers: by free memory alone one would overflow."


def _sharing(wanted: Request, plan: MemoryPlan, names: str) -> Iterator[str]:
    if plan.placement.mode is SplitMode.TENSOR:
        yield (
            f"Of every matrix and of the caches {names} hold a share each, of all else a copy, and each has "
            "the buffers of a card alone: --split-mode tensor, as asked for; it is experimental."
        )
    else:
        yield (
            f"Of every matrix {names} hold rows each; caches, experts and what is no matrix lie by layers: "
            "--split-mode row, as asked for. The driver rounds each piece up, which is estimated."
        )
    if plan.request.tensor_split != wanted.tensor_split:
        yield "The shares follow what is free on each card: by the engine's own one of them would overflow."


def _lack(planner: Planner, plan: MemoryPlan, *, layers: int = 0, experts: int = 0) -> str:
    """MiB that are missing on cards with so much more on them."""
    request = replace(
        plan.request,
        n_gpu_layers=plan.n_gpu_layers + layers,
        n_cpu_moe=max(0, plan.n_cpu_moe - experts),
    )
    missing = planner.plan(request).missing
    return f"{sum(size for name, size in missing.items() if name != CPU) / MIB:,.0f}"


def _repacking(planner: Planner, plan: MemoryPlan) -> Iterator[str]:
    """The engine's own choice, and ours: docs/setup.md has what was measured with and without it."""
    copied = repacked_bytes(planner.anatomy, plan.placement)
    if copied >= GIB:
        yield (
            f"Up to {copied / GIB:.1f} GiB of the weights are copied into a layout that the processor reads "
            "faster (no --no-repack): prompts take about a sixth less work. The copy takes the place of the "
            "file's own pages, so that no more has to fit; but the start takes longer."
        )


def _cache_types(wanted: Request, plan: MemoryPlan) -> Iterator[str]:
    if wanted.cache_type_k is None and plan.run.type_k != "f16":
        gain = "more of the model fits on the cards" if plan.placement.cards else "the window fits"
        yield (
            f"Keys and values as {plan.run.type_k}: half the memory of f16 for a little quality, and {gain}."
        )


def _micro_batch(wanted: Request, plan: MemoryPlan) -> Iterator[str]:
    if wanted.n_ubatch is None and plan.request.n_ubatch != 512:
        yield (
            f"Micro-batch of {plan.request.n_ubatch} tokens: its buffers are smaller; "
            "prompts are read more slowly, generation is as fast."
        )


def _attention(wanted: Request, plan: MemoryPlan) -> Iterator[str]:
    if wanted.flash_attention is None:
        asked = (
            ", and with these layers in main memory the engine has to be told so" if plan.has_to_ask else ""
        )
        yield f"Flash attention on: without it the scores of the whole window need room of their own{asked}."
