"""The search for a placement: the fastest generation for the wanted window within the memory that is free.

What the user fixed is never touched. Of the rest all layers go to the cards where they fit; else the experts
of the first layers stay in main memory, else whole layers. A smaller micro-batch (it slows prompts only) and
keys and values as q8_0 (a little quality) are taken where generation becomes faster by it. A window that
nobody asked for gives way where nothing else fits, and grows where there is room. What fits only with less
left on a card than usual is taken where nothing else fits, and said to be tight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from bringup.plan.anatomy import Anatomy
from bringup.plan.bounds import Bounds
from bringup.plan.card_split import (
    is_all_on_cards,
    keeps_caches_on_cards,
    lacks_on_cards,
    split_layers,
)
from bringup.plan.kv_cache import LayerCache, layer_bytes
from bringup.plan.memory import DEFAULT_CONTEXT_TOKENS, Planner
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.parts import LEAST_MARGIN_BYTES
from bringup.plan.place import Placement
from bringup.plan.reasons import reasons_of
from bringup.plan.request import CPU, Device, Request, SplitMode, check_request
from bringup.plan.run import Run
from bringup.plan.weights import tensors_with_devices
from bringup.records import dataclass, replace
from bringup.units import MIB

Speed: TypeAlias = Callable[[Placement, Run], float]
"""Tokens a second of generation for a placed model; larger is better."""

SMALLEST_CONTEXT_TOKENS: Final = 512
"""Below this a chat model cannot be talked with."""

LARGEST_CHOSEN_TOKENS: Final = 32_768
"""A window that nobody asked for does not grow beyond this."""

_SMALL_UBATCH_TOKENS: Final = 256
_WORTH: Final = 1.10
"""A step that costs something is taken only where generation becomes faster by this factor."""
_TRIES_BESIDE: Final = 4
"""So many guessed counts are tried before the search halves."""
_CPU_WEIGHT: Final = 10.0
"""Without a figure for speed: a byte in main memory costs as much time as ten on a card."""


def choose(
    model: Anatomy | Planner, request: Request, devices: Sequence[Device], speed: Speed | None = None
) -> MemoryPlan:
    """The best plan that keeps what the request fixes; where nothing fits, the one that lacks least.

    Args:
        model: the model, or a planner of it that has laid out some plans already.
        request: what the user fixed; `None` fields are chosen.
        devices: cards in order, and main memory under the name `CPU`.
        speed: judges plans; `None` for a rule of thumb.

    Raises:
        WrongUse: a number, type or pattern that cannot be.
    """
    check_request(request)
    planner = model if isinstance(model, Planner) else Planner(model, tuple(devices))
    judge = speed or _rule_of_thumb(planner.anatomy)
    # What the engine chooses hangs on where layers lie; the command asks for what is planned where it has to.
    wanted = replace(request, flash_attention=request.flash_attention is not False)
    plan = _Search(planner, wanted, judge, Bounds(planner)).run()
    if not plan.fits and request.margin_bytes is None and planner.cards_of(request):
        narrow = replace(wanted, margin_bytes=LEAST_MARGIN_BYTES)
        tight = _Search(planner, narrow, judge, Bounds(planner)).run()
        plan = tight if tight.fits else plan
    return planner.plan(
        replace(plan.request, n_ctx=_asked(request, plan)), reasons=reasons_of(planner, request, plan)
    )


def _asked(request: Request, plan: MemoryPlan) -> int | None:
    """The window as the user wrote it, so that a note can tell what was made of it."""
    return plan.request.n_ctx if request.n_ctx is None else request.n_ctx


def _rule_of_thumb(anatomy: Anatomy) -> Speed:
    """Bytes that a token reads, those in main memory weighing more."""
    figures = anatomy.architecture
    share = figures.n_expert_used / figures.n_expert if figures.n_expert else 1.0

    def speed(placement: Placement, run: Run) -> float:
        cost = 1.0
        for tensor, device in tensors_with_devices(anatomy, placement):
            if not tensor.name.startswith("token_embd"):
                read = tensor.size_bytes * (share if "_exps." in tensor.name else 1.0)
                cost += read * (_CPU_WEIGHT if device == CPU else 1.0)
        for index, cache in anatomy.caches.items():
            kept = LayerCache(cache.n_embd_k, cache.n_embd_v, cache.is_swa)
            cells = (run.swa_cells if cache.is_swa else run.cells) // 2
            read = layer_bytes(kept, cells=cells, type_k=run.type_k, type_v=run.type_v)
            cost += read * (_CPU_WEIGHT if placement.layers[index] == CPU else 1.0)
        return 1e12 / cost

    return speed


def _by_free_memory(plan: MemoryPlan) -> tuple[float, ...]:
    """Shares of the cards by what is free there: of a matrix the engine gives each card the same."""
    names = plan.placement.cards
    return tuple(float(one.free_bytes // MIB) for one in plan.devices if one.name in names)


@dataclass(frozen=True, slots=True)
class _Chain:
    """Requests that take less and less of the cards, by a count from `low` to `high`."""

    low: int
    high: int
    request: Callable[[int], Request]


@dataclass(slots=True)
class _Search:
    planner: Planner
    wanted: Request
    speed: Speed
    bounds: Bounds

    def run(self) -> MemoryPlan:
        windows = self._windows()
        plan = self._best(replace(self.wanted, n_ctx=windows[0]))
        for n_ctx in windows[1:]:
            if plan.fits:
                break
            plan = self._best(replace(self.wanted, n_ctx=n_ctx))
        return self._grown(plan) if self.wanted.n_ctx is None else plan

    def _windows(self) -> list[int | None]:
        """Windows to try, widest first; one that the user asked for is the only one."""
        if self.wanted.n_ctx is not None:
            return [self.wanted.n_ctx]
        slots = self.wanted.n_parallel
        trained = self.planner.anatomy.architecture.n_ctx_train or DEFAULT_CONTEXT_TOKENS
        a_slot = min(DEFAULT_CONTEXT_TOKENS, trained)
        windows: list[int | None] = [a_slot * slots]
        while a_slot > SMALLEST_CONTEXT_TOKENS:
            a_slot = max(SMALLEST_CONTEXT_TOKENS, a_slot // 2)
            windows.append(a_slot * slots)
        return windows

    def _grown(self, plan: MemoryPlan) -> MemoryPlan:
        """A wider window where it costs no speed: the caches are on cards, and all fits where it lies."""
        trained = self.planner.anatomy.architecture.n_ctx_train or DEFAULT_CONTEXT_TOKENS
        most = min(trained, LARGEST_CHOSEN_TOKENS) * self.wanted.n_parallel
        while plan.fits and keeps_caches_on_cards(plan) and plan.run.n_ctx < most:
            request = replace(plan.request, n_ctx=min(2 * plan.run.n_ctx, most))
            if self.bounds.surely_lack(request):
                break
            wider = self.planner.plan(request)
            if not wider.fits:
                break
            plan = wider
        return plan

    def _best(self, request: Request) -> MemoryPlan:
        """The best plan for one window."""
        best: MemoryPlan | None = None
        for step in self._steps(request):
            if best is not None and best.fits and not self._may_be_worth(step, best):
                continue
            plan = self._placed(step)
            if best is None or self._is_worth(plan, best):
                best = plan
            if best.fits and (is_all_on_cards(best) or not self.planner.cards_of(request)):
                break
        if best is None:
            raise AssertionError("there is always the request itself")
        return best

    def _is_worth(self, plan: MemoryPlan, best: MemoryPlan) -> bool:
        if plan.fits != best.fits:
            return plan.fits
        if not plan.fits:
            return sum(plan.missing.values()) < sum(best.missing.values())
        if plan.placement == best.placement:  # shorter rows alone are no reason to give quality for
            return False
        return self.speed(plan.placement, plan.run) > _WORTH * self.speed(best.placement, best.run)

    def _may_be_worth(self, request: Request, best: MemoryPlan) -> bool:
        """Whether a request could be faster at best, where its buffers took nothing."""
        for chain in self._chains(request):
            count = self.bounds.first(chain.low, chain.high + 1, chain.request)
            if count <= chain.high:
                placement, run = self.planner.place(chain.request(count))
                # Several cards may share the layers otherwise than this: a little faster or slower.
                factor = _WORTH if len(placement.cards) < 2 else 1.0
                return self.speed(placement, run) > factor * self.speed(best.placement, best.run)
        return False

    def _steps(self, request: Request) -> Iterator[Request]:
        """The request, then what saves memory on the cards at a cost that is not speed of generation."""
        yield request
        small = replace(request, n_ubatch=_SMALL_UBATCH_TOKENS)
        if request.n_ubatch is None:
            yield small
        types = (request.cache_type_k, request.cache_type_v)
        if types == (None, None) and request.flash_attention is not False and self._takes_q8_0():
            yield replace(request, cache_type_k="q8_0", cache_type_v="q8_0")
            if request.n_ubatch is None:
                yield replace(small, cache_type_k="q8_0", cache_type_v="q8_0")

    def _takes_q8_0(self) -> bool:
        figures = self.planner.anatomy.architecture
        sizes = (
            figures.n_embd_head_k,
            figures.n_embd_head_v,
            figures.n_embd_head_k_swa,
            figures.n_embd_head_v_swa,
        )
        return bool(self.planner.anatomy.caches) and all(size % 32 == 0 for size in sizes)

    def _placed(self, request: Request) -> MemoryPlan:
        """The fastest placement of one request."""
        cards = self.planner.cards_of(request)
        if not cards:
            return self.planner.plan(request)
        is_free = request.cards is None and request.split_mode is SplitMode.LAYER
        if len(cards) > 1 and is_free and not request.tensor_split:
            alone = [replace(request, cards=(card.name,)) for card in cards]
            plans = [self._balanced(one) for one in alone if not self.bounds.surely_lack(one)]
            whole = [plan for plan in plans if plan.fits and is_all_on_cards(plan)]
            if whole:
                return max(whole, key=lambda plan: self.speed(plan.placement, plan.run))
        return self._on_cards(request)

    def _on_cards(self, request: Request) -> MemoryPlan:
        chains = self._chains(request)
        for chain in chains:
            plan = self._narrow(chain)
            if plan is not None:
                return self._with_experts_back(request, plan)
        if request.n_gpu_layers is None:
            return self.planner.plan(replace(request, cards=(), n_cpu_moe=self.wanted.n_cpu_moe))
        return self._balanced(chains[-1].request(chains[-1].high))

    def _with_experts_back(self, request: Request, plan: MemoryPlan) -> MemoryPlan:
        """Where whole layers left the cards, the room that is left may do for the experts of some."""
        n_layer = len(self.planner.anatomy.layers)
        n_away = n_layer + 1 - plan.n_gpu_layers
        is_ours = request.n_gpu_layers is None and request.n_cpu_moe is None
        if not is_ours or n_away < 1 or not plan.n_cpu_moe:
            return plan
        kept = replace(plan.request, tensor_split=request.tensor_split)
        fuller = self._narrow(_Chain(n_away, n_layer - 1, lambda count: replace(kept, n_cpu_moe=count)))
        found = fuller or plan
        if found.n_cpu_moe <= n_away:  # those of layers that are away in whole
            return self.planner.plan(replace(found.request, n_cpu_moe=None))
        return found

    def _chains(self, request: Request) -> list[_Chain]:
        """What is tried one after the other: all on the cards, fewer experts there, fewer layers."""
        n_layer = len(self.planner.anatomy.layers)
        chains = [_Chain(0, 0, lambda _: request)]
        is_moe_free = request.n_cpu_moe is None and not request.overrides
        kept = request
        if is_moe_free and self.planner.anatomy.architecture.n_expert:
            chains.append(_Chain(1, n_layer, lambda count: replace(request, n_cpu_moe=count)))
            kept = replace(request, n_cpu_moe=n_layer)
        if request.n_gpu_layers is None:
            chains.append(
                _Chain(1, n_layer + 1, lambda count: replace(kept, n_gpu_layers=n_layer + 1 - count))
            )
        return chains

    def _narrow(self, chain: _Chain) -> MemoryPlan | None:
        """The plan of the least count of a chain that fits the cards; `None` where none of it does."""
        low, high = chain.low, chain.high + 1
        found: MemoryPlan | None = None
        guess, tries = low, 0
        while (low := self.bounds.first(low, high, chain.request)) < high:
            middle = min(max(guess, low), high - 1) if tries < _TRIES_BESIDE else (low + high) // 2
            tries += 1
            trial = self._balanced(chain.request(middle))
            if lacks_on_cards(trial):
                low = middle + 1
                buffers = self.bounds.buffers_bytes(trial)
                guess = self.bounds.first(low, high, chain.request, beside_bytes=buffers)
            else:
                high, found = middle, trial
                guess = middle - 1
        return found

    def _balanced(self, request: Request) -> MemoryPlan:
        """The plan with the cards' shares by free memory, else with shares by what each layer takes."""
        plan = self.planner.plan(request)
        if request.tensor_split or len(plan.placement.cards) < 2 or not lacks_on_cards(plan):
            return plan
        if request.split_mode is not SplitMode.LAYER:
            return self.planner.plan(replace(request, tensor_split=_by_free_memory(plan)))
        split = split_layers(self.planner.anatomy, plan)
        if split is None:
            return plan
        return self.planner.plan(replace(request, tensor_split=split))
