"""Servers from start to end: in front, detached, listed, stopped, their logs, their ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serve.conftest import serve_in_front
from tests.stubs.command_line import Home, argv, engine_processes, run_cli
from tests.stubs.ports import free_port

from bringup.actions.journal.reading import with_journal
from bringup.engine.registry import EngineRecord, EngineState, list_running, write_record
from bringup.journal.entry import Kind
from bringup.machine.folders import Folders
from bringup.machine.process import ProcessIdentity, identity_of


@pytest.fixture
def detached_home(home: Home) -> Iterator[Home]:
    """A home whose detached engines are stopped in the end."""
    yield home
    run_cli(home, "stop", "--all")
    assert engine_processes(home) == []


def wait_until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def ended_run(home: Home) -> dict[str, object]:
    """What the journal keeps of the last run that ended."""
    from bringup.journal.entry import Kind
    from bringup.journal.store import read_journal

    with read_journal(str(home.state / "journal.sqlite")) as journal:
        entries = journal.entries(kinds=(Kind.RUN,))
    return next(dict(entry.data) for entry in reversed(entries) if entry.data["phase"] == "ended")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_server_in_front_ends_cleanly(small_model: Path, home: Home, number: signal.Signals) -> None:
    with serve_in_front(home, str(small_model), "--port", str(free_port())) as running:
        assert len(engine_processes(home)) >= 2
        running.process.send_signal(number)
        assert running.process.wait(60) == 0
        assert running.process.stderr is not None
        assert b"Stopped." in running.process.stderr.read()
    assert engine_processes(home) == []
    assert list((home.state / "engines").iterdir()) == []


def test_a_server_in_front_whose_engine_dies_says_why(small_model: Path, home: Home) -> None:
    with serve_in_front(home, str(small_model), "--port", str(free_port())) as running:
        listed = json.loads(run_cli(home, "ps", "--json").stdout)["engines"]
        os.kill(listed[0]["pid"], signal.SIGSEGV)
        assert running.process.wait(60) == 1
        assert running.process.stderr is not None
        said = running.process.stderr.read().decode()
    assert "error:" in said
    assert "Traceback" not in said


def test_detached_from_start_to_stop(small_model: Path, detached_home: Home) -> None:
    home, port = detached_home, free_port()
    more = ("--detach", "--port", str(port), "--threads", "1", "--alias", "bird", "--parallel", "2")
    started = run_cli(home, "serve", str(small_model), *more)
    assert started.returncode == 0, started.stderr
    address, base, key = started.stdout.splitlines()
    assert address == f"# bird is served at http://127.0.0.1:{port}"
    assert base == f"export OPENAI_BASE_URL=http://127.0.0.1:{port}/v1"
    assert home.key not in started.stdout
    assert "2 requests at once, each with 8,192 of the window's 16,384 tokens." in started.stderr
    shell = subprocess.run(
        ["sh", "-c", f'{started.stdout}\nprintf %s "$OPENAI_API_KEY"'], capture_output=True, check=True
    )
    assert shell.stdout.decode() == home.key, key

    listed = json.loads(run_cli(home, "ps", "--json").stdout)
    assert listed["schema"] == 1
    (engine,) = listed["engines"]
    wanted = {
        "id": str(port),
        "model": "bird",
        "state": "ready",
        "is_detached": True,
        "has_key": True,
        "slots": 2,
    }
    assert {name: engine[name] for name in wanted} == wanted
    table = run_cli(home, "ps").stdout.splitlines()
    assert table[0].split() == ["PORT", "MODEL", "STATE", "SINCE", "CONTEXT", "PID", "KEY"]
    assert table[1].split()[:3] == [str(port), "bird", "ready"]

    taken = run_cli(home, "serve", str(small_model), "--port", str(port))
    assert (taken.returncode, taken.stdout) == (1, "")
    assert f"your engine bird has it (ready)\nhint: bringup stop {port} ends it" in taken.stderr
    log = run_cli(home, "logs", "bird", "-n", "3")
    assert len(log.stdout.splitlines()) == 3
    stopped = run_cli(home, "stop", "bird")
    assert (stopped.returncode, stopped.stderr) == (0, f"Stopped bird on port {port}.\n")
    assert engine_processes(home) == []
    assert run_cli(home, "logs", str(port), "-n", "1").stdout
    told = (
        "No engine of bringup's is running. bringup serve MODEL starts one; bringup top shows others too.\n"
    )
    assert run_cli(home, "ps").stderr == told


def test_the_printed_curl_line_works(small_model: Path, home: Home) -> None:
    from shutil import which

    if which("curl") is None:
        pytest.skip("no curl")
    with serve_in_front(home, str(small_model), "--port", str(free_port())) as running:
        assert running.process.stdout is not None and running.process.stderr is not None
        exports = running.process.stdout.readline() + running.process.stdout.readline()
        lines = []
        while not lines or not lines[-1].rstrip().endswith(b"}'"):
            lines.append(running.process.stderr.readline())
        curl = (
            b"".join(lines)
            .split(b"two lines above:\n")[1]
            .replace(b'"messages"', b'"max_tokens": 3, "messages"')
        )
        script = exports + curl
        answer = subprocess.run(["sh", "-s"], input=script, capture_output=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["choices"][0]["message"]["content"]
    assert ended_run(home)["predicted_tokens"] == 3, "out of the engine's own log"


def test_a_detached_engine_that_is_killed_comes_back(small_model: Path, detached_home: Home) -> None:
    home, port = detached_home, str(free_port())
    run_cli(home, "serve", str(small_model), "--detach", "--port", port, "--threads", "1")

    def look() -> dict[str, object]:
        engines = json.loads(run_cli(home, "ps", "--json").stdout)["engines"]
        return dict(engines[0])

    before = look()
    assert isinstance(before["pid"], int)
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: look()["restarts"] == 1 and look()["state"] == "ready", 20)
    after = look()
    assert after["pid"] != before["pid"]
    assert after["cause"]
    assert f"{port} was started again once, last because:" in run_cli(home, "ps").stdout


def test_a_detached_engine_that_is_given_up_stays_listed_with_its_cause(
    small_model: Path, detached_home: Home, tmp_path: Path
) -> None:
    home, port = detached_home, str(free_port())
    model = tmp_path / "model.gguf"
    model.write_bytes(small_model.read_bytes())
    run_cli(home, "serve", str(model), "--detach", "--port", port, "--threads", "1")
    engine = json.loads(run_cli(home, "ps", "--json").stdout)["engines"][0]
    model.unlink()
    os.kill(engine["pid"], signal.SIGKILL)
    records = home.state / "engines" / f"{port}.json"
    wait_until(lambda: json.loads(records.read_text())["state"] == "failed", 30)
    shown = run_cli(home, "ps").stdout
    assert "failed" in shown
    assert f"{port} was given up: " in shown
    for command in ("ps", "log", "doctor"):
        run_cli(home, command)
    assert run_cli(home, "stop", port).returncode == 0
    (text,) = ends_in_the_journal(home)
    assert text.startswith(f"model on port {port}: given up: ")
    assert "No engine of bringup's is running" in run_cli(home, "ps").stderr


def ends_in_the_journal(home: Home) -> list[str]:
    place = Folders("", "", str(home.state))
    entries, warning = with_journal(place, lambda journal: journal.entries(kinds=[Kind.RUN]))
    assert warning == ""
    return [entry.text for entry in entries or [] if entry.data["phase"] != "started"]


@pytest.mark.parametrize("command", ["ps", "log", "doctor"])
def test_a_detached_engine_that_is_gone_is_written_down_once(home: Home, command: str) -> None:
    """Made: the record of a server whose processes ended with the boot before this one."""
    gone = ProcessIdentity(1, 1, "another boot")
    record = EngineRecord(
        port=18080,
        host="127.0.0.1",
        alias="bird",
        model_path="/m/bird.gguf",
        log_path="",
        started_s=1.0,
        state=EngineState.READY,
        owner=gone,
        keeper=gone,
        engine=gone,
        is_detached=True,
    )
    place = Folders("", "", str(home.state))
    write_record(place, record)
    assert list_running(place) == ()
    for _ in range(2):
        run_cli(home, command)
    assert ends_in_the_journal(home) == ["bird on port 18080: gone since the machine was started again"]
    assert not (home.state / "engines" / "18080.json").exists()


def test_the_end_of_a_gone_engine_waits_for_a_journal_that_can_be_written(home: Home) -> None:
    """Made: as above, while the state folder cannot take the entry."""
    gone = ProcessIdentity(2**22, 1, identity().boot_id)
    record = EngineRecord(
        18081, "::1", "owl", "/m", "", 1.0, EngineState.RESTARTING, gone, is_detached=True, restarts=2
    )
    place = Folders("", "", str(home.state))
    write_record(place, record)
    (home.state / "journal.sqlite").mkdir()
    (home.state / "journal-waiting").touch()
    assert run_cli(home, "ps").stderr.count("warning:") == 1
    assert (home.state / "engines" / "18081.json").exists()
    (home.state / "journal.sqlite").rmdir()
    (home.state / "journal-waiting").unlink()
    run_cli(home, "ps")
    assert ends_in_the_journal(home) == [
        "owl on port 18081: gone; its supervisor ended too, and nobody saw how"
    ]


def identity() -> ProcessIdentity:
    own = identity_of(os.getpid())
    assert own is not None
    return own


def test_an_engine_that_hangs_is_not_called_ready(small_model: Path, detached_home: Home) -> None:
    home, port = detached_home, str(free_port())
    run_cli(home, "serve", str(small_model), "--detach", "--port", port, "--threads", "1")
    engine = json.loads(run_cli(home, "ps", "--json").stdout)["engines"][0]
    os.kill(engine["pid"], signal.SIGSTOP)
    started = time.monotonic()
    state = json.loads(run_cli(home, "ps", "--json").stdout)["engines"][0]["state"]
    assert time.monotonic() - started < 3
    assert state == "not-answering"


def test_a_broken_model_fails_loudly_detached_too(
    small_model: Path, detached_home: Home, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(small_model.read_bytes()[:50_000_000])
    for more in ((), ("--detach",)):
        answer = run_cli(detached_home, "serve", str(cut), *more)
        assert answer.returncode == 1
        assert "cut short" in answer.stderr or "missing" in answer.stderr
        assert answer.stdout == ""


def test_a_port_that_is_taken_is_refused_with_its_holder(small_model: Path, home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        answer = run_cli(home, "serve", str(small_model), "--port", str(port))
        assert answer.returncode == 1
        assert f"error: port {port} is taken" in answer.stderr
        assert f"(process {os.getpid()}," in answer.stderr
        moved = run_cli(
            home,
            "run",
            str(small_model),
            "-p",
            "hi",
            "--max-tokens",
            "1",
            "--threads",
            "1",
            "--port",
            str(port),
        )
        assert moved.returncode == 0, moved.stderr
        assert f"Port {port} is taken (held at 127.0.0.1 by" in moved.stderr


def test_inherited_engine_variables_are_named_and_dropped(small_model: Path, home: Home) -> None:
    more = ("run", str(small_model), "-p", "hi", "--max-tokens", "1", "--threads", "1", "--json")
    dropped = run_cli(home, *more, LLAMA_ARG_CTX_SIZE="600", LLAMA_API_KEY="theirs")
    assert "Not passed to the engine: LLAMA_API_KEY, LLAMA_ARG_CTX_SIZE" in dropped.stderr
    assert json.loads(dropped.stdout)["context"]["size_tokens"] == 8192
    kept = run_cli(home, *more, "--keep-engine-environment", LLAMA_API_KEY="theirs", GGML_X="1")
    assert "Not passed to the engine: LLAMA_API_KEY" in kept.stderr
    assert "GGML_X" not in kept.stderr


def test_following_a_log_shows_what_comes_and_ends_with_the_engine(small_model: Path, home: Home) -> None:
    with serve_in_front(home, str(small_model), "--port", str(free_port())) as running:
        follower = subprocess.Popen(
            argv("logs", "-f", "-n", "1"),
            env=home.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert follower.stdout is not None
        assert follower.stdout.readline()
        log = home.state / "logs" / f"{running.port}.log"
        with log.open("ab") as handle:
            handle.write(b"\x1b]0;owned\x07a line that came later\n")
        running.process.send_signal(signal.SIGINT)
        shown, said = follower.communicate(timeout=20)
    assert b"a line that came later" in shown
    assert b"\x1b" not in shown and b"owned" not in shown
    assert said == b"The engine has ended.\n"


def test_a_unit_is_printed_and_nothing_else_is_done(small_model: Path, home: Home) -> None:
    (home.path / "k").write_text("a-key\n")
    words = ("--unit", "--port", "8123", "--alias", "my bird", "--key-file", os.path.relpath(home.path / "k"))
    answer = run_cli(home, "serve", str(small_model), *words)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert start.endswith(
        f'-m bringup serve {small_model} --port 8123 --alias "my bird" --key-file {home.path}/k'
    )
    assert "NoNewPrivileges=yes" in lines
    assert any(line.startswith("MemoryMax=") for line in lines)
    assert "systemctl --user" in answer.stderr
    assert engine_processes(home) == []
    assert not (home.state / "engines").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve",), "missing argument"),
        (("serve", "x.gguf", "--port", "99999"), "99999 is not in the range"),
        (("serve", "nosuchmodel"), "no model is called 'nosuchmodel'"),
        (("serve", "x.gguf", "--no-key", "--key-file", "k"), "exclude each other"),
        (("serve", "x.gguf", "--ctx-size", "many"), "'many' is not a number of tokens"),
        (("stop", "8080"), "no engine is running on port 8080"),
        (("stop", "llama"), "no engine is running, and so none called 'llama'"),
        (("web", "--host", "192.0.2.1"), "listen on 192.0.2.1: this machine does not have it"),
        (("run", "", "--prompt", "x"), "'' is not a model name"),
        (("learn",), "bringup learn wants a command: note"),
        (("completion",), "missing argument 'SHELL': bash, zsh, fish"),
        (("stop", "8080", "--all"), "not both"),
        (("logs",), "no engine is running"),
    ],
)
def test_wrong_use_is_told_in_words(home: Home, arguments: tuple[str, ...], words: str) -> None:
    answer = run_cli(home, *arguments)
    assert answer.returncode == 2
    assert words in answer.stderr
    assert answer.stdout == ""
