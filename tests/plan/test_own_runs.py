"""Predictions corrected by a machine's own runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.plan.own_runs import Run, correction_of
from bringup.plan.predict import Estimate

ESTIMATE = Estimate(50.0, 40.0, 60.0)


def test_no_runs_change_nothing() -> None:
    assert correction_of(()).apply(ESTIMATE) == ESTIMATE


def test_one_run_moves_most_of_the_way_and_many_all_of_it() -> None:
    one = correction_of([Run(50, 40)])
    many = correction_of([Run(50, 40)] * 50)
    assert 0.8 < one.factor < 0.85
    assert many.factor == pytest.approx(0.8, abs=0.005)


def test_the_band_shrinks_around_what_was_measured() -> None:
    corrected = correction_of([Run(50, 40)] * 5).apply(ESTIMATE)
    assert corrected.value == pytest.approx(40, rel=0.02)
    assert corrected.high / corrected.low < ESTIMATE.high / ESTIMATE.low
    assert corrected.low < corrected.value < corrected.high


@pytest.mark.parametrize(
    "strange", [Run(50, 0), Run(50, 1), Run(0, 50), Run(50, 5000), Run(50, float("nan"))]
)
def test_a_run_that_cannot_be_is_left_out(strange: Run) -> None:
    assert correction_of([strange]).n_runs == 0
    assert correction_of([strange, Run(50, 45)]).n_runs == 1


def test_one_slow_run_among_many_is_outvoted() -> None:
    assert correction_of([Run(50, 50)] * 4 + [Run(50, 20)]).factor == pytest.approx(1.0)


@given(st.lists(st.tuples(st.floats(1, 1000), st.floats(0.3, 3)), max_size=12))
def test_the_factor_lies_between_one_and_the_runs(pairs: list[tuple[float, float]]) -> None:
    found = correction_of([Run(predicted, predicted * ratio) for predicted, ratio in pairs])
    ratios = [ratio for _, ratio in pairs] + [1.0]
    assert min(ratios) * 0.999 <= found.factor <= max(ratios) * 1.001
    assert 0 < found.narrowing <= 1
