"""Plan a model: what fits where, which window, how fast, and what else could be done. Starts nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from bringup.actions.planning.check import ask_engine, remembered
from bringup.actions.planning.command import choices_of, command_of
from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.ladder import gives_way, ladder_of
from bringup.actions.planning.memory_rate import known_rates, measured_rates
from bringup.actions.planning.own_runs import own_runs
from bringup.actions.planning.place import Described, Place, check_described
from bringup.actions.planning.report import PlanReport
from bringup.actions.planning.source import ModelSource, find_source
from bringup.actions.planning.start import Planning, PlanWishes, start_planning
from bringup.actions.planning.ways import ways_of
from bringup.errors import BringupError, WrongUse
from bringup.machine.folders import our_folders
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import Machine
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import CARD_BUILD, CPU, SplitMode, check_request
from bringup.records import replace
from bringup.units import GIB, MIB

_SCARCE_BYTES: Final = 512 * MIB
"""Less than this free on a card is no room for a context of CUDA and one layer."""


def plan_model(
    typed: str,
    wishes: PlanWishes,
    *,
    may_send_token: Callable[[BringupError], bool],
    machine: Machine | None = None,
) -> PlanReport:
    """The plan of one model.

    Raises:
        WrongUse: options that cannot be, an unknown card or model.
        ModelFileError: what is there is no sound model.
        DownloadError: the model is not here and cannot be looked into.
        CannotTell: this machine does not say how much memory is free.
    """
    check_request(wishes.request)
    check_described(wishes.described)
    machine = machine or LiveMachine()
    look = _Look(machine, wishes.described)
    source = find_source(typed, our_folders(), may_send_token=may_send_token)
    return plan_source(source, wishes, look.result(), machine)


class _Look:
    """The look at the machine, beside the reading of the model's header."""

    def __init__(self, machine: Machine, described: Described) -> None:
        self._found: Place | BaseException | None = None
        self._thread = threading.Thread(target=self._look, args=(machine, described), daemon=True)
        self._thread.start()

    def _look(self, machine: Machine, described: Described) -> None:
        try:
            self._found = look_for_place(machine, described, expects_driver=True)
        except BaseException as problem:  # noqa: BLE001 - raised again where it is waited for
            self._found = problem

    def result(self) -> Place:
        """The place, or what went wrong with the look."""
        self._thread.join()
        if isinstance(self._found, Place):
            return self._found
        assert self._found is not None
        raise self._found


def plan_source(source: ModelSource, wishes: PlanWishes, place: Place, machine: Machine) -> PlanReport:
    """The plan of a model that was looked into, on a place that was looked at.

    Raises:
        WrongUse: options that cannot be.
        GgufError: a figure of the architecture is missing or cannot be.
        EngineError: a check was wanted, and there is no engine or it says no figures.
    """
    if place.is_this_machine:
        place = _with_engine_warnings(place, machine)
    if wishes.main_gpu is not None and wishes.split_mode != "none":
        said = "--main-gpu is left out of the command: the engine looks at it only with --split-mode none."
        place = replace(place, warnings=(*place.warnings, said))
    host = None
    if place.is_this_machine and wishes.ram_bytes_per_s is None:
        host = (measured_rates if wishes.measures_ram else known_rates)(place, machine)
    planning = start_planning(
        source,
        wishes,
        place,
        host=host,
        own_runs=own_runs(machine) if place.is_this_machine and not wishes.n_threads else None,
        correct=remembered(source, machine, is_flash=wishes.request.flash_attention is not False),
    )
    if wishes.checks and planning.request.split_mode is not SplitMode.LAYER:
        raise WrongUse(
            "--check: the engine's dry run tells cards that share matrices as one device",
            hint="Leave --check out, or check the plan with --split-mode layer.",
        )
    plan = planning.choose()
    report = report_of(planning, plan, split_mode=wishes.split_mode)
    if not wishes.checks:
        return report
    uncorrected = replace(planning.planner, correct=None).plan(plan.request)
    return replace(report, checked=ask_engine(source, uncorrected, machine, planning.accompanied))


def _with_engine_warnings(place: Place, machine: Machine) -> Place:
    """The place, with what the engine that is here would make of it."""
    # Imports that a plan for another machine spares.
    from bringup.actions.planning.next_engine import engine_without_cuda, next_bad_build

    said = []
    if place.cards and (engine := engine_without_cuda(machine, our_folders())):
        said.append(
            f"The engine here ({engine}) knows no CUDA and would run it in main memory, beside the card:"
            " this plan is for one that does. bringup setup gets it."
        )
    if (bad := next_bad_build(machine, our_folders())) is not None:
        said.append(bad.sentence())
    return replace(place, warnings=(*place.warnings, *said)) if said else place


def report_of(planning: Planning, plan: MemoryPlan, *, split_mode: str | None) -> PlanReport:
    """Everything about a plan that was chosen."""
    source, place = planning.source, planning.place
    ladder = ladder_of(planning, plan)
    settings = command_of(planning, plan, split_mode)
    speed = planning.teller.tell(plan) if plan.fits else None
    return PlanReport(
        source=source,
        architecture=planning.planner.anatomy.architecture,
        place=place,
        n_ctx=plan.run.n_ctx,
        n_parallel=plan.run.n_seq,
        fits=plan.fits,
        verdict=_verdict(planning, plan),
        missing=_missing(plan),
        uses=planning.uses(plan),
        speed=speed,
        no_speed="" if speed else _why_no_speed(planning) if plan.fits else "it does not fit",
        ladder=ladder,
        choices=choices_of(planning, settings),
        reasons=plan.reasons,
        alternatives=ways_of(planning, plan, ladder),
        command=("llama-server", *source.argument, *settings, *planning.accompanied.arguments),
        warnings=(*_warnings(source, place), *plan.notes, *planning.accompanied.notes),
        assumptions=(*_assumptions(place, plan), *(planning.teller.assumptions(plan) if speed else ())),
    )


def _why_no_speed(planning: Planning) -> str:
    return planning.teller.why_not.removeprefix("the speed cannot be told: ")


def _verdict(planning: Planning, plan: MemoryPlan) -> str:
    """One sentence, behind another one where no engine could load what is there."""
    said = _memory_verdict(planning, plan)
    model = planning.source.model
    if not model.missing_bytes:
        return said
    return (
        f"No engine can load it yet: {model.missing_bytes / MIB:,.1f} of {model.whole_bytes / MIB:,.1f} MiB "
        f"are missing (cut short, or still being fetched). Once it is whole: {said[:1].lower()}{said[1:]}"
    )


def _memory_verdict(planning: Planning, plan: MemoryPlan) -> str:
    window = f"{plan.run.n_ctx:,} tokens of context"
    if plan.run.n_seq > 1:
        window += f" in {plan.run.n_seq} slots"
    if not plan.fits:
        least = planning.request.n_ctx is None
        return f"It does not fit{', not even' if least else ''} with {window}."
    where = "on the card" if len(plan.placement.cards) == 1 else "on the cards"
    way = gives_way(planning, plan)
    if not planning.place.cards or not plan.n_gpu_layers:
        return f"It fits in main memory{_unused(planning)} with {window}{_spare(plan, CPU)}."
    if way:
        return f"It fits with {window}{',' if ' and ' in way else ' and'} {way}."
    spare = _spare(plan, plan.placement.cards[0]) if len(plan.placement.cards) == 1 else ""
    return f"It fits {where} with {window}{spare}."


def _unused(planning: Planning) -> str:
    """Of cards that nobody asked to leave out, and that are left out all the same."""
    if not planning.place.cards or planning.request.n_gpu_layers is not None:
        return ""
    cards = "card is" if len(planning.place.cards) == 1 else "cards are"
    return f" alone (the {cards} not used: too little is free there)"


def _spare(plan: MemoryPlan, name: str) -> str:
    device = next(one for one in plan.devices if one.name == name)
    spare = device.free_bytes - plan.needed_bytes(name)
    if spare < GIB // 10:
        return f"; {spare / MIB:.0f} MiB stay free" if spare > 0 else ""
    return f"; {spare / GIB:.1f} GiB stay free"


def _missing(plan: MemoryPlan) -> tuple[str, ...]:
    titles = {device.name: device.title for device in plan.devices}
    return tuple(
        f"{name} ({titles[name]}) has {size / GIB:.2f} GiB too little: "
        f"{plan.needed_bytes(name) / GIB:.2f} GiB are needed, "
        f"{(plan.needed_bytes(name) - size) / GIB:.2f} GiB are free."
        for name, size in plan.missing.items()
    )


def _assumptions(place: Place, plan: MemoryPlan) -> tuple[str, ...]:
    if plan.request.build != CARD_BUILD:
        return place.assumptions
    known = f"Buffers as llama.cpp b{CARD_BUILD} reserves them, the newest of which cards' logs are known"
    return (*place.assumptions, f"{known} (--engine-build names another).")


def _warnings(source: ModelSource, place: Place) -> tuple[str, ...]:
    found = list(place.warnings)
    if source.model.missing_bytes:
        name = source.repository or "MODEL"
        found.append(
            f"The file is not whole: {source.model.missing_bytes:,} bytes of weights are missing. "
            f"bringup pull {name} goes on where a download of its own stopped; any other is fetched anew."
        )
    for card in place.cards:
        if card.free_bytes < _SCARCE_BYTES:
            found.append(
                f"{card.name} ({card.title}) has only {card.free_bytes / MIB:,.0f} of "
                f"{card.total_bytes / MIB:,.0f} MiB free: other programs hold the rest."
            )
    return tuple(found)
