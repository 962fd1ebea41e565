"""The plan that `run` and `serve` follow: the planner's choice, or a refusal with the figures."""

from __future__ import annotations

from typing import Final

from bringup.actions.diagnosis.known_bad import bad_build
from bringup.actions.planning.check import remembered
from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.memory_rate import known_rates
from bringup.actions.planning.own_runs import own_runs
from bringup.actions.planning.place import Described
from bringup.actions.planning.plan import report_of
from bringup.actions.planning.report import PlanReport
from bringup.actions.planning.source import ModelSource
from bringup.actions.planning.start import Planning, PlanWishes, start_planning
from bringup.engine.build import EngineBuild
from bringup.errors import DoesNotFit
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import Machine
from bringup.plan.memory import DEFAULT_CONTEXT_TOKENS
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.plan import Part, Plan, Residence
from bringup.plan.repack import repacked_bytes
from bringup.plan.request import CPU, Request
from bringup.reading import Known
from bringup.records import dataclass, replace
from bringup.stack.build import probe_engine
from bringup.units import GIB, MIB

_PLANNED_BACKENDS: Final = frozenset({"cpu", "blas", "cuda"})
_CARD_FOLDERS: Final = ("/proc/driver/nvidia/gpus", "/sys/class/kfd/kfd/topology/nodes")


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """A plan that an engine is started with.

    Attributes:
        plan: what is watched and shown while it runs.
        memory: the same, byte by byte and with its placement.
        planning: what it was made from.
        places_layers: the engine fits the layers to its card by itself: nothing here has looked at that.
        may_know_more: it may know devices that no plan speaks of, such as a card by Vulkan.
    """

    plan: Plan
    memory: MemoryPlan
    planning: Planning
    places_layers: bool
    may_know_more: bool = False

    def report(self) -> PlanReport:
        """The plan with its ladder and other ways, for a person who asks why."""
        planning = self.planning
        if not planning.has_threads:
            planning = replace(planning, teller=replace(planning.teller, own_runs=own_runs(LiveMachine())))
        return report_of(planning, self.memory, split_mode=None)


def plan_for_engine(
    source: ModelSource,
    build: EngineBuild,
    *,
    request: Request,
    n_threads: int | None,
    machine: Machine,
) -> EnginePlan:
    """The plan of a model on this machine with this engine.

    Args:
        source: the model.
        build: the engine; one that knows no CUDA gets no card.
        request: what the user fixed.
        n_threads: threads, `None` for our choice.
        machine: whose memory and cards are looked at.

    Raises:
        DoesNotFit: not even the smallest window fits, or not the one that was asked for.
        WrongUse: numbers that cannot be.
        CannotTell: the machine does not say how much memory is free.
    """
    has_cuda = _has_cuda(build, machine)
    place = look_for_place(machine, Described(cpu_only=not has_cuda))
    places_layers = build.is_external and not place.cards and _has_card(machine)
    warnings = place.warnings
    if not has_cuda and not places_layers and _has_card(machine):
        warnings = (*warnings, "This engine knows no CUDA: it runs in main memory, beside the card.")
    if (bad := bad_build("This engine", build.number)) is not None:
        warnings = (*warnings, bad.sentence())
    place = replace(place, is_card_hidden=False, warnings=warnings)
    request = replace(request, build=build.number or request.build)
    wishes = PlanWishes(request=request, n_threads=n_threads)
    known = remembered(source, machine, is_flash=request.flash_attention is not False, build=build)
    host = known_rates(place, machine)
    planning = start_planning(source, wishes, place, host=host, correct=known)
    chosen = planning.choose()
    if not chosen.fits and not places_layers:
        raise _refusal(planning, chosen)
    plan = _contract(planning, chosen, places_layers=places_layers)
    may_know_more = places_layers or _may_know_more(build, machine)
    return EnginePlan(plan, chosen, planning, places_layers, may_know_more)


def _has_cuda(build: EngineBuild, machine: Machine) -> bool:
    """Whether the engine surely has CUDA; the embedded one only as a wheel that was proved to use it."""
    if not build.is_external:
        return build.backend == "cuda"
    backends = probe_engine(machine, build.path).backends
    return isinstance(backends, Known) and "cuda" in backends.value


def _may_know_more(build: EngineBuild, machine: Machine) -> bool:
    if not build.is_external:
        return build.backend not in ("", *_PLANNED_BACKENDS)
    backends = probe_engine(machine, build.path).backends
    return not isinstance(backends, Known) or not _PLANNED_BACKENDS.issuperset(backends.value)


def _has_card(machine: Machine) -> bool:
    """Whether a driver shows a card that an external engine may put layers on."""
    found = (machine.list_folder(folder) for folder in _CARD_FOLDERS)
    return any(isinstance(names, Known) and names.value for names in found)


def _contract(planning: Planning, chosen: MemoryPlan, *, places_layers: bool) -> Plan:
    repacked = repacked_bytes(planning.planner.anatomy, chosen.placement)
    parts = tuple(part for part in chosen.parts if part.name != "other_programs")
    private = chosen.private_bytes + repacked
    return Plan(
        parts=_with_repacked(parts, repacked),
        n_ctx=chosen.run.n_ctx,
        n_ctx_train=chosen.n_ctx_train,
        n_parallel=chosen.run.n_seq,
        n_ubatch=chosen.request.n_ubatch or 512,
        n_threads=chosen.request.n_threads,
        n_gpu_layers=chosen.n_gpu_layers if chosen.placement.cards else None,
        cache_types=chosen.cache_types,
        cache_ram_bytes=chosen.cache_ram_bytes,
        # A driver's own mappings count as private memory too: beside a card nothing is ended for it.
        memory_limit_bytes=None if places_layers or chosen.placement.cards else 2 * private + 2 * GIB,
        available_bytes=planning.place.main.free_bytes,
        notes=_notes(planning, chosen, places_layers=places_layers),
    )


def _with_repacked(parts: tuple[Part, ...], repacked: int) -> tuple[Part, ...]:
    """Of the weights in main memory those that are copied, as a part of their own."""
    found: list[Part] = []
    for part in parts:
        if part.name == "weights" and part.device == CPU and part.residence is Residence.MAPPED and repacked:
            found.append(replace(part, bytes=part.bytes - repacked))
            found.append(
                Part(
                    "weights",
                    repacked,
                    CPU,
                    "sum of the tensors that the CPU backend copies into another layout",
                    "llama.cpp b11434, ggml/src/ggml-cpu/repack.cpp",
                )
            )
        else:
            found.append(part)
    return tuple(found)


def _notes(planning: Planning, chosen: MemoryPlan, *, places_layers: bool) -> tuple[str, ...]:
    notes = [*planning.place.warnings, *chosen.notes]
    usual = min(DEFAULT_CONTEXT_TOKENS, chosen.n_ctx_train or DEFAULT_CONTEXT_TOKENS)
    if planning.request.n_ctx is None and chosen.run.n_ctx_seq < usual:
        notes.append(
            f"The window was lowered to {chosen.run.n_ctx:,} tokens so that it fits in the free memory."
        )
    if planning.request.cache_type_k is None and chosen.run.type_k != "f16":
        notes.append(f"The KV cache is kept as {chosen.run.type_k} so that it fits, for a little quality.")
    if places_layers:
        notes.append("The engine itself fits the layers to the card.")
    return tuple(notes)


def _refusal(planning: Planning, chosen: MemoryPlan) -> DoesNotFit:
    """Every part where too little is free, and the nearest fit."""
    report = report_of(planning, chosen, split_mode=None)
    name = next(iter(chosen.missing))
    needed, free = chosen.needed_bytes(name), chosen.needed_bytes(name) - chosen.missing[name]
    lines = [
        f"{part.name.replace('_', ' ').replace('kv', 'KV'):16} {part.bytes / MIB:10,.0f} MiB"
        for part in chosen.parts
        if part.device == name and part.bytes and part.name != "other_programs"
    ]
    way = report.nearest_fit
    window = way is not None and way.options[:1] == ("--ctx-size",)
    hint = "Close other programs, or take a smaller quantisation or a smaller model."
    if way is not None:
        hint = (
            f"A window of {int(way.options[1]):,} tokens would fit: --ctx-size {way.options[1]}."
            if window
            else f"{way.what}: {way.effect}."
        )
    title = planning.source.title
    where = "" if name == CPU else f" of {name}"
    return DoesNotFit(
        f"{title} needs {needed / GIB:,.1f} GiB{where} with a window of {chosen.run.n_ctx:,} tokens, "
        f"{free / GIB:.1f} GiB are free",
        context=(*lines, f"{'missing':16} {chosen.missing[name] / MIB:10,.0f} MiB"),
        hint=hint,
    )
