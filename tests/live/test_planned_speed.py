"""The plan's speed beside the measured one: which looks compare, and what the words are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.live import made

from bringup.actions.live.engine_watch import SpeedMeter
from bringup.actions.live.planned_speed import Span
from bringup.actions.live.sample import LiveEngine, Speed
from bringup.actions.live.speed_beside import Against, beside_plan, hold_against
from bringup.engine.answers import Slot
from bringup.faces.render.live_engines import engine_lines
from bringup.plan.predict import Estimate
from bringup.reading import NOT_LOOKED, Known, Reading


def slot(number: int = 0, *, generated: int = 0, read: int = 0, prompt: int = 100, task: int = 1) -> Slot:
    return Slot(number, 1000, True, task, prompt, 0, read, generated)


def told(*slots: Slot) -> Reading[tuple[Slot, ...]]:
    return Known(slots, "/slots")


def second_of(before: tuple[Slot, ...], after: tuple[Slot, ...]) -> Speed:
    meter = SpeedMeter()
    meter.measure(1.0, told(*before), NOT_LOOKED)
    return meter.measure(2.0, told(*after), NOT_LOOKED)


def test_a_second_of_one_answer_compares() -> None:
    speed = second_of((slot(generated=5, read=100),), (slot(generated=45, read=100),))
    assert (speed.generated_now, speed.generates_throughout, speed.reads_throughout) == (40.0, True, False)


def test_a_second_of_one_prompt_compares() -> None:
    speed = second_of((slot(read=100, prompt=900),), (slot(read=600, prompt=900),))
    assert (speed.read_now, speed.generates_throughout, speed.reads_throughout) == (500.0, False, True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((slot(read=90),), (slot(read=100, generated=20),)),
        ((slot(generated=5, read=100),), (slot(generated=3, read=100, task=2),)),
        ((slot(generated=5), slot(1, generated=5)), (slot(generated=25), slot(1, generated=25))),
        ((slot(generated=5), slot(1, generated=5)), (slot(generated=25),)),
        ((slot(generated=5),), (slot(generated=25), slot(1, generated=1))),
        ((), (slot(generated=25),)),
    ],
    ids=["prompt ended", "next request", "two at work", "one ended", "one came", "it began"],
)
def test_a_second_of_more_than_one_thing_does_not(before: tuple[Slot, ...], after: tuple[Slot, ...]) -> None:
    speed = second_of(before, after)
    assert not speed.generates_throughout
    assert not speed.reads_throughout


def test_the_seconds_of_a_token_grow_evenly_with_the_window() -> None:
    empty, full = Estimate(60.0, 50.0, 70.0), Estimate(30.0, 25.0, 35.0)
    assert Span(empty, full).at(0.0).value == pytest.approx(60)
    assert Span(empty, full).at(0.5).value == pytest.approx(40)
    assert Span(empty, full).at(1.0).low == pytest.approx(25)
    assert Span(empty, Estimate(0.0, 0.0, 0.0)).at(0.5).value == 0.0


def test_the_band_decides() -> None:
    band = Estimate(40.0, 30.0, 50.0)
    assert [hold_against(rate, band) for rate in (29.9, 30.0, 50.0, 50.1)] == [
        Against.BELOW,
        Against.WITHIN,
        Against.WITHIN,
        Against.ABOVE,
    ]


def words(engine: LiveEngine) -> str:
    lines = engine_lines(engine, (), width_columns=100)
    return "\n".join("".join(p if isinstance(p, str) else p.text for p in line) for line in lines)


def test_the_words_beside_a_speed() -> None:
    engine = made.engine()
    assert "generates 42.7 tokens/s (plan 40 to 53: as planned)" in words(engine)
    slow = replace(engine, speed=replace(engine.speed, generated_now=20.0))
    assert "generates 20.0 tokens/s (plan 40 to 53: below it)" in words(slow)
    resting = replace(engine, speed=Speed(0.0, 0.0))
    assert "generates 0.0 tokens/s (plan 40 to 53)   " in words(resting)
    assert "reads 0.0 tokens/s (plan 624 to 1,024)" in words(resting)


def test_an_engine_without_a_plan_has_none_beside() -> None:
    engine = replace(made.engine(), planned=NOT_LOOKED)
    assert beside_plan(engine) is None
    assert "plan" not in words(engine)
