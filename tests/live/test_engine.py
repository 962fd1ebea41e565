"""The sampler and `bringup top` beside a real engine: what is shown agrees with what the engine says."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.schema import load_schema, problems
from tests.serve.conftest import Served, serve_in_front
from tests.stubs.command_line import Home, run_cli

from bringup.actions.live.engine_looks import EngineLooks
from bringup.actions.live.engine_watch import EngineTarget, EngineWatch
from bringup.engine.registry import list_running
from bringup.machine.folders import Folders, our_folders
from bringup.machine.live import LiveMachine
from bringup.machine.sockets import free_port
from bringup.reading import Known


@pytest.fixture(scope="module")
def served(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Home(tmp_path_factory.mktemp("watched"))
    arguments = (str(small_model), "--port", str(free_port()), "--alias", "small", "--ctx-size", "1024")
    with serve_in_front(home, *arguments, "--parallel", "2") as running:
        yield running


def ask(served: Served, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {served.home.key}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(served.base_url + path, data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def look(served: Served) -> dict[str, Any]:
    """What `top` says once the engine answered it in time: on a busy machine one look may be too short."""
    for _ in range(10):
        engine = look_once(served)
        if engine["slots"] is not None and engine["planned"] is not None:
            return engine
    raise AssertionError(f"it never answered: {engine}")


def look_once(served: Served) -> dict[str, Any]:
    done = run_cli(served.home, "top", "--json", "--interval", "0.3")
    assert (done.returncode, done.stderr) == (0, "")
    value = json.loads(done.stdout)
    assert problems(value, load_schema("top")) == []
    engines = [one for one in value["engines"] if one["port"] == served.port]
    assert len(engines) == 1, value["engines"]
    engine: dict[str, Any] = engines[0]
    return engine


def chat(served: Served, max_tokens: int) -> Any:
    message = {"role": "user", "content": "Count from one to one hundred."}
    return ask(
        served, "/v1/chat/completions", {"messages": [message], "max_tokens": max_tokens, "ignore_eos": True}
    )


def test_the_shown_totals_are_the_engines(served: Served) -> None:
    before = look(served)
    assert before["state"] == "ready"
    assert before["is_ours"]
    assert before["has_cuda"] is False
    assert before["window_tokens"] == 512
    usage = chat(served, 12)["usage"]
    after = look(served)
    assert after["generated_tokens_total"] - before["generated_tokens_total"] == usage["completion_tokens"]
    read = after["prompt_tokens_total"] + after["reused_tokens_total"]
    assert read - before["prompt_tokens_total"] - before["reused_tokens_total"] == usage["prompt_tokens"]
    kept = {
        slot["id"]: slot["n_prompt_tokens"] for slot in ask(served, "/slots") if "n_prompt_tokens" in slot
    }
    assert {slot["id"]: slot["filled_tokens"] for slot in after["slots"] if slot["filled_tokens"]} == kept


def test_an_engine_at_rest_is_asked_little_and_a_short_request_is_not_missed(served: Served) -> None:
    """A request that begins and ends between two looks is counted at the next one."""
    folders = folders_of(served.home)
    (record,) = [one for one in list_running(folders) if one.port == served.port]
    assert record.engine is not None
    target = EngineTarget(record.engine.pid, record.host, record.port, True, record.log_path, ())
    watch = EngineWatch(target, folders, interval_s=1.0)
    watch.look()
    first = watch.latest
    assert isinstance(first.totals, Known), first.trouble
    watch.look()
    assert watch.latest.totals is first.totals, "at rest its counters are not asked for again"
    usage = chat(served, 3)["usage"]
    watch.look()
    assert isinstance(watch.latest.totals, Known)
    gained = (watch.latest.totals.value.predicted_tokens or 0) - (first.totals.value.predicted_tokens or 0)
    assert gained == usage["completion_tokens"]


def folders_of(home: Home) -> Folders:
    return Folders(str(home.path / ".config/bringup"), str(home.path / ".cache/bringup"), str(home.state))


@contextmanager
def answering(served: Served) -> Iterator[None]:
    """A request that goes on until the block ends, however slow the machine is."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    body = {
        "messages": [{"role": "user", "content": "Count from one to one hundred."}],
        "max_tokens": 450,
        "ignore_eos": True,
        "stream": True,
    }
    headers = {"Authorization": f"Bearer {served.home.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    try:
        assert answer.readline().startswith(b"data:"), "it began to answer"
        yield
    finally:
        answer.close()
        connection.close()


def test_the_shown_slot_moves_while_it_answers(served: Served) -> None:
    seen = []
    with answering(served):
        for _ in range(10):
            engine = look(served)
            working = [slot for slot in engine["slots"] or [] if slot["is_processing"]]
            if working and working[0]["generated_tokens"] and engine["generated_tokens_per_s"]:
                seen.append((working[0]["generated_tokens"], working[0]["filled_tokens"]))
            if len(seen) == 2:
                break
    (earlier, _), (later, filled) = seen
    assert later > earlier
    assert filled > later


def test_the_plan_stands_beside_the_measured_speed(served: Served) -> None:
    planned = look(served)["planned"]
    for name in ("generated", "read"):
        told = planned[name]
        assert 0 < told["low_tokens_per_s"] < told["tokens_per_s"] < told["high_tokens_per_s"]
        assert told["measured_is"] is None, "nothing is asked of it now"
    assert "memory" in planned["bottleneck"]


def test_the_arithmetic_and_the_models_file_agree(served: Served, small_model: Path) -> None:
    engine = look(served)
    sizes: dict[str, int] = {}
    for buffer in engine["buffers"]:
        sizes[buffer["use"]] = sizes.get(buffer["use"], 0) + buffer["size_bytes"]
    # 30 layers, 3 heads of 64 for keys and for values, two bytes each, 1,024 tokens.
    assert sizes["KV"] == 30 * 2 * 3 * 64 * 2 * 1024
    assert 0.95 < sizes["model"] / small_model.stat().st_size <= 1
    assert engine["buffers_source"]


def test_an_engine_that_is_stopped_in_its_tracks_is_said_not_to_answer(
    small_model: Path, tmp_path: Path
) -> None:
    import os
    import signal

    home = Home(tmp_path)
    with serve_in_front(home, str(small_model), "--port", str(free_port())) as served:
        pid = look(served)["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            engine = look_once(served)
            assert engine["state"] == "not-answering"
            assert engine["trouble"] not in ("", "not asked yet")
            assert engine["slots"] is None
        finally:
            os.kill(pid, signal.SIGCONT)


def test_the_text_names_the_engine_and_its_slots(served: Served) -> None:
    for _ in range(10):
        done = run_cli(served.home, "top", "--once", "--interval", "0.3", COLUMNS="100")
        assert done.returncode == 0
        if "slot 0" in done.stdout:
            break
    assert f"engine {served.port}  small  ready" in done.stdout
    assert "slot 0" in done.stdout
    assert "on the CPU" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_an_engine_of_somebody_else_that_ended_is_not_shown_any_more(own_home: Path, tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    shutil.copy2("/bin/sleep", program)
    looks = EngineLooks(LiveMachine(), our_folders(), interval_s=1.0)
    with subprocess.Popen([program, "1000"]) as child:
        try:
            while not Path(f"/proc/{child.pid}/cmdline").read_bytes():  # empty for a moment
                time.sleep(0.01)
            assert child.pid in [one.process_id for one in looks.look()]
        finally:
            child.kill()
    assert child.pid not in [one.process_id for one in looks.look()], (
        "long before the next search for engines"
    )
    looks.close()
