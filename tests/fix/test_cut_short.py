"""Promise 25: a fix that was cut short is known, whatever the moment was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.shown import shown_by
from tests.fix.made import MADE_ID, made_fault, put, quick_look, step
from tests.fix.person import Person
from tests.stubs.command_line import Home, run_cli
from tests.stubs.terminal import Terminal

import bringup.machine.appending
import bringup.machine.effects
from bringup.actions.fixing.unfinished import list_unfinished
from bringup.actions.journal.fix_record import FixRecord, Outcome
from bringup.errors import FileTrouble
from bringup.faces.cli.main import run
from bringup.machine.appending import append_line
from bringup.machine.folders import our_folders
from bringup.machine.process import ProcessIdentity

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("fix_child.py")


@pytest.fixture(scope="module")
def kills(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A row for each line of ours at which the process that takes a step was killed."""
    folder = tmp_path_factory.mktemp("kills")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fix.kill_child", str(folder)],
        env=Home(folder).environment(PYTHONPATH=str(ROOT)),
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=110,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_was_killed_at_every_point(kills: list[dict[str, Any]]) -> None:
    assert len(kills) > 100
    assert all(row["killed"] for row in kills)
    outcomes = [row["outcome"] for row in kills]
    assert outcomes[0] == ""
    assert outcomes[-1] == "ended"
    assert "unknown" in outcomes


def test_no_effect_without_a_note_on_the_disk_before_it(kills: list[dict[str, Any]]) -> None:
    with_effect = [row for row in kills if row["effect"] is not None]
    whole = [row for row in with_effect if row["effect"]]
    assert len(whole) > 20
    assert len(with_effect) - len(whole) <= 2, "a copy is rarely cut between its opening and its writing"
    assert all(row["noted"] == 1 for row in with_effect)
    for row in whole:
        first = json.loads(row["effect"].splitlines()[0])
        assert (first["event"], first["fault"], first["step"]) == ("started", MADE_ID, 1), row["at"]


def test_each_of_them_is_known_at_the_next_start(kills: list[dict[str, Any]]) -> None:
    for row in kills:
        assert row["damaged"] == 0
        if row["outcome"] == "unknown":
            assert row["unfinished"] == 1, row["at"]
        else:
            assert row["unfinished"] == 0, row["at"]
        if row["outcome"] == "":
            assert row["effect"] is None, row["at"]


def test_the_note_is_synced_before_the_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_sync, real_start = os.fsync, subprocess.Popen

    def sync(descriptor: int) -> None:
        order.append(f"fsync {os.readlink(f'/proc/self/fd/{descriptor}').rsplit('/', 1)[1]}")
        real_sync(descriptor)

    def start(argv: tuple[str, ...], **options: Any) -> Any:
        order.append(f"start {argv[0]}")
        return real_start(argv, **options)

    fault = made_fault((step("touch", str(tmp_path / "ran")),))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    monkeypatch.setattr(bringup.machine.appending.os, "fsync", sync)
    monkeypatch.setattr(bringup.machine.effects.subprocess, "Popen", start)
    with Person(b"yes\n") as person:
        run(("fix", MADE_ID), console=person.console)
    assert order[: order.index("start touch")] == ["fsync fixes.jsonl", "fsync bringup", "fsync state"]


def cut_short(tmp_path: Path) -> Home:
    """A real `bringup fix` killed while its command runs, and the command with it."""
    home = Home(tmp_path / "home")
    argv = [sys.executable, str(CHILD), str(tmp_path), "sleep 60", "--", "fix", MADE_ID]
    record = home.state / "fixes.jsonl"
    with Terminal(argv, home.environment()) as terminal:
        terminal.wait_for("leave it out: ")
        terminal.send("yes\r")
        terminal.wait_until(lambda: record.exists() and '"running"' in record.read_text())
        terminal.process.send_signal(signal.SIGKILL)
        terminal.process.wait(10)
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    command = rows[1]["process"]["pid"]
    code, text = shown_in(tmp_path, home, "doctor")
    assert code in (0, 1, 3)
    assert "A fix is still running" in text
    assert f"process {command} has not ended" in text
    os.kill(command, signal.SIGKILL)
    return home


def shown_in(folder: Path, home: Home, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder), "sleep 60", "--", *arguments],
        env=home.environment(),
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_doctor_the_screen_and_fix_tell_it_until_it_is_settled(tmp_path: Path) -> None:
    home = cut_short(tmp_path)
    for arguments in (("doctor",), (), ("fix", MADE_ID, "--dry-run")):
        _, text = shown_in(tmp_path, home, *arguments)
        for words in ("A fix was cut short", "$ sleep 60", "all, a part, or nothing", "$ bringup doctor"):
            assert words in text, arguments
    _, told = shown_in(tmp_path, home, "doctor", "--json")
    (one,) = json.loads(told)["unfinished"]
    assert (one["fault"], one["command"], one["running_as"]) == (MADE_ID, "sleep 60", None)
    argv = [sys.executable, str(CHILD), str(tmp_path), "sleep 60", "--", "fix", MADE_ID]
    for answer in ("\r", "yes\r"):
        with Terminal(argv, home.environment()) as terminal:
            terminal.wait_for("told again: ")
            terminal.send(answer)
            terminal.wait_for("leave it out: ")
            terminal.send("\x04")
            terminal.wait_end()
        assert "A fix was cut short" in terminal.text
    assert "cut short" not in shown_in(tmp_path, home, "doctor")[1]
    assert "cut short" not in run_cli(home, "--version").stdout


GONE = ProcessIdentity(2**22 - 1, 1, "no-such-boot")


def begun(monkeypatch: pytest.MonkeyPatch, *, restarts: bool = False) -> FixRecord:
    """A record with one step begun by a process that is gone, in another boot."""
    record = FixRecord(our_folders())
    with monkeypatch.context() as patched:
        patched.setattr("bringup.actions.journal.fix_record.identity_of", lambda _pid: GONE)
        record.begin(fault_id=MADE_ID, step=1, command="true", looks=("nvidia-smi",), restarts=restarts)
    return record


def test_a_restart_is_no_unknown_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert begun(monkeypatch, restarts=True).read().attempts[0].outcome is Outcome.ENDED
    assert begun(monkeypatch, restarts=False).read().attempts[1].outcome is Outcome.UNKNOWN


def test_a_line_torn_anywhere_costs_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    record = begun(monkeypatch)
    attempt = record.read().attempts[0]
    record.note_end(attempt, 0)
    path = Path(record.path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in {*range(0, len(whole), 9), first - 1, first, first + 1, len(whole) - 1, len(whole)}:
        path.write_bytes(whole[:cut])
        read = record.read()
        assert read.problem == ""
        assert len(read.attempts) == (cut >= first - 1)
        is_torn = cut not in (0, first - 1, first, len(whole) - 1, len(whole))
        assert read.damaged_lines == is_torn
        append_line(record.path, b'{"schema": 1, "event": "other", "attempt": "later"}')
        assert record.read().damaged_lines == is_torn, "the next line went on behind the torn one"


STARTED = (
    b'{"event": "started", "attempt": "a", "fault": "x", "command": "y", "looks": [], "restarts": false, '
    b'"at_s": %s, "step": %s, "owner": %s}'
)


@pytest.mark.parametrize(
    "line",
    [
        *(b"\xff\xfe", b"[]", b"null", b"7", b"{}", b'{"event": "started", "attempt": 1}', b"[" * 9999),
        *(
            STARTED % (b"1e999", b"1", b"null"),
            STARTED % (b"NaN", b"1", b"null"),
            STARTED % (b"-1", b"1", b"null"),
        ),
        *(
            STARTED % (b"1", b"1e999", b"null"),
            STARTED % (b"1", b"1", b"7"),
            STARTED % (b"1", b"1", b'{"pid": []}'),
        ),
    ],
)
def test_a_damaged_line_is_told_and_the_rest_is_read(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    record = begun(monkeypatch)
    with open(record.path, "ab") as handle:
        handle.write(line + b"\n")
    assert record.read().damaged_lines == 1
    assert len(list_unfinished().fixes) == 1
    _, text = shown_by("doctor")
    assert "A fix was cut short" in text
    assert "1 lines of" in " ".join(text.split())


def test_a_record_that_cannot_be_read_stops_no_command(own_home: Path) -> None:
    Path(FixRecord(our_folders()).path).mkdir(parents=True)
    code, text = shown_by("doctor")
    assert code in (0, 1, 3)
    assert "whether a fix was cut short" in text


def test_a_step_that_cannot_be_noted_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    fault = made_fault((step("touch", str(ran)),))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)

    def full(_path: str, _line: bytes) -> None:
        raise FileTrouble("could not write: No space left on device", reference="disk-full")

    monkeypatch.setattr("bringup.actions.journal.fix_record.append_line", full)
    with Person(b"yes\n") as person:
        assert run(("fix", MADE_ID), console=person.console) == 1
    assert "No space left on device" in person.text
    assert not ran.exists()


def test_the_record_is_private_and_no_link_leads_it_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = begun(monkeypatch)
    assert os.stat(record.path).st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    other.write_text("theirs")
    os.replace(record.path, tmp_path / "aside")
    os.symlink(other, record.path)
    with pytest.raises(FileTrouble):
        begun(monkeypatch)
    assert other.read_text() == "theirs"


def test_two_walks_at_once_are_one_too_many(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    argv = [sys.executable, str(CHILD), str(tmp_path), "true", "--", "fix", MADE_ID]
    with Terminal(argv, home.environment()) as first:
        first.wait_for("leave it out: ")
        with Terminal(argv, home.environment()) as second:
            assert second.wait_end(30) == 1
        assert "another bringup fix is at work" in second.text
        first.send("\x04")
        first.wait_end()


def test_a_command_goes_on_to_its_end_when_the_terminal_goes(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text(
        "#!/usr/bin/python3 -S\nimport sys, time\ntime.sleep(1)\nprint('x' * 200_000, flush=True)\n"
        f"time.sleep(0.2)\nprint('more', file=sys.stderr, flush=True)\nopen('{tmp_path}/done', 'w')\n"
    )
    slow.chmod(0o755)
    home = Home(tmp_path / "home")
    argv = [sys.executable, str(CHILD), str(tmp_path), str(slow), "--", "fix", MADE_ID]
    record = home.state / "fixes.jsonl"
    with Terminal(argv, home.environment()) as terminal:
        terminal.wait_for("leave it out: ")
        terminal.send("yes\r")
        terminal.wait_until(lambda: record.exists() and '"running"' in record.read_text())
        terminal.hang_up()
        terminal.process.wait(10)
    command = json.loads(record.read_text().splitlines()[1])["process"]["pid"]
    until = time.monotonic() + 20
    while os.path.exists(f"/proc/{command}") and time.monotonic() < until:
        time.sleep(0.02)
    assert (tmp_path / "done").exists()
    assert '"ended"' not in record.read_text()
    assert "A fix was cut short" in shown_in(tmp_path, home, "doctor")[1]
