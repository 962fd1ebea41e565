"""Detached engines: they outlive us, start again with growing pauses, and give up loudly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.engine.api import EngineApi
from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.engine.exits import ExitKind
from bringup.engine.registry import EngineRecord, EngineState, list_running, read_record, stop_running
from bringup.engine.restart import RestartPolicy, is_final
from bringup.engine.supervisor import DetachedJob, read_detached_job, start_detached, wait_detached
from bringup.errors import EngineError, FileTrouble
from bringup.machine.folders import Folders
from bringup.machine.process import is_alive
from bringup.machine.sockets import is_port_free

MakeEnvironment = Callable[..., dict[str, str]]
MakeJob = Callable[..., DetachedJob]
QUICK = RestartPolicy(tries=4, factor=1.5, healthy_s=30.0)


@pytest.fixture
def job(
    fake: EngineBuild,
    settings: EngineSettings,
    folders: Folders,
    log_path: str,
    environment: MakeEnvironment,
    tmp_path: Path,
) -> Iterator[MakeJob]:
    """Make jobs; whatever runs at the end is stopped."""

    def make(*, build: EngineBuild = fake, policy: RestartPolicy = QUICK, **fake_says: object) -> DetachedJob:
        says = json.dumps({"count": str(tmp_path / "starts"), **fake_says})
        return DetachedJob(folders, build, settings, log_path, environment(FAKE=says), policy=policy)

    yield make
    for record in list_running(folders):
        stop_running(folders, record)


def starts(tmp_path: Path) -> list[float]:
    return [float(line) for line in (tmp_path / "starts").read_text().split()]


def ends(tmp_path: Path) -> list[float]:
    return [float(line) for line in (tmp_path / "starts.ends").read_text().split()]


def wait_for(folders: Folders, record: EngineRecord, state: EngineState, seconds: float = 90) -> EngineRecord:
    until = time.monotonic() + seconds
    while (now := read_record(folders, record.port)) is None or now.state is not state:
        assert time.monotonic() < until, now
        time.sleep(0.02)
    return now


def test_a_job_comes_back_whole(job: MakeJob, settings: EngineSettings) -> None:
    wanted = replace(job(), model_texts=("a\nb",), settings=replace(settings, extra=("--x", "y")))
    assert read_detached_job(wanted.to_line()) == wanted


def test_a_detached_engine_outlives_its_starter(
    job: MakeJob, folders: Folders, embedded: EngineBuild, settings: EngineSettings
) -> None:
    """Started by a process that is gone afterwards, with the real engine."""
    code = (
        "import sys; from bringup.engine.supervisor import *;"
        "j = read_detached_job(sys.stdin.buffer.readline());"
        "wait_detached(start_detached(j), j.folders)"
    )
    wanted = job(build=embedded)
    subprocess.run([sys.executable, "-I", "-c", code], input=wanted.to_line(), check=True, timeout=60)
    (record,) = list_running(folders)
    assert record.state is EngineState.READY and record.is_detached and record.engine is not None
    key = Path(folders.key_file).read_text().strip()
    api = EngineApi(f"http://127.0.0.1:{settings.port}", key)
    assert api.info().alias == "smollm2"
    assert os.getsid(record.owner.pid) == record.owner.pid
    assert stop_running(folders, record)
    assert list_running(folders) == () and is_port_free(settings.port)


@pytest.mark.parametrize("target", ["/proc/tty", "/dev/null"])
def test_a_record_that_cannot_be_written_is_what_is_said(target: str, job: MakeJob, folders: Folders) -> None:
    """Not even by root: the records' folder is one that can be read only, or a file."""
    place = Path(folders.engines)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
    with pytest.raises(FileTrouble) as caught:
        start_detached(job())
    assert str(place) in caught.value.message
    place.unlink()


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ([401, {"error": {"code": 401, "message": "Invalid API Key"}}], "auth-failed"),
        ([200, {"not": "llama.cpp's"}], "engine-answer-unexpected"),
        ([500, {}], "request-refused"),
    ],
)
def test_an_engine_that_answers_otherwise_than_ours_is_given_up_with_its_cause(
    answer: list[object], reference: str, job: MakeJob, folders: Folders, settings: EngineSettings
) -> None:
    """A supervisor that ended over it would leave nobody who could say why."""
    with pytest.raises(EngineError) as caught:
        wait_detached(start_detached(job(props=answer)), folders)
    assert caught.value.reference == reference
    (record,) = list_running(folders)
    assert (record.state, record.reference) == (EngineState.FAILED, reference)
    assert is_port_free(settings.port)


def test_it_is_started_again_when_killed(job: MakeJob, folders: Folders, tmp_path: Path) -> None:
    record = wait_detached(start_detached(job()), folders)
    first = record.engine
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    until = time.monotonic() + 90
    while (again := read_record(folders, record.port)) is None or not again.restarts:
        assert time.monotonic() < until, again
        time.sleep(0.02)
    assert again.reference == "engine-killed" and again.restarts == 1
    # A busy machine may show us the record only after the next start.
    assert again.engine is None or again.state is EngineState.READY
    ready = wait_for(folders, record, EngineState.READY)
    assert ready.engine is not None and ready.engine != first
    assert ready.cause and len(starts(tmp_path)) == 2


def test_a_record_that_cannot_be_written_ends_no_engine(
    job: MakeJob, folders: Folders, tmp_path: Path
) -> None:
    """Made: a file stands where the folder of records was, so nothing can be noted for a while."""
    record = wait_detached(start_detached(job()), folders)
    assert record.engine is not None
    place, aside = Path(folders.engines), tmp_path / "aside"
    place.rename(aside)
    place.touch()
    os.kill(record.engine.pid, signal.SIGKILL)
    until = time.monotonic() + 90
    while len(starts(tmp_path)) < 2:
        assert time.monotonic() < until and is_alive(record.owner)
        time.sleep(0.02)
    place.unlink()
    aside.rename(place)
    until = time.monotonic() + 90
    while (now := read_record(folders, record.port)) is None or now.engine in (None, record.engine):
        assert time.monotonic() < until and is_alive(record.owner), now
        time.sleep(0.02)
    assert now.restarts == 1


@pytest.mark.parametrize(
    "fake_says",
    [
        {"exit": 9, "print": "what(): made\n"},
        {"signal": 11, "after_s": 0.3},
        {"exit": 3, "per_request": True},
    ],
    ids=["at-start", "soon-after", "after-each-request"],
)
def test_a_crash_loop_ends_loudly(
    fake_says: dict[str, object], job: MakeJob, folders: Folders, settings: EngineSettings, tmp_path: Path
) -> None:
    record = start_detached(job(**fake_says))
    asked: set[object] = set()
    until = time.monotonic() + 100
    while (now := read_record(folders, record.port)) is not None and now.state is not EngineState.FAILED:
        assert time.monotonic() < until
        if "per_request" in fake_says and now.state is EngineState.READY and now.engine not in asked:
            asked.add(now.engine)
            key = Path(folders.key_file).read_text().strip()
            list(EngineApi(f"http://127.0.0.1:{settings.port}", key).chat([{"role": "user", "content": "x"}]))
        time.sleep(0.02)
    assert now is not None and now.cause and now.reference
    begun, ended = starts(tmp_path), ends(tmp_path)
    assert len(begun) == len(ended) == QUICK.tries <= 5
    # From an end to the next start: a busy machine makes it longer, never shorter.
    for failures, (end, start) in enumerate(zip(ended, begun[1:], strict=False), start=1):
        pause_s = QUICK.pause_s(failures)
        assert pause_s is not None and start - end >= pause_s
    until = time.monotonic() + 60
    while is_alive(now.owner):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert list_running(folders) == (now,)
    assert is_port_free(settings.port)


def test_what_would_end_the_same_way_is_not_tried_again(
    job: MakeJob, folders: Folders, tmp_path: Path
) -> None:
    wrong = "E error loading model: unknown model architecture: 'x'\n"
    record = start_detached(job(exit=1, print=wrong))
    with pytest.raises(EngineError) as caught:
        wait_detached(record, folders)
    assert caught.value.reference == "model-architecture-unknown"
    assert len(starts(tmp_path)) == 1


@pytest.mark.parametrize("moment", ["starting", "ready", "restarting", "frozen"])
def test_stop_at_any_moment(moment: str, job: MakeJob, folders: Folders) -> None:
    says: dict[str, object] = {"starting": {"stall_s": 30}, "restarting": {"exit": 1}}.get(moment, {})
    record = start_detached(job(**says))
    if moment in ("ready", "frozen"):
        record = wait_detached(record, folders)
    elif moment == "restarting":
        record = wait_for(folders, record, EngineState.RESTARTING)
    if moment == "frozen":
        for one in record.processes:
            os.kill(one.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert stop_running(folders, record)
    assert time.monotonic() - began < 60
    assert not any(is_alive(one) for one in record.processes) and list_running(folders) == ()
    assert is_port_free(record.port)


def test_a_killed_supervisor_takes_the_engine_along(job: MakeJob, folders: Folders) -> None:
    record = wait_detached(start_detached(job()), folders)
    os.kill(record.owner.pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while record.is_live:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert list_running(folders) == ()


def test_a_gone_supervisor_is_said(job: MakeJob, folders: Folders) -> None:
    record = wait_detached(start_detached(job(stall_s=0)), folders)
    stop_running(folders, record)
    with pytest.raises(EngineError) as caught:
        wait_detached(record, folders)
    assert caught.value.reference == "supervisor-failed"


@given(
    st.builds(
        RestartPolicy,
        tries=st.integers(1, 5),
        first_pause_s=st.floats(0, 100),
        factor=st.floats(1, 10),
        longest_pause_s=st.floats(0, 1000),
    )
)
def test_pauses_grow_are_bounded_and_end(policy: RestartPolicy) -> None:
    pauses = [policy.pause_s(failures) for failures in range(1, 7)]
    waited = [pause for pause in pauses if pause is not None]
    assert len(waited) == policy.tries - 1 and pauses[-1] is None
    assert all(pause >= 1.0 for pause in waited)
    assert waited == sorted(waited)


@pytest.mark.parametrize("kind", ExitKind)
def test_only_an_end_that_would_repeat_is_final(kind: ExitKind) -> None:
    final = (ExitKind.MODEL_BROKEN, ExitKind.WRONG_SETTINGS, ExitKind.CANNOT_RUN)
    assert is_final(kind, was_ready=False) is (kind in final)
    assert not is_final(kind, was_ready=True)
