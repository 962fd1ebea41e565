"""A plan's figures of an engine's speed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.plan.predict import Estimate


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A part of the plan that lies on a card: the driver's number of the card, the part's name, its bytes."""

    card: int
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens per second with their bands: at an empty window, and at the end of a full one."""

    empty: Estimate
    full: Estimate

    def at(self, share: float) -> Estimate:
        """The speed behind a share of the window: the seconds that a token takes grow evenly with it."""
        from bringup.plan.predict import Estimate

        def between(first: float, last: float) -> float:
            return 1 / ((1 - share) / first + share / last) if first > 0 and last > 0 else 0.0

        return Estimate(
            between(self.empty.value, self.full.value),
            between(self.empty.low, self.full.low),
            between(self.empty.high, self.full.high),
        )


@dataclass(frozen=True, slots=True)
class PlannedSpeed:
    """What the plan says of an engine's speed, one request at a time.

    Attributes:
        generation: of answers.
        prompt: of prompts.
        bottleneck: what an answer waits for most.
        parts: what the same plan puts on the cards, without margins.
    """

    generation: Span
    prompt: Span
    bottleneck: str
    parts: tuple[PlannedPart, ...] = ()
