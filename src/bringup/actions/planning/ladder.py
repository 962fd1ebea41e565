"""The ladder of windows: what each costs, how fast it is, and what gives way for it."""

from __future__ import annotations

from typing import Final

from bringup.actions.planning.report import Rung
from bringup.actions.planning.start import Planning
from bringup.plan.kv_cache import pad_cells
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import CPU
from bringup.records import replace
from bringup.units import GIB

FIRST_TOKENS: Final = 4096
_UNKNOWN_MOST_TOKENS: Final = 32_768
"""Where the ladder ends for a file that does not say what it was trained for."""


def windows_of(trained: int | None, chosen: int) -> tuple[int, ...]:
    """Tokens of one slot: 4K, 8K, 16K ... the trained window, and the chosen one."""
    most = trained or _UNKNOWN_MOST_TOKENS
    found = {most, chosen}
    step = FIRST_TOKENS
    while step < most:
        found.add(step)
        step *= 2
    return tuple(sorted(found))


def ladder_of(planning: Planning, plan: MemoryPlan) -> tuple[Rung, ...]:
    """A rung for each window, each with the best plan for it."""
    slots = 1 if plan.request.is_unified else plan.run.n_seq
    rungs = []
    for window in windows_of(plan.n_ctx_train, plan.run.n_ctx // slots):
        is_chosen = window * slots == plan.run.n_ctx
        best = plan if is_chosen else planning.choose(replace(planning.request, n_ctx=window * slots))
        rungs.append(_rung(planning, best, window * slots, is_chosen=is_chosen))
    return tuple(rungs)


def _rung(planning: Planning, plan: MemoryPlan, n_ctx: int, *, is_chosen: bool) -> Rung:
    trained = plan.n_ctx_train
    return Rung(
        n_ctx=n_ctx,
        fits=plan.fits,
        uses=planning.uses(plan),
        speed=planning.teller.tell(plan) if plan.fits else None,
        gives_way=gives_way(planning, plan),
        is_chosen=is_chosen,
        is_beyond_training=trained is not None and plan.run.n_ctx_seq > pad_cells(trained),
    )


def gives_way(planning: Planning, plan: MemoryPlan) -> str:
    """What is otherwise than one would want, or what is missing; empty for nothing."""
    if not plan.fits:
        return ", ".join(f"{size / GIB:.1f} GiB too little on {name}" for name, size in plan.missing.items())
    asked = planning.request
    found = []
    n_all = len(planning.planner.anatomy.layers) + 1
    if planning.place.cards and plan.n_gpu_layers < n_all:
        found.append(f"{plan.n_gpu_layers} of {n_all} layers on the card")
    if plan.n_cpu_moe:
        found.append(f"the experts of {layers_text(plan.n_cpu_moe)} in main memory")
    if asked.overrides and CPU in (device for _, device in plan.placement.overrides):
        found.append("what --override-tensor names in main memory")
    types = plan.cache_types
    if (asked.cache_type_k is None and types.k != "f16") or (asked.cache_type_v is None and types.v != "f16"):
        found.append(f"a KV cache as {types.k}")
    if asked.n_ubatch is None and (plan.request.n_ubatch or 512) < 512:
        found.append(f"a micro-batch of {plan.request.n_ubatch}")
    return " and ".join([*([", ".join(found[:-1])] if len(found) > 1 else []), *found[-1:]])


def layers_text(count: int) -> str:
    """`1 layer`, `4 layers`."""
    return f"{count} layer{'' if count == 1 else 's'}"
