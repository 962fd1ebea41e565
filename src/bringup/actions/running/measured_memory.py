"""What an engine took when it loaded, held against its plan: a part that differs corrects the next plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bringup.engine.dry_run import parse_log
from bringup.engine.watch import foreign_lines, lines_at_start
from bringup.plan.anatomy import take_apart
from bringup.plan.differences import Differences, compare
from bringup.plan.memory import plan_memory
from bringup.stack.engine_buffers import lines_of_load

if TYPE_CHECKING:
    from bringup.actions.running.preparation import Preparation
    from bringup.machine.folders import Folders

_OF_THE_ENGINE: Final = re.compile(
    r"(?:[\d.]+ [IWED] )?(?:llama_kv_cache\w*|llama_memory_recurrent|sched_reserve|llama_context): "
)
"""How lines begin whose figures count; those that show a model's own strings begin otherwise."""


def keep_measured(preparation: Preparation, ours: Folders) -> Differences | None:
    """Keep what a ready engine's log says that it took, where a plan without it would be wrong.

    Nothing is kept where the log says nothing, where the engine may use what no plan speaks of, or where the
    plan's own formulas are right and nobody said otherwise before.

    Args:
        preparation: what the engine was started with.
        ours: our folders.

    Returns:
        What was kept; `None` where nothing was.

    Raises:
        FileTrouble: the log cannot be read.
    """
    from bringup.actions.planning.referee import engine_name, keep_differences, known_differences

    chosen, headers, build = preparation.chosen, preparation.headers, preparation.build
    plan = chosen.memory
    if chosen.may_know_more or preparation.settings.embeddings:
        return None
    lines = lines_of_load(
        lines_at_start(preparation.log_path), foreign=foreign_lines(preparation.model_texts)
    )
    measured = parse_log([line for line in lines if _OF_THE_ENGINE.match(line)])
    if not any(one.name == "compute" for one in measured):
        return None
    # The plan may have been corrected already: factors are those of the formulas.
    plain = plan_memory(take_apart(headers), plan.request, plan.devices)
    if (plain.run, plain.placement) != (plan.run, plan.placement):
        return None
    has_cards, is_flash = bool(plan.placement.cards), plan.run.flash_attention
    told = compare(plain, measured, engine=engine_name(build), has_cards=has_cards, was_run=True)
    known = known_differences(headers, build, is_flash=is_flash, folders=ours)
    if told == known or (known is None and told.is_confirmed):
        return None
    keep_differences(told, headers, build, is_flash=is_flash, folders=ours)
    return told
