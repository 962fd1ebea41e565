"""What a machine's own runs say about predictions for it: one factor, drawn towards 1 while runs are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from bringup.plan.predict import Estimate
from bringup.records import dataclass

_RUN_SPREAD: Final = 0.08
"""How far runs of one machine and model lie apart (in logarithms): clocks, heat, other programs."""
_MACHINE_SPREAD: Final = 0.2
"""How far machines lie from predictions made without them (in logarithms): half of the error bands."""
_WILDEST: Final = 4.0
"""A run further off than this factor was something else (another program on the card, a wrong figure)."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run here: tokens a second as predicted and as measured."""

    predicted: float
    measured: float


@dataclass(frozen=True, slots=True)
class Correction:
    """What predictions are multiplied with here.

    Attributes:
        factor: 1 while nothing is known.
        n_runs: runs that it rests on.
        narrowing: by how much the error band shrinks around the corrected value; 1 leaves it.
    """

    factor: float = 1.0
    n_runs: int = 0
    narrowing: float = 1.0

    def apply(self, estimate: Estimate) -> Estimate:
        """The corrected figure: its value moves with the factor, its band shrinks around it."""
        value = estimate.value * self.factor

        def edge(of: float) -> float:
            return value * math.pow(of / estimate.value, self.narrowing)

        return Estimate(value, edge(estimate.low), edge(estimate.high))


def correction_of(runs: Sequence[Run]) -> Correction:
    """The factor between measured and predicted speeds of one machine, for one phase and kind of placement.

    The median of the logarithms, drawn towards 0: `n / (n + (spread of runs / spread of machines)^2)`.
    Runs that cannot be (no tokens, or wildly off) are left out.

    Args:
        runs: of this machine; the newest last. All count alike.
    """
    misses = [
        math.log(run.measured / run.predicted)
        for run in runs
        if run.measured > 0
        and run.predicted > 0
        and math.isfinite(run.measured / run.predicted)
        and 1 / _WILDEST < run.measured / run.predicted < _WILDEST
    ]
    if not misses:
        return Correction()
    n_runs = len(misses)
    trust = n_runs / (n_runs + (_RUN_SPREAD / _MACHINE_SPREAD) ** 2)
    left = math.sqrt(1 - trust + trust * (_RUN_SPREAD / _MACHINE_SPREAD) ** 2)
    return Correction(math.exp(trust * _median(misses)), n_runs, min(1.0, left))


def _median(values: Sequence[float]) -> float:
    """The middle one, or between the two; `statistics` has it too, and takes long to import."""
    ranked = sorted(values)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
