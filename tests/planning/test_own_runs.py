"""The user's own runs correct the speeds of later plans on the same machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, run_cli

from bringup.actions.journal.writing import Note, record
from bringup.actions.planning.own_runs import own_runs, processor_name
from bringup.actions.planning.place import Described
from bringup.actions.planning.plan import plan_model
from bringup.actions.planning.report import PlanReport, Speed
from bringup.actions.planning.start import PlanWishes
from bringup.journal.entry import Kind
from bringup.machine.folders import our_folders
from bringup.machine.live import LiveMachine
from bringup.plan.request import Request

HERE = Described(cpu_only=True)


def speed_of(report: PlanReport) -> Speed:
    assert report.speed is not None
    return report.speed


def planned_here(path: Path, described: Described = HERE) -> PlanReport:
    wishes = PlanWishes(request=Request(n_ctx=2048), described=described)
    return plan_model(str(path), wishes, may_send_token=lambda _: False)


def keep_run(speed: Speed, measured: object, *, planned: float = 0.0, processor: str = "") -> None:
    """Made: a run that ended, as `RunRecord` writes it."""
    from bringup import __version__

    name = processor or processor_name(LiveMachine())
    data = {
        "phase": "ended",
        "planned": {
            "tokens_per_s": planned or speed.generation_empty.value,
            "basis": [*speed.sources, name, f"bringup {__version__}"],
        },
        "generation_tokens_per_s": measured,
    }
    assert record(Note(Kind.RUN, "made", "a made run", data, is_redacted=True)) == ""


def test_runs_of_this_machine_correct_its_plans_and_it_is_said(own_home: Path, small_model: Path) -> None:
    before = speed_of(planned_here(small_model))
    for _ in range(5):
        keep_run(before, before.generation_empty.value * 0.7)
    report = planned_here(small_model)
    after = speed_of(report)
    assert after.generation_empty.value == pytest.approx(before.generation_empty.value * 0.7, rel=0.03)
    assert after.generation_empty.low < after.generation_empty.value < after.generation_empty.high
    width = after.generation_empty.high / after.generation_empty.low
    assert width < before.generation_empty.high / before.generation_empty.low
    assert after.prompt_empty == before.prompt_empty, "no run told how long its prompts were"
    said = [line for line in report.assumptions if "corrected by 5 runs of yours on this machine" in line]
    assert len(said) == 1


def keep_prompt(speed: Speed, n_prompt: int, rate: float, *, detached: bool) -> None:
    """Made: a run whose longest prompt was timed; of a detached one the plan stands at its start."""
    from bringup import __version__

    predicted = speed.prompt_empty.value
    planned = {
        "tokens_per_s": speed.generation_empty.value,
        "prompts": [[64, predicted], [1024, predicted]],
        "basis": [*speed.sources, processor_name(LiveMachine()), f"bringup {__version__}"],
    }
    started = {"phase": "started", "is_detached": True, "port": 8080, "planned": planned}
    ended = {"phase": "ended", "longest_prompt": {"tokens": n_prompt, "tokens_per_s": rate}}
    ended |= {"is_detached": True, "port": 8080} if detached else {"planned": planned}
    notes = [started, ended] if detached else [ended]
    assert record(*(Note(Kind.RUN, "made", "a made run", one, is_redacted=True) for one in notes)) == ""


@pytest.mark.parametrize("detached", [False, True])
def test_prompts_of_own_runs_correct_the_time_to_the_first_token(
    own_home: Path, small_model: Path, detached: bool
) -> None:
    before = speed_of(planned_here(small_model))
    for _ in range(4):
        keep_prompt(before, 500, before.prompt_empty.value * 0.5, detached=detached)
    keep_prompt(before, 5000, before.prompt_empty.value * 3, detached=detached)  # nothing was planned for it
    report = planned_here(small_model)
    after = speed_of(report)
    assert after.prompt_empty.value == pytest.approx(before.prompt_empty.value * 0.5, rel=0.05)
    assert after.first_token_s.value == pytest.approx(before.first_token_s.value * 2, rel=0.05)
    assert after.first_token_s.low < after.first_token_s.value < after.first_token_s.high
    assert after.generation_empty == before.generation_empty
    assert [line for line in report.assumptions if "reading of prompts is corrected by 4 runs" in line]


@pytest.mark.parametrize("other", ["processor", "speed", "wild", "no figure", "another machine"])
def test_what_does_not_compare_corrects_nothing(own_home: Path, small_model: Path, other: str) -> None:
    described = Described(ram_bytes=64 * 1024**3, cpu_only=True) if other == "another machine" else HERE
    before = speed_of(planned_here(small_model, described))
    value = before.generation_empty.value
    keep_run(
        before,
        {"wild": value * 9, "no figure": "fast", "speed": value * 7}.get(other, value * 0.7),
        planned=value * 10 if other == "speed" else 0.0,
        processor="another processor" if other == "processor" else "",
    )
    report = planned_here(small_model, described)
    assert speed_of(report) == before
    assert not [line for line in report.assumptions if "corrected" in line]
    assert any("left out" in line for line in report.assumptions) == (other == "wild")


def test_a_damaged_journal_corrects_nothing(own_home: Path, small_model: Path) -> None:
    before = speed_of(planned_here(small_model))
    path = Path(our_folders().journal_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no journal " * 1000)
    assert speed_of(planned_here(small_model)) == before


def test_a_long_journal_is_read_in_a_moment(own_home: Path, small_model: Path) -> None:
    before = speed_of(planned_here(small_model))
    notes = [
        Note(Kind.NOTE, "n", f"note {number}", {"number": number}, is_redacted=True) for number in range(6000)
    ]
    assert record(*notes) == ""
    for _ in range(70):
        keep_run(before, before.generation_empty.value)
    spans_s = []
    for _ in range(5):
        start_s = time.perf_counter()
        found = own_runs(LiveMachine())
        spans_s.append(time.perf_counter() - start_s)
        assert sum(map(len, found.runs.values())) == 70
    print(f"own runs read in {min(spans_s) * 1e3:.1f} ms")
    assert min(spans_s) < 0.05


def test_a_real_run_is_kept_with_what_was_planned_for_it(own_home: Path, small_model: Path) -> None:
    words = ("--engine", "embedded", "--ctx-size", "2048", "--prompt", "Tell me a story.", "--max-tokens")
    done = run_cli(Home(own_home), "run", str(small_model), *words, "24", timeout_s=110)
    assert done.returncode == 0, done.stderr
    found = own_runs(LiveMachine())
    plan = speed_of(planned_here(small_model))
    ((basis, (run,)),) = found.runs.items()
    assert found.prompts == {}, "a prompt of a few words measures nothing"
    assert basis[: len(plan.sources)] == plan.sources, "a later plan finds it"
    assert run.measured > 0
    assert run.predicted > 0
    print(f"planned {run.predicted:.1f}, measured {run.measured:.1f} tokens/s")
    short = run_cli(Home(own_home), "run", str(small_model), *words, "4", timeout_s=110)
    assert short.returncode == 0
    assert own_runs(LiveMachine()) == found, "an answer of 4 tokens measures nothing"
