"""How fast an engine that runs should be by its plan, to be held against what is measured of it.

Worked out once for each engine, in a thread of its own; the look of each second only reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bringup.actions.live.planned_speed import PlannedPart, PlannedSpeed, Span
from bringup.actions.live.sample import LiveCard, LiveEngine
from bringup.actions.live.worked_out import WorkedOut
from bringup.errors import CannotTell
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Known, Reading, need
from bringup.records import replace
from bringup.stack.card_load import CardLoad
from bringup.stack.nvml import Card

if TYPE_CHECKING:
    from bringup.actions.planning.place import Place

_PROMPT_TOKENS: Final = 512
"""The prompt that the plan's figure is for; a micro-batch, which is what is measured in a second."""

_NOT_ITS_OWN: Final = ("margin", "other_programs")


class EngineSpeeds:
    """The planned speeds of the engines that run."""

    def __init__(self, machine: Machine, folders: Folders | None) -> None:
        """Looks at nothing yet; `folders` are ours, `None` for a machine that is not this one."""
        self._machine = machine
        self._folders = folders
        self._speeds: WorkedOut[PlannedSpeed] = WorkedOut("its plan")

    def of(self, engine: LiveEngine, cards: Sequence[Card]) -> Reading[PlannedSpeed]:
        """An engine's planned speed; not looked at until that is worked out. Returns at once."""
        is_seen = bool(engine.model_path) and engine.window_tokens is not None
        folders = self._folders
        if folders is None or not is_seen or engine.memory is NOT_LOOKED:
            return NOT_LOOKED
        key = (engine.process_id, engine.model_path, engine.window_tokens, len(cards))
        return self._speeds.of(key, lambda: plan_speed(engine, cards, self._machine, folders))


def plan_speed(engine: LiveEngine, cards: Sequence[Card], machine: Machine, folders: Folders) -> PlannedSpeed:
    """What the planner says of the engine as it was started, on the devices that it really runs on.

    Raises:
        CannotTell: nothing is known of the speed of a device that it uses, or not which one that is.
        BringupError: its model cannot be read.
    """
    from bringup.actions.live.engine_map import plan_running, settings_of
    from bringup.actions.planning.devices import look_for_place
    from bringup.actions.planning.memory_rate import known_rates
    from bringup.actions.planning.own_runs import own_runs
    from bringup.actions.planning.place import Described
    from bringup.actions.planning.speed import speed_teller
    from bringup.plan.anatomy import take_apart
    from bringup.store.header import load_model

    request, _ = settings_of(engine, machine, folders)
    anatomy = take_apart(load_model(engine.model_path, folders=folders))
    plan, numbers = plan_running(
        anatomy, engine, [LiveCard(card, CardLoad(card.index)) for card in cards], request
    )
    if not numbers and isinstance(engine.has_cuda, Known) and engine.has_cuda.value:
        raise CannotTell("it has CUDA, and no card shows which one it runs on")
    seen = look_for_place(machine, Described(cpu_only=True))
    place = _on_cards(seen, numbers, cards)
    if request.n_threads:
        place = replace(place, n_threads=min(request.n_threads, place.n_threads))
    teller = speed_teller(
        anatomy,
        place,
        request,
        n_prompt=_PROMPT_TOKENS,
        host=known_rates(place, machine),
        own_runs=own_runs(machine, folders) if place.n_threads == seen.n_threads else None,
    )
    told = teller.tell(plan)
    if told is None:
        raise CannotTell(teller.why_not)
    by_name = dict(numbers)
    parts = tuple(
        PlannedPart(by_name[part.device], part.name, part.bytes)
        for part in plan.parts
        if part.device in by_name and part.bytes and part.name not in _NOT_ITS_OWN
    )
    return PlannedSpeed(
        Span(told.generation_empty, told.generation_full),
        Span(told.prompt_empty, told.prompt_full),
        told.bottleneck,
        parts,
    )


def _on_cards(place: Place, numbers: Sequence[tuple[str, int]], cards: Sequence[Card]) -> Place:
    """The place with the cards that the engine is on, as it calls them: it may count them otherwise."""
    from bringup.plan.rates import pcie_bytes_per_s
    from bringup.plan.request import Device, DeviceKind

    by_number = {card.index: card for card in cards}
    devices: list[Device] = []
    links: dict[str, float] = {}
    for name, number in numbers:
        card = by_number[number]
        memory, capability = need(card.memory), card.compute_capability
        generation, lanes = card.link_generation_most, card.link_width_most_lanes
        if isinstance(generation, Known) and isinstance(lanes, Known):
            link = pcie_bytes_per_s(generation.value, lanes.value)
            links |= {name: link} if link is not None else {}
        devices.append(
            Device(
                name,
                DeviceKind.CUDA,
                memory.total_bytes if memory is not None else 0,
                memory.free_bytes if memory is not None else 0,
                card.name.value if isinstance(card.name, Known) else "",
                capability.value if isinstance(capability, Known) else None,
            )
        )
    return replace(place, devices=(*devices, *place.devices), links_bytes_per_s=links, is_card_hidden=False)
