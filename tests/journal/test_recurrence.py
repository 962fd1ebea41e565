"""A fault that returns after a fix: the next advice is the next step, not the same one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cases._make.machine import Made
from tests.cases._make.machines import NEW, NIGHT, healthy, morning
from tests.doctor.schema import load_schema, problems
from tests.journal.test_founding_morning import MISMATCH, Day

from bringup.actions.diagnosis.doctor import Examination
from bringup.actions.journal.writing import Note, record
from bringup.actions.log.recurrence import recall
from bringup.faces.render.diagnosis import render_examination
from bringup.faces.render.diagnosis_json import examination_json
from bringup.journal.entry import Kind
from bringup.machine.clock import local_unix_s


def cured() -> Made:
    made = healthy(version=NEW)
    made.text("/var/log/apt/history.log", NIGHT)
    return made


def fixed(day: Day, step: int, when: str, *, gone: bool | None) -> None:
    data = {"attempt": when, "step": step, "command": f"command {step}", "fault_gone": gone}
    data["began_s"] = local_unix_s(f"{when}:00")
    record(Note(Kind.FIX, MISMATCH, f"step {step}", data), ours=day.place)


@pytest.fixture
def day(tmp_path: Path) -> Day:
    one = Day(tmp_path)
    one.look(healthy(), "2025-07-14 21:00")
    one.look(morning(), "2025-07-15 08:00")
    return one


def shown(day: Day, found: Examination) -> str:
    examination = replace(found, histories=recall(day.place, [MISMATCH]))
    value = json.loads(json.dumps(examination_json(examination)))
    assert problems(value, load_schema("examination")) == []
    return "\n".join(
        "".join(getattr(p, "text", str(p)) for p in line) for line in render_examination(examination)
    )


def test_the_first_time_nothing_is_told_of_the_past(day: Day) -> None:
    past = recall(day.place, [MISMATCH])[MISMATCH]
    assert len(past.times) == 1
    assert past.next_step is None
    text = shown(day, day.look(morning(), "2025-07-15 08:01"))
    assert "  history  " not in text
    assert "  next  " not in text


def test_what_came_back_after_a_fix_goes_on_with_the_next_step(day: Day) -> None:
    fixed(day, 1, "2025-07-15 08:10", gone=True)
    day.look(cured(), "2025-07-15 08:20")
    assert recall(day.place, [MISMATCH])[MISMATCH].next_step is None
    text = " ".join(shown(day, day.look(morning(), "2025-07-18 08:00")).split())
    assert "the second time since 2025-07-15" in text
    assert "step 1 (command 1) was taken on 2025-07-15 and it did not hold" in text
    assert "go on with step 2" in text
    past = recall(day.place, [MISMATCH])[MISMATCH]
    assert [time.closed_s is None for time in past.times] == [False, True]
    assert "libnvidia" in past.times[0].changed or "version" in past.times[0].changed


def test_a_step_after_which_it_was_still_there_is_not_advised_again(day: Day) -> None:
    fixed(day, 2, "2025-07-15 08:10", gone=False)
    assert recall(day.place, [MISMATCH])[MISMATCH].next_step == 3


def test_when_all_steps_failed_that_is_said(day: Day) -> None:
    fixed(day, 98, "2025-07-15 08:10", gone=False)
    text = " ".join(shown(day, day.look(morning(), "2025-07-15 08:30")).split())
    assert "every step was tried and none held" in text


def test_of_a_fault_that_never_was_nothing_is_known(day: Day) -> None:
    assert recall(day.place, ["nouveau-in-use"]) == {}
    assert recall(day.place, []) == {}
