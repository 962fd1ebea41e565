"""A memory plan: settings, placement, and every byte on every device."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import field
from typing import Final

from bringup.model import families
from bringup.plan import parts as shares
from bringup.plan.anatomy import Anatomy, take_apart
from bringup.plan.companions import Companions, draft_parts, projector_parts
from bringup.plan.compute import Layouts, is_pipelined, keeps_fused_attention
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.place import ALL_LAYERS, Placement, compile_overrides, place_layers
from bringup.plan.plan import Part
from bringup.plan.plan_notes import notes_of
from bringup.plan.request import (
    CPU,
    VULKAN_EVENTS_BUILD,
    Device,
    DeviceKind,
    Request,
    SplitMode,
    check_request,
)
from bringup.plan.run import ROLLBACK_BUILD, Run, make_run
from bringup.plan.weights import WeightSums
from bringup.records import dataclass, replace

DEFAULT_CONTEXT_TOKENS: Final = 8192
"""Window of a slot where nobody asks for one: enough for a long talk, cheap on every family."""

DEFAULT_UBATCH_TOKENS: Final = 512
"""llama.cpp's own micro-batch."""


def _lacks_room(plan: MemoryPlan) -> bool:
    """Whether a buffer could not be had on a card: the engine then does without copies of its inputs."""
    return any(
        plan.used_bytes(device.name) > device.free_bytes for device in plan.devices if device.name != CPU
    )


@dataclass(slots=True)
class Planner:
    """Plans of one model on one machine; what was worked out once for a search is kept.

    Attributes:
        anatomy: the model.
        devices: cards in order; main memory under the name `CPU`.
        correct: what an earlier dry run of the engine knows better, see `differences`.
        companions: what runs beside it.
    """

    anatomy: Anatomy
    devices: tuple[Device, ...]
    correct: Callable[[MemoryPlan], MemoryPlan] | None = None
    companions: Companions = field(default_factory=Companions)
    _layouts: Layouts = field(init=False)
    _weights: WeightSums = field(init=False)
    _caches: dict[Hashable, tuple[Part, ...]] = field(default_factory=dict, init=False)
    _settled: dict[Request, tuple[Request, Run, Placement]] = field(default_factory=dict, init=False)
    _plans: dict[Hashable, MemoryPlan] = field(default_factory=dict, init=False)
    _drafting: Planner | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._layouts = Layouts(self.anatomy)
        self._weights = WeightSums(self.anatomy)

    @property
    def cards(self) -> tuple[Device, ...]:
        """Devices beside main memory."""
        return tuple(device for device in self.devices if device.name != CPU)

    def cards_of(self, request: Request) -> tuple[Device, ...]:
        """The cards that a request may use."""
        return tuple(card for card in self.cards if request.cards is None or card.name in request.cards)

    def plan(self, request: Request, *, reasons: Sequence[str] = ()) -> MemoryPlan:
        """The plan of one request, whether it fits or not; what it leaves open gets llama.cpp's own choice.

        Raises:
            WrongUse: a number, type or pattern that cannot be.
        """
        check_request(request)
        settled, run, placement = self._sizes(request)
        plan = self._made(settled, run, placement)
        if is_pipelined(placement, offloads_cache=settled.offloads_cache) and _lacks_room(plan):
            plan = self._made(settled, run, replace(placement, may_pipeline=False))
        return replace(
            plan,
            reasons=tuple(reasons),
            notes=notes_of(self.anatomy, request, plan),
            has_to_ask=run.flash_attention
            and not keeps_fused_attention(self.anatomy, placement, offloads_cache=settled.offloads_cache),
        )

    def _made(self, settled: Request, run: Run, placement: Placement) -> MemoryPlan:
        """The plan of settled sizes, notes and reasons left out; different requests may settle alike."""
        key = settled, placement.may_pipeline
        if key not in self._plans:
            self._plans[key] = self._put_together(settled, run, placement)
        plan = self._plans[key]
        return plan if self.correct is None else self.correct(plan)

    def _put_together(self, settled: Request, run: Run, placement: Placement) -> MemoryPlan:
        figures = self.anatomy.architecture
        offloads = settled.offloads_cache
        fixed = [
            *self._kept_parts(settled, run, placement),
            *shares.compute(
                self._compute_bytes(placement, run, offloads_cache=offloads),
                run,
                is_estimated=self._layouts.is_estimated,
            ),
            *shares.sparse_compute(
                self.anatomy,
                placement,
                run,
                is_pipelined=is_pipelined(placement, offloads_cache=offloads),
            ),
            shares.output(self.anatomy, run),
            *self._parts_beside(settled),
        ]
        used = {CPU, *(part.device for part in fixed)}
        for device in self.devices:
            if device.name in used:
                fixed += [
                    self._overhead(placement, run, device),
                    shares.margin(device, settled),
                ]
            fixed.append(shares.other_programs(device))
        kept = shares.checkpoints(self.anatomy, run, settled)
        if kept is not None:
            fixed.append(kept)
        fixed.append(shares.prompt_cache(self._left_bytes(fixed), settled))
        return MemoryPlan(settled, run, placement, self.devices, tuple(fixed), figures.n_ctx_train)

    def kept_bytes(self, request: Request, devices: Collection[str]) -> int:
        """Weights and caches on devices: told without laying out compute buffers, most of a plan's time."""
        kept = self._kept_parts(*self._sizes(request))
        return sum(part.bytes for part in kept if part.device in devices)

    def place(self, request: Request) -> tuple[Placement, Run]:
        """Where a request puts the model and the sizes of its run, told without a plan."""
        _, run, placement = self._sizes(request)
        return placement, run

    def _sizes(self, request: Request) -> tuple[Request, Run, Placement]:
        if request not in self._settled:
            self._settled[request] = self._settled_sizes(request)
        return self._settled[request]

    def _settled_sizes(self, request: Request) -> tuple[Request, Run, Placement]:
        figures = self.anatomy.architecture
        rolls = figures.name in families.ROLLING_BACK and request.build >= ROLLBACK_BUILD
        settled = self.companions.outputs(self.settle(request), can_roll_back=rolls)
        placement = self._place(settled)
        if settled.build < VULKAN_EVENTS_BUILD and any(card.kind is DeviceKind.VULKAN for card in self.cards):
            placement = replace(placement, may_pipeline=False)
        offloads = settled.offloads_cache
        if request.flash_attention is None and not keeps_fused_attention(
            self.anatomy, placement, offloads_cache=offloads
        ):
            settled = replace(settled, flash_attention=False)
        flash = settled.flash_attention is not False
        flash = flash and figures.name not in families.WITHOUT_FUSED_ATTENTION
        run = make_run(
            settled,
            n_ctx=settled.n_ctx or 0,
            n_swa=figures.n_swa,
            flash_attention=flash,
            is_per_slot=bool(figures.compressed_layers),
        )
        return settled, run, placement

    def _kept_parts(self, settled: Request, run: Run, placement: Placement) -> list[Part]:
        """Weights and caches: what stays as long as the engine runs."""
        offloads = settled.offloads_cache
        key = run, placement.layers, placement.mode, placement.shares, offloads
        if placement.mode is SplitMode.LAYER:
            sums, caches = self._weights.by_device(placement), shares.caches
        else:
            from bringup.plan import shared_parts

            sums = shared_parts.weights(self.anatomy, placement, self.cards_of(settled))
            caches = shared_parts.caches
        if key not in self._caches:
            self._caches[key] = tuple(caches(self.anatomy, placement, run, offloads=offloads))
        return [*shares.weights(sums, is_mapped=settled.is_mapped), *self._caches[key]]

    def _parts_beside(self, settled: Request) -> Iterator[Part]:
        """Parts of what runs beside the model."""
        draft, projector = self.companions.draft, self.companions.projector
        if draft is not None:
            if self._drafting is None:
                self._drafting = Planner(draft.anatomy, self.devices)
            yield from draft_parts(self._drafting.plan(draft.request(settled)).parts)
        if projector is not None:
            yield from projector_parts(projector, settled, self.devices)

    def _compute_bytes(self, placement: Placement, run: Run, *, offloads_cache: bool) -> dict[str, int]:
        if placement.mode is SplitMode.LAYER:
            return self._layouts.compute_bytes(placement, run, offloads_cache=offloads_cache)
        from bringup.plan import shared_parts  # most plans have no use for it

        return shared_parts.compute_bytes(self._layouts, placement, run, offloads_cache=offloads_cache)

    def _overhead(self, placement: Placement, run: Run, device: Device) -> Part:
        if placement.mode is SplitMode.LAYER:
            return shares.overhead(self.anatomy, placement, run, device)
        from bringup.plan import shared_parts

        return shared_parts.overhead(self.anatomy, placement, run, device)

    def settle(self, request: Request) -> Request:
        """The request with every open choice filled in as llama.cpp would."""
        trained = self.anatomy.architecture.n_ctx_train or DEFAULT_CONTEXT_TOKENS
        n_ctx = request.n_ctx
        if n_ctx is None:
            n_ctx = min(DEFAULT_CONTEXT_TOKENS, trained) * request.n_parallel
        n_gpu_layers = request.n_gpu_layers
        if n_gpu_layers is None or n_gpu_layers < 0:
            n_gpu_layers = ALL_LAYERS
        return replace(
            request,
            n_ctx=n_ctx or trained,
            n_ubatch=request.n_ubatch or DEFAULT_UBATCH_TOKENS,
            n_gpu_layers=n_gpu_layers if self.cards_of(request) else 0,
            n_cpu_moe=request.n_cpu_moe or 0,
            cache_type_k=request.cache_type_k or "f16",
            cache_type_v=request.cache_type_v or "f16",
            flash_attention=request.flash_attention is not False,
        )

    def _place(self, request: Request) -> Placement:
        cards = self.cards_of(request)
        free = tuple(float(card.free_bytes) for card in cards)
        shares_of_cards = request.tensor_split if any(request.tensor_split) else free  # zeros say nothing
        # Cards that share every matrix are one device to the engine: it goes by the first one's name here.
        places = cards[:1] if request.split_mode is SplitMode.TENSOR else cards
        layers, output = place_layers(
            len(self.anatomy.layers),
            n_gpu_layers=request.n_gpu_layers or 0,
            cards=tuple(card.name for card in places),
            shares=shares_of_cards[: len(places)],
        )
        return Placement(
            layers=layers,
            output=output,
            n_cpu_moe=request.n_cpu_moe or 0,
            overrides=compile_overrides(request.overrides),
            cards=tuple(card.name for card in cards),
            mode=request.split_mode if cards else SplitMode.LAYER,
            shares=() if request.split_mode is SplitMode.LAYER else request.tensor_split,
        )

    def _left_bytes(self, fixed: Sequence[Part]) -> int:
        free = next((device.free_bytes for device in self.devices if device.name == CPU), 0)
        return free - sum(
            part.bytes for part in fixed if part.device == CPU and part.name != "other_programs"
        )


def plan_memory(anatomy: Anatomy, request: Request, devices: Sequence[Device]) -> MemoryPlan:
    """The plan of one request as it stands, see `Planner.plan`; `search.choose` also searches.

    Args:
        anatomy: the model, see `take_apart`.
        request: what is asked for.
        devices: cards in order, and main memory under the name `CPU`.

    Raises:
        WrongUse: a number, type or pattern that cannot be.
    """
    return Planner(anatomy, tuple(devices)).plan(request)


__all__ = ["MemoryPlan", "Planner", "plan_memory", "take_apart"]
