"""What the engine itself says of a plan: asked on request, remembered for the next plan of the same files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bringup.machine import files
from bringup.machine.folders import our_folders
from bringup.plan.memory_plan import MemoryPlan
from bringup.units import MIB

if TYPE_CHECKING:
    from bringup.actions.planning.companions import Accompanied
    from bringup.actions.planning.source import ModelSource
    from bringup.engine.build import EngineBuild
    from bringup.machine.protocol import Machine
    from bringup.plan.differences import Difference, Differences


def remembered(
    source: ModelSource, machine: Machine, *, is_flash: bool, build: EngineBuild | None = None
) -> Callable[[MemoryPlan], MemoryPlan] | None:
    """What an earlier check or start of these files taught; `None` where there was none.

    Args:
        source: the files.
        machine: where the engine is looked for that a plan is for.
        is_flash: with flash attention.
        build: that engine, where it is known.
    """
    # Where nothing was ever kept nothing is looked for, and no engine is asked for its version.
    if not source.is_local or not files.list_names(our_folders().dry_runs):
        return None
    from bringup.actions.planning.referee import known_differences
    from bringup.plan.differences import corrected

    build = build or _engine(machine)
    known = None if build is None else known_differences(source.model, build, is_flash=is_flash)
    if known is None or known.is_confirmed:
        return None
    return lambda plan: corrected(plan, known)


def ask_engine(
    source: ModelSource, plan: MemoryPlan, machine: Machine, beside: Accompanied
) -> tuple[str, ...]:
    """Let the engine's dry run judge a plan; what it says, in sentences.

    Raises:
        EngineError: there is no engine, or it says no figures.
        FileTrouble: no room for a copy of the header.
    """
    from bringup.actions.planning.referee import Drafting, check_plan, read_local_head
    from bringup.engine.find import choose_engine

    build = choose_engine(_engines(machine))
    draft, drafting = beside.draft_source, None
    if draft is not None and beside.companions.draft is not None:
        drafting = Drafting(beside.companions.draft, draft.model, draft.read_head or read_local_head)
    told = check_plan(
        plan, source.model, build, read_head=source.read_head or read_local_head, drafting=drafting
    )
    if drafting is not None and build.is_external:
        return (
            *sentences(told),
            "What the drafting model takes was not asked: llama-fit-params leaves it out.",
        )
    return sentences(told)


def sentences(told: Differences) -> tuple[str, ...]:
    """The verdict, then each part that differs."""
    where = "" if told.has_cards else " It knows no card, so it checked the same run in main memory."
    if told.is_confirmed:
        return (f"{told.engine} confirms all {len(told.rows)} figures that it tells.{where}",)
    differing = [row for row in told.rows if not row.is_same]
    first = f"{told.engine} differs in {len(differing)} of {len(told.rows)} figures.{where}"
    return (first, *map(_row, differing), "The next plan of this file is corrected by it.")


def _row(row: Difference) -> str:
    where = f" on {row.device}" if row.device else ""
    percent = 100 * (row.planned_bytes - row.engine_bytes) / row.engine_bytes if row.engine_bytes else 100.0
    return (
        f"{row.name}{where}: planned {row.planned_bytes / MIB:,.2f} MiB, "
        f"the engine says {row.engine_bytes / MIB:,.2f} MiB ({percent:+.1f} %)."
    )


def _engines(machine: Machine) -> tuple[EngineBuild, ...]:
    from bringup.actions.configuration import read_configuration
    from bringup.engine.find import find_engines

    ours = our_folders()
    path = read_configuration(ours).engine.path
    return find_engines(machine, configured_path=path, builds_folder=ours.builds)


def _engine(machine: Machine) -> EngineBuild | None:
    return next(iter(_engines(machine)), None)
