"""An engine's measured speed beside the planned one. Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from bringup.actions.live.sample import LiveEngine
from bringup.reading import Known
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.plan.predict import Estimate


class Against(Enum):
    """A measured speed beside the planned one; the value is the word for it."""

    BELOW = "below it"
    WITHIN = "as planned"
    ABOVE = "above it"


@dataclass(frozen=True, slots=True)
class Beside:
    """A planned speed at the depth that the engine is at now, and how the measured one lies beside it.

    `against` is `None` while nothing is measured that compares: no look in which one request did that alone.
    """

    planned: Estimate
    against: Against | None


def beside_plan(engine: LiveEngine) -> tuple[Beside, Beside] | None:
    """Its answers and its prompts; `None` where its plan is not known."""
    if not isinstance(engine.planned, Known):
        return None
    speed, planned = engine.speed, engine.planned.value
    return (
        _beside(
            planned.generation.at(engine.depth_share),
            speed.generated_now if speed.generates_throughout else None,
        ),
        _beside(planned.prompt.at(engine.depth_share), speed.read_now if speed.reads_throughout else None),
    )


def _beside(planned: Estimate, measured: float | None) -> Beside:
    return Beside(planned, None if measured is None else hold_against(measured, planned))


def hold_against(measured: float, planned: Estimate) -> Against:
    """Where a measurement lies beside the band that eight of ten are expected in."""
    if measured < planned.low:
        return Against.BELOW
    return Against.ABOVE if measured > planned.high else Against.WITHIN
