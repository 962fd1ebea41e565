"""Other ways: what makes a model fit that does not, or more of it where it does; the cheapest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bringup.actions.planning.ladder import gives_way, layers_text
from bringup.actions.planning.place import Holder
from bringup.actions.planning.report import Alternative, Group, Rung, group_of
from bringup.actions.planning.start import Planning
from bringup.plan.bounds import Bounds
from bringup.plan.card_split import is_all_on_cards
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.place import ALL_LAYERS
from bringup.plan.request import Request
from bringup.records import dataclass, replace
from bringup.units import GIB, MIB

_WORTH_CLOSING_BYTES: Final = 64 * MIB
_VARIANTS: Final = 3
_WORKED_OUT: Final = 2
_ROUNDS: Final = 4
_LARGE_UBATCH_TOKENS: Final = 2048
_WORTH: Final = 1.2
"""A larger micro-batch is worth a line where prompts are read faster by this factor."""
_FASTER: Final = 1.02
_NO_COST: Final = "costs nothing: it is faster"
_SLACK: Final = 1.03
"""A smaller file saves a little less where it has to: not all of its tensors are of the smaller type."""


@dataclass(frozen=True, slots=True)
class _Goal:
    """What the ways are measured by: the request, how it stands now, and how many tokens it has."""

    request: Request
    now: MemoryPlan

    @property
    def is_wanting(self) -> bool:
        return not self.now.fits


def ways_of(planning: Planning, plan: MemoryPlan, ladder: tuple[Rung, ...]) -> tuple[Alternative, ...]:
    """Other ways. For a plan that fits as it is, ways to the next window that does not."""
    goal = _goal(planning, plan, ladder)
    if goal is None:
        return ()
    found = [
        *_close_programs(planning, goal),
        *_larger_batch(planning, goal),
        *_smaller_window(planning, goal, ladder),
        *_smaller_cache(planning, goal),
        *_own_layers(planning, goal),
        *_own_experts(planning, goal),
        *_experts(planning, goal),
        *_smaller_files(planning, goal),
    ]
    if goal.is_wanting and not any(one.fits for one in found):
        found += _more_memory(planning, goal)
    return tuple(sorted(found, key=lambda one: (not one.fits, one.cost != _NO_COST)))


def _goal(planning: Planning, plan: MemoryPlan, ladder: tuple[Rung, ...]) -> _Goal | None:
    if not plan.fits or gives_way(planning, plan):
        return _Goal(planning.request, plan)
    for rung in ladder:
        if rung.n_ctx > plan.run.n_ctx and (rung.gives_way or not rung.fits):
            request = replace(planning.request, n_ctx=rung.n_ctx)
            return _Goal(request, planning.choose(request))
    return None


def _effect(planning: Planning, goal: _Goal, plan: MemoryPlan) -> str:
    """What a changed plan gives: that it fits, or what is still missing; and the speed."""
    window = f"{plan.run.n_ctx:,} tokens"
    if not plan.fits:
        return f"{window} still do not fit: {gives_way(planning, plan)}"
    way = gives_way(planning, plan)
    speed = planning.teller.tell(plan)
    words = f"{window} {'fit' if goal.is_wanting else 'then'}" + (f" with {way}" if way else "")
    if not goal.is_wanting and not way:
        words = f"{window} with all of it on the card" if planning.place.cards else f"{window} fit"
    if speed is not None:
        rate = speed.generation_empty
        words += f", {_rate(rate.value)} ({_rate(rate.low)} to {_rate(rate.high)}) tokens/s"
    return words


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def _is_better(goal: _Goal, plan: MemoryPlan) -> bool:
    """Whether a changed plan is worth a line: it fits where the goal does not, or more is on the cards."""
    if goal.is_wanting:
        return plan.fits or sum(plan.missing.values()) < sum(goal.now.missing.values())
    return plan.fits and (plan.n_gpu_layers, -plan.n_cpu_moe) > (goal.now.n_gpu_layers, -goal.now.n_cpu_moe)


def _close_programs(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    holders = [one for one in planning.place.holders if (one.used_bytes or 0) >= _WORTH_CLOSING_BYTES]
    if not holders:
        return
    freed: dict[str, int] = {}
    for holder in holders:
        freed[holder.device] = freed.get(holder.device, 0) + (holder.used_bytes or 0)
    devices = tuple(
        replace(device, free_bytes=min(device.total_bytes, device.free_bytes + freed.get(device.name, 0)))
        for device in planning.planner.devices
    )
    closed = replace(planning.planner, devices=devices)
    plan = planning.choose(goal.request, planner=closed)
    if _is_better(goal, plan):
        yield Alternative(
            what=f"Close {', '.join(_name(holder) for holder in holders[:4])}",
            options=(),
            effect=_effect(planning, goal, plan),
            fits=plan.fits,
            cost="costs nothing but the programs",
        )


def _name(holder: Holder) -> str:
    name = holder.name or "a program"
    kind = (
        " (it draws the desktop)"
        if holder.is_graphics and name in ("Xorg", "gnome-shell", "kwin_wayland")
        else ""
    )
    return f"{name} ({holder.process_id}, {(holder.used_bytes or 0) / MIB:,.0f} MiB){kind}"


def _more_memory(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    """Where nothing else makes it fit: how much memory is wanting, so that one sees what would."""
    step = GIB // 10
    before, plan = planning.planner, goal.now
    wanting: dict[str, int] = {}
    for _ in range(_ROUNDS):  # margins grow with the memory
        for name, size in plan.missing.items():
            wanting[name] = wanting.get(name, 0) + -(-size // step) * step
        larger = tuple(
            replace(device, free_bytes=device.free_bytes + wanting.get(device.name, 0))
            for device in before.devices
        )
        plan = replace(before, devices=larger).plan(goal.now.request)
        if plan.fits:
            break
    titles = {device.name: device.title or device.name for device in before.devices}
    if plan.fits:
        yield Alternative(
            what="Give it more memory: "
            + " and ".join(f"{size / GIB:.1f} GiB in {titles[name]}" for name, size in wanting.items()),
            options=(),
            effect=f"{plan.run.n_ctx:,} tokens fit then",
            fits=True,
            cost="costs other programs, or hardware; else it is too large a model for this machine",
        )


def _smaller_window(planning: Planning, goal: _Goal, ladder: tuple[Rung, ...]) -> Iterator[Alternative]:
    if not goal.is_wanting:
        return
    fitting = [rung for rung in ladder if rung.fits and rung.n_ctx < goal.now.run.n_ctx]
    if not fitting:
        return
    most = max((rung.n_ctx for rung in ladder if not rung.is_beyond_training), default=goal.now.run.n_ctx)
    n_ctx = _largest(planning, fitting[-1].n_ctx, min(most, goal.now.run.n_ctx))
    request = replace(goal.request, n_ctx=n_ctx)
    plan = planning.choose(request)
    yield Alternative(
        what="Ask for a smaller window",
        options=("--ctx-size", str(plan.run.n_ctx)),
        effect=_effect(planning, goal, plan),
        fits=True,
        cost="costs how far it can look back",
    )


def _largest(planning: Planning, fits: int, does_not: int) -> int:
    """The largest window that fits, found by halving, to a block of 1,024 tokens."""
    while does_not - fits > 1024:
        middle = (fits + does_not) // 2 // 1024 * 1024
        if middle <= fits:
            break
        if planning.choose(replace(planning.request, n_ctx=middle)).fits:
            fits = middle
        else:
            does_not = middle
    return fits


def _smaller_cache(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    if "f16" not in (goal.now.cache_types.k, goal.now.cache_types.v):
        return
    if goal.request.flash_attention is False:
        return
    plan = planning.choose(replace(goal.request, cache_type_k="q8_0", cache_type_v="q8_0"))
    saved = _cache_bytes(goal.now) - _cache_bytes(plan)
    if saved > 0 and _is_better(goal, plan):
        yield Alternative(
            what="Keep the KV cache as q8_0",
            options=("--cache-type-k", "q8_0", "--cache-type-v", "q8_0"),
            effect=f"{_effect(planning, goal, plan)}; the cache is {saved / MIB:,.0f} MiB smaller",
            fits=plan.fits,
            cost="costs a little quality and speed",
        )


def _cache_bytes(plan: MemoryPlan) -> int:
    return sum(part.bytes for part in plan.parts if group_of(part) is Group.CACHE)


def _experts(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    """Experts in main memory, where the user had fixed it otherwise or the search went another way."""
    figures = planning.planner.anatomy.architecture
    if not figures.n_expert or not planning.place.cards or goal.now.placement.is_overridden:
        return
    bounds = Bounds(planning.planner)
    for count in range(1, figures.n_layer + 1):
        request = replace(goal.request, n_cpu_moe=count, n_gpu_layers=ALL_LAYERS)
        if bounds.surely_lack(request):
            continue
        plan = planning.planner.plan(request)
        if plan.fits:
            yield Alternative(
                what=f"Keep the experts of {layers_text(count)} in main memory",
                options=("--n-gpu-layers", "all", "--n-cpu-moe", str(count)),
                effect=_effect(planning, goal, plan),
                fits=True,
                cost=_speed_cost(planning, goal, plan) or _NO_COST,
            )
            return


def _larger_batch(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    """More tokens at once, where a prompt copies weights of main memory to the card for each batch."""
    now = goal.now
    if not now.fits or goal.request.n_ubatch is not None or not now.placement.is_overridden:
        return
    size = min(goal.request.n_batch, now.run.n_ctx, _LARGE_UBATCH_TOKENS)
    plan = planning.planner.plan(replace(now.request, n_ubatch=size))
    if size <= now.run.n_ubatch or not plan.fits:
        return
    before, then = planning.teller.tell(now), planning.teller.tell(plan)
    if before is None or then is None or then.first_token_s.value * _WORTH > before.first_token_s.value:
        return
    taken = sum(plan.used_bytes(card.name) - now.used_bytes(card.name) for card in planning.place.cards)
    yield Alternative(
        what=f"Compute {size:,} tokens of a prompt at once",
        options=("--ubatch-size", str(size)),
        effect=f"{then.n_prompt:,} tokens are then read in {then.first_token_s.value:.1f} s instead of "
        f"{before.first_token_s.value:.1f} s",
        fits=True,
        cost=f"costs {taken / MIB:,.0f} MiB of the card{'s' if len(now.placement.cards) > 1 else ''}",
    )


def _own_layers(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    """Our own choice of layers, where the user had fixed it and it does not fit or is slower."""
    if goal.request.n_gpu_layers is None:
        return
    plan = planning.choose(replace(goal.request, n_gpu_layers=None))
    cost = _speed_cost(planning, goal, plan)
    if plan.fits and (goal.is_wanting or not cost):
        yield Alternative(
            what="Leave the number of layers to bringup",
            options=("--n-gpu-layers", "auto"),
            effect=_effect(planning, goal, plan),
            fits=True,
            cost=cost or _NO_COST,
        )


def _own_experts(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    """Our own choice of experts, where the user left more of them in main memory than have to be."""
    if goal.is_wanting or not goal.request.n_cpu_moe:
        return
    plan = planning.choose(replace(goal.request, n_cpu_moe=None))
    if plan.fits and not _speed_cost(planning, goal, plan):
        yield Alternative(
            what="Leave --n-cpu-moe out",
            options=(),
            effect=_effect(planning, goal, plan),
            fits=True,
            cost=_NO_COST,
        )


def _speed_cost(planning: Planning, goal: _Goal, plan: MemoryPlan) -> str:
    """Empty where a plan is faster than what is wanted now; that may not fit, and has no speed then."""
    now = planning.teller.tell(goal.now) if not goal.is_wanting else None
    then = planning.teller.tell(plan) if now is not None else None
    if now is None or then is None:
        return "costs speed"
    return "" if then.generation_empty.value > _FASTER * now.generation_empty.value else "costs speed"


def _smaller_files(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    """Smaller quantisations of the same repository; where nobody listed them, worked out from the header."""
    if not planning.source.variants:
        yield from _worked_out(planning, goal)
        return
    size, most = planning.source.model.whole_bytes, _most_bytes(planning, goal)
    if not 0 < most < size:
        return
    smaller = sorted(planning.source.variants, key=lambda one: -one.size_bytes)
    effect = (
        f"{goal.now.run.n_ctx:,} tokens should fit{'' if goal.is_wanting else ' on the card'}, by its size"
    )
    for one in [one for one in smaller if one.size_bytes <= most][:_VARIANTS]:
        yield Alternative(
            what=f"Take {one.label} of the same repository, {one.size_bytes / GIB:.1f} GiB",
            options=("bringup", "plan", f"{planning.source.repository}:{one.label}"),
            effect=effect,
            fits=True,
            cost="costs quality",
        )


def _worked_out(planning: Planning, goal: _Goal) -> Iterator[Alternative]:
    """Of a file on the disk: nothing is asked on the network. The same tensors in the usual mixtures."""
    from bringup.plan.requantised import smaller_mixtures  # not every plan needs it

    repository = planning.source.repository
    here = _on_this_disk(repository)
    found = 0
    for made in smaller_mixtures(planning.planner.anatomy):
        other = replace(
            planning,
            planner=replace(planning.planner, anatomy=made.anatomy, correct=None),
            teller=replace(planning.teller, anatomy=made.anatomy),
            _chosen={},
        )
        plan = other.choose(goal.request)
        if not plan.fits or not (goal.is_wanting or is_all_on_cards(plan)):
            continue
        size = f"about {made.size_bytes / GIB:.1f} GiB, worked out from this header"
        if made.label in here:
            size = f"{here[made.label] / GIB:.1f} GiB, on this disk"
        yield Alternative(
            what=f"Take {made.label} of {repository or 'the same model'} ({size})",
            options=("bringup", "plan", f"{repository}:{made.label}") if repository else (),
            effect=_effect(other, goal, plan),
            fits=True,
            cost="costs quality",
        )
        found += 1
        if found == _WORKED_OUT:
            return


def _on_this_disk(repository: str | None) -> dict[str, int]:
    """Sizes of what is here of a repository, by quantisation."""
    if repository is None:
        return {}
    from bringup.store.local import list_models

    return {one.quant: one.size_bytes for one in list_models() if one.repository == repository and one.quant}


def _most_bytes(planning: Planning, goal: _Goal) -> int:
    """The largest file of the same model that would do; its own size where nothing is missing.

    What is missing has to be saved: anywhere where the model does not fit at all, since layers can move; on
    the cards where it does and they shall hold all of it.
    """
    plan = goal.now
    if not goal.is_wanting:
        plan = planning.planner.plan(
            replace(goal.request, n_gpu_layers=ALL_LAYERS, n_cpu_moe=goal.request.n_cpu_moe or 0)
        )
    weights = sum(part.bytes for part in plan.parts if part.name == "weights")
    missing = sum(plan.missing.values())
    if not weights or missing >= weights:
        return 0
    return int(planning.source.model.whole_bytes * (weights - missing * _SLACK) / weights)
