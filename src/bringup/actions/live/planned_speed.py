"""A plan's figures of an engine's speed, and what is measured beside them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from bringup.reading import Known

if TYPE_CHECKING:
    from bringup.actions.live.sample import LiveEngine
    from bringup.plan.predict import Estimate


class Against(Enum):
    """A measured speed beside the planned one; the value is the word for it."""

    BELOW = "below it"
    WITHIN = "as planned"
    ABOVE = "above it"


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A part of the plan that lies on a card: the driver's number of the card, the part's name, its bytes."""

    card: int
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PlannedSpeed:
    """What the plan says of an engine's speed, one request at a time: tokens per second with their bands.

    Attributes:
        generation_empty: of an answer at an empty window.
        generation_full: at a full one.
        prompt_empty: of a prompt at an empty window.
        prompt_full: of the last prompt that the window holds.
        bottleneck: what an answer waits for most.
        parts: what the same plan puts on the cards, without margins.
    """

    generation_empty: Estimate
    generation_full: Estimate
    prompt_empty: Estimate
    prompt_full: Estimate
    bottleneck: str
    parts: tuple[PlannedPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Beside:
    """A planned speed at the depth that the engine is at now, and how the measured one lies beside it.

    `against` is `None` while nothing is measured that compares: no look in which one request did that alone.
    """

    planned: Estimate
    against: Against | None


def generation_beside(engine: LiveEngine) -> Beside | None:
    """Of answers; `None` where the plan is not known."""
    if not isinstance(engine.planned, Known):
        return None
    plan, speed = engine.planned.value, engine.speed
    planned = between(plan.generation_empty, plan.generation_full, engine.depth_share)
    measured = speed.generated_now if speed.generates_throughout else None
    return Beside(planned, hold_against(measured, planned) if measured is not None else None)


def prompt_beside(engine: LiveEngine) -> Beside | None:
    """Of prompts, likewise."""
    if not isinstance(engine.planned, Known):
        return None
    plan, speed = engine.planned.value, engine.speed
    planned = between(plan.prompt_empty, plan.prompt_full, engine.depth_share)
    measured = speed.read_now if speed.reads_throughout else None
    return Beside(planned, hold_against(measured, planned) if measured is not None else None)


def between(empty: Estimate, full: Estimate, share: float) -> Estimate:
    """The speed behind a share of the window: the seconds that a token takes grow evenly with it."""
    from bringup.plan.predict import Estimate

    def at(first: float, last: float) -> float:
        return 1 / ((1 - share) / first + share / last) if first > 0 and last > 0 else 0.0

    return Estimate(at(empty.value, full.value), at(empty.low, full.low), at(empty.high, full.high))


def hold_against(measured: float, planned: Estimate) -> Against:
    """Where a measurement lies beside the band that eight of ten are expected in."""
    if measured < planned.low:
        return Against.BELOW
    return Against.ABOVE if measured > planned.high else Against.WITHIN
