"""A model on a place with what was asked for: what every plan of it is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from bringup.actions.planning.companions import Accompanied, Beside, check_language_model, look_beside
from bringup.actions.planning.own_runs import OwnRuns
from bringup.actions.planning.place import Described, Place
from bringup.actions.planning.report import DeviceUse
from bringup.actions.planning.source import ModelSource
from bringup.actions.planning.speed import SpeedTeller, given_rates, speed_teller
from bringup.errors import CannotTell, WrongUse
from bringup.plan.anatomy import take_apart
from bringup.plan.companions import Companions
from bringup.plan.kv_cache import is_quantised
from bringup.plan.memory import Planner
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.rates import HostRates
from bringup.plan.request import Request, SplitMode
from bringup.plan.search import choose
from bringup.records import dataclass, replace


@dataclass(frozen=True, slots=True)
class PlanWishes:
    """What the user said beside the model's name.

    Attributes:
        request: llama-server's options; `None` in it is ours to choose.
        described: the machine, where it is another one.
        n_threads: threads of the engine; `None` for our choice.
        split_mode: `layer`, `none`, `row` or `tensor`; `None` for the engine's own.
        main_gpu: the card for `none`.
        n_prompt: tokens of the prompt that the time to the first token is told for.
        ram_bytes_per_s: bandwidth of main memory, where known.
        measures_ram: it is measured first, on this machine and where it is not given.
        checks: the engine's dry run judges the plan.
        beside: a drafting model, a projector.
    """

    request: Request = field(default_factory=Request)
    described: Described = field(default_factory=Described)
    n_threads: int | None = None
    split_mode: str | None = None
    main_gpu: int | None = None
    n_prompt: int = 2048
    ram_bytes_per_s: float | None = None
    measures_ram: bool = False
    checks: bool = False
    beside: Beside = field(default_factory=Beside)


@dataclass(frozen=True, slots=True)
class Planning:
    """A model on a place with what was asked for: all that plans of it are made from.

    Attributes:
        source: the model.
        place: the devices.
        planner: makes plans of it there.
        request: what was asked for.
        teller: tells the speed of plans.
        has_threads: the user said how many threads.
        accompanied: what runs beside the model.
    """

    source: ModelSource
    place: Place
    planner: Planner
    request: Request
    teller: SpeedTeller
    has_threads: bool = False
    accompanied: Accompanied = field(default_factory=lambda: Accompanied(Companions()))
    _chosen: dict[Request, MemoryPlan] = field(default_factory=dict)

    def choose(self, request: Request | None = None, *, planner: Planner | None = None) -> MemoryPlan:
        """The best plan for a request, the asked one unless another is given."""
        wanted = request or self.request
        if planner is not None:
            return self._choose(wanted, planner)
        if wanted not in self._chosen:
            self._chosen[wanted] = self._choose(wanted, self.planner)
        return self._chosen[wanted]

    def _choose(self, wanted: Request, planner: Planner) -> MemoryPlan:
        try:
            return choose(planner, wanted, planner.devices, self.teller.judge)
        except CannotTell:  # of a card's speed nothing is known; its memory still is
            return choose(planner, wanted, planner.devices)

    def uses(self, plan: MemoryPlan) -> tuple[DeviceUse, ...]:
        """The devices of a plan with what lies there."""
        return tuple(
            DeviceUse(
                device,
                tuple(part for part in plan.parts if part.device == device.name),
                tuple(holder for holder in self.place.holders if holder.device == device.name),
            )
            for device in plan.devices
        )


def start_planning(
    source: ModelSource,
    wishes: PlanWishes,
    place: Place,
    *,
    host: HostRates | None = None,
    own_runs: OwnRuns | None = None,
    correct: Callable[[MemoryPlan], MemoryPlan] | None = None,
) -> Planning:
    """Put together what plans are made from.

    Args:
        source: the model.
        wishes: what the user said.
        place: the devices.
        host: main memory as it was measured; `None` for what the user said or is assumed of it.
        own_runs: earlier runs here, which correct the speeds.
        correct: what an earlier dry run taught; it tells nothing of cards that share matrices.

    Raises:
        WrongUse: a card that is not there.
        GgufError: a figure of the architecture is missing or cannot be.
    """
    _check_types(wishes.request)
    _check_overrides(wishes.request, place)
    check_language_model(source)
    anatomy = take_apart(source.model)
    threads = wishes.n_threads or place.n_threads
    n_cpu_moe = wishes.request.n_cpu_moe
    if n_cpu_moe is not None:
        n_cpu_moe = min(n_cpu_moe, len(anatomy.layers)) if anatomy.architecture.n_expert else 0
    mode = SplitMode.LAYER
    if wishes.split_mode in ("row", "tensor"):
        from bringup.actions.planning.split import split_mode_of

        mode = split_mode_of(wishes.split_mode, wishes.request, anatomy, place)
    request = replace(
        wishes.request, n_threads=threads, cards=_cards(wishes, place), n_cpu_moe=n_cpu_moe, split_mode=mode
    )
    if len(request.tensor_split) > len(place.cards):
        raise WrongUse(
            f"--tensor-split has {len(request.tensor_split)} shares for {len(place.cards)} cards",
            hint="Give one share for each card.",
        )
    teller = speed_teller(
        anatomy,
        place,
        request,
        n_prompt=wishes.n_prompt,
        host=host or given_rates(place, wishes.ram_bytes_per_s),
        own_runs=own_runs,
    )
    beside = look_beside(wishes.beside, anatomy)
    planner = Planner(anatomy, place.devices, correct if mode is SplitMode.LAYER else None, beside.companions)
    return Planning(source, place, planner, request, teller, bool(wishes.n_threads), beside)


def _check_types(request: Request) -> None:
    """Refuse what the engine refuses, whatever memory there is."""
    values = request.cache_type_v or "f16"
    if request.flash_attention is False and is_quantised(values):
        raise WrongUse(
            f"values of type {values} need flash attention, and --flash-attn off takes it away",
            hint="Leave --flash-attn out, or keep the values as f16: --cache-type-v f16.",
            reference="kv-quant-needs-flash-attn",
        )


def _check_overrides(request: Request, place: Place) -> None:
    """Refuse a device of `--override-tensor` that is not there."""
    names = [device.name for device in place.devices]
    for pattern, device in request.overrides:
        if device not in names and not device.endswith("_Host"):
            raise WrongUse(
                f"--override-tensor {pattern}={device}: there is no device {device} in this plan",
                hint=f"Name one of {', '.join(names)}.",
            )


def _cards(wishes: PlanWishes, place: Place) -> tuple[str, ...] | None:
    """The cards to use; `None` for our choice among all."""
    if wishes.split_mode == "layer":  # said: then on all of them
        return tuple(card.name for card in place.cards)
    if wishes.split_mode != "none":
        return None
    number = wishes.main_gpu or 0
    if number >= len(place.cards):
        raise WrongUse(
            f"there is no card {number}",
            context=tuple(f"{card.name}: {card.title}" for card in place.cards),
            hint="--main-gpu counts from 0.",
        )
    return (place.cards[number].name,)
