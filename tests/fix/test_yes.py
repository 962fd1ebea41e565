"""Promise 24: nothing runs without a typed yes, and what is shown is what runs."""

from __future__ import annotations

import io
import os
import random
import shlex
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.shown import shown_by
from tests.faults.cases import Case, all_cases, diagnosis_of
from tests.fix.made import MADE_ID, made_fault, put, quick_look, step
from tests.fix.person import PAUSE, RESIZE, Person
from tests.stubs.command_line import Home
from tests.stubs.terminal import Terminal

from bringup.faces.cli.main import run
from bringup.faces.render.console import Console
from bringup.faults._fault import Slot

TRIALS = 5_000 if os.environ.get("BRINGUP_SOAK") else 1_000
STARTED: list[tuple[str, ...]] = []
"""Every program that this process started, by its argv."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        STARTED.append(tuple(map(str, arguments[1])))


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def terminal_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    STARTED.clear()
    yield
    STARTED.clear()


NO_YES = (
    *(b"\n", b"no\n", b"n\n", b"y\n", b"yes please\n", b"oui\n", b"yess\n", b"ye\bs\n", b"yes\x00\n"),
    *(b"\x1b[A\n", b"\x1byes\n", b"\x1b[200~yes\x1b[201~\n", b"\x1b[200~yes\nyes\n\x1b[201~\n", RESIZE),
    *(b"no\nyes\n", b"\nyes\nyes\n", b"x\nyes\nyes\nyes\nyes\n", b"\xff\xfeyes\n", b"yes\xe2\x80\x8b\n"),
    *("\u202eyes\n".encode(), "\u0443es\n".encode(), b"\x04", b"y" * 4000 + b"\n"),
)
"""Answers that are no typed yes: other words, pastes of several lines, escapes, a resize, the end."""


def markers(folder: Path, count: int) -> list[Path]:
    return [folder / f"ran-{number}" for number in range(1, count + 1)]


def test_a_thousand_walks_without_a_yes_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = markers(tmp_path, 3)
    fault = made_fault(tuple(step("touch", str(path)) for path in files))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    source = random.Random(24)
    asked = 0
    for _ in range(TRIALS):
        answers = [source.choice(NO_YES) for _ in range(source.randint(0, 4))]
        early = source.choice((b"", b"", b"yes\n", b"yes\nyes\nyes\nyes\n"))
        with Person(*answers, early=early) as person:
            code = run(("fix", MADE_ID), console=person.console)
        assert code == 1, (answers, person.text)
        assert person.text.endswith("Nothing was run.\nThe fault is still there.\n"), answers
        asked += person.asked
    assert STARTED == []
    assert not any(path.exists() for path in files)
    assert asked > TRIALS, "the person was hardly asked anything"


def test_a_paste_that_comes_slowly_answers_no_later_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = markers(tmp_path, 3)
    fault = made_fault(tuple(step("touch", str(path)) for path in files))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    with Person(b"\x1b[200~some words\n" + PAUSE + b"yes\nyes\n" + PAUSE + b"yes\n\x1b[201~\n") as person:
        assert run(("fix", MADE_ID), console=person.console) == 1
    assert person.asked == 2
    assert STARTED == []


@pytest.mark.parametrize("wanted", [(1,), (2,), (3,), (1, 3), (1, 2, 3)])
@pytest.mark.parametrize("word", [b"yes\n", b"YES\n", b" yes \n"])
def test_exactly_the_steps_with_a_yes_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: tuple[int, ...], word: bytes
) -> None:
    files = markers(tmp_path, 3)
    fault = made_fault(tuple(step("touch", str(path)) for path in files))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    answers = [word if number in wanted else b"\n" for number in (1, 2, 3)]
    with Person(*answers) as person:
        assert run(("fix", MADE_ID), console=person.console) == 1
    assert [path.exists() for path in files] == [number in wanted for number in (1, 2, 3)]
    assert [("touch", str(files[number - 1])) for number in wanted] == STARTED


def shown_command(text: str) -> str:
    """The command line that stands last before the question."""
    before = text[: text.rindex("Type yes to run it")]
    return next(line[9:] for line in reversed(before.split("\n")) if line.startswith("       $ "))


def test_what_is_shown_is_what_runs_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(24)
    for _ in range(60):
        words = tuple(
            "".join(source.choice(string.printable[:95]) for _ in range(source.randint(1, 30)))
            for _ in range(source.randint(1, 6))
        )
        argv = ("printf", "<%s>\\n", *words)
        fault = made_fault((step(*argv),))
        STARTED.clear()
        with monkeypatch.context() as patched:
            put(patched, fault)
            quick_look(patched, fault)
            with Person(b"yes\n") as person:
                run(("fix", MADE_ID), console=person.console)
        shown = shown_command(person.text)
        assert shown == shlex.join(argv)
        assert [argv] == STARTED
        assert tuple(shlex.split(shown)) == argv
        for word in words:
            assert f"  | <{word}>\n" in person.text


@pytest.mark.parametrize(
    "value",
    ["/tmp/a\x1b[2J", "/tmp/a\nyes", "/tmp/$(id)", "/tmp/../etc", "-rf", "/tmp/a b", "/tmp/\u202ea", ""],
)
def test_a_value_with_anything_foreign_in_it_is_never_run(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    fault = made_fault((step("ls", Slot.PATH),), values=((Slot.PATH, value),))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    with Person(*[b"yes\n"] * 4) as person:
        assert run(("fix", MADE_ID), console=person.console) == 1
    assert person.asked == 0
    assert "$ ls <PATH>" in person.text
    assert "no fact of this machine for PATH" in person.text
    assert STARTED == []


def test_without_a_terminal_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (marker,) = markers(tmp_path, 1)
    fault = made_fault((step("touch", str(marker)),))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    pipe, yes = io.StringIO(), io.StringIO("yes\n" * 9)
    with Person(*[b"yes\n"] * 9) as person:
        seen = person.console
        for stdin, stdout, stderr in (
            (yes, pipe, pipe),
            (None, pipe, pipe),
            (yes, seen.stdout, seen.stderr),
            (seen.stdin, pipe, seen.stderr),
            (seen.stdin, seen.stdout, pipe),
            (None, seen.stdout, seen.stderr),
        ):
            console = Console(stdin=stdin, stdout=stdout, stderr=stderr)
            assert run(("fix", MADE_ID), console=console) == 2
    assert "without a terminal nobody can say yes" in pipe.getvalue()
    assert not marker.exists()
    assert STARTED == []


WITH_STEPS = [case for case in all_cases() if case.is_machine and diagnosis_of(case).findings]


@pytest.mark.parametrize("case", WITH_STEPS[::3], ids=lambda case: case.name)
def test_a_recorded_machine_is_shown_and_never_executed(case: Case) -> None:
    for finding in diagnosis_of(case).findings:
        STARTED.clear()
        with Person(*[b"yes\n"] * 40, early=b"yes\n" * 9) as person:
            code = run(("fix", finding.fault.id, "--from", str(case.folder)), console=person.console)
        assert (code, person.asked, STARTED) == (0, 0, [])
        assert f"[{finding.fault.id}]" in person.text


def test_a_mounted_system_is_shown_and_never_executed() -> None:
    case = next(case for case in WITH_STEPS if case.name == "nouveau-in-use/before-the-reboot")
    with Person(*[b"yes\n"] * 9) as person:
        code = run(("fix", "nouveau-in-use", "--root", str(case.folder / "root")), console=person.console)
    assert person.asked == 0
    assert STARTED == []
    assert code in (0, 1, 3)


def test_a_dry_run_shows_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (marker,) = markers(tmp_path, 1)
    put(monkeypatch, made_fault((step("touch", str(marker)),)))
    code, text = shown_by("fix", MADE_ID, "--dry-run")
    assert code == 0
    assert f"$ touch {marker}" in text
    assert not marker.exists()
    assert ("touch", str(marker)) not in STARTED


CHILD = Path(__file__).with_name("fix_child.py")


@pytest.mark.parametrize(
    ("answers", "runs"),
    [
        (["\r", "\r"], []),
        (["y\r", "\r"], []),
        (["\x04"], []),
        (["\x1b[200~yes\r\x1b[201~\r", "\r"], []),
        (["no\ryes\ryes\r", "\r"], []),
        (["yes\r", "\r"], [1]),
        (["\r", "yes\r"], [2]),
    ],
)
def test_a_real_process_at_a_real_terminal(tmp_path: Path, answers: list[str], runs: list[int]) -> None:
    files = markers(tmp_path, 2)
    steps = [["touch", str(path)] for path in files]
    home = Home(tmp_path / "home")
    argv = [
        sys.executable,
        str(CHILD),
        str(tmp_path),
        *(shlex.join(one) for one in steps),
        "--",
        "fix",
        MADE_ID,
    ]
    with Terminal(argv, home.environment()) as terminal:
        for answer in answers:
            terminal.wait_for("leave it out: ")
            terminal.send(answer)
        code = terminal.wait_end()
    assert [path.exists() for path in files] == [number in runs for number in (1, 2)]
    assert code == 1, terminal.text


def test_ctrl_c_at_a_question_runs_nothing(tmp_path: Path) -> None:
    (marker,) = markers(tmp_path, 1)
    argv = [sys.executable, str(CHILD), str(tmp_path), f"touch {marker}", "--", "fix", MADE_ID]
    with Terminal(argv, Home(tmp_path / "home").environment()) as terminal:
        terminal.wait_for("leave it out: ")
        terminal.send("\x03")
        assert terminal.wait_end() == 130
    assert not marker.exists()


def test_ctrl_c_goes_to_the_command_and_its_end_is_noted(tmp_path: Path) -> None:
    argv = [sys.executable, str(CHILD), str(tmp_path), "sleep 60", "--", "fix", MADE_ID]
    home = Home(tmp_path / "home")
    with Terminal(argv, home.environment()) as terminal:
        terminal.wait_for("leave it out: ")
        terminal.send("yes\r")
        terminal.wait_for("yes")
        record = home.state / "fixes.jsonl"
        terminal.wait_until(lambda: record.exists() and '"running"' in record.read_text())
        terminal.send("\x03")
        assert terminal.wait_end() == 1
    assert "ended by signal 2" in terminal.text
    assert '"event": "ended"' in record.read_text()


ASKER = """#!/usr/bin/python3 -S
import sys, time
print("Working", flush=True)
time.sleep(0.4)
print("Do you want to continue? [Y/n] ", end="", flush=True)
answer = sys.stdin.readline()
print(f"Step 1 of 1, answered {answer!r}, a terminal: {sys.stdin.isatty()}")
"""


@pytest.mark.parametrize(("typed", "heard"), [("y\r", "'y\\n'"), ("\r", "'\\n'"), ("\x04", "''")])
def test_what_a_command_asks_is_answered_by_the_person(tmp_path: Path, typed: str, heard: str) -> None:
    asker = tmp_path / "asker"
    asker.write_text(ASKER)
    asker.chmod(0o755)
    argv = [sys.executable, str(CHILD), str(tmp_path), str(asker), "--", "fix", MADE_ID]
    with Terminal(argv, Home(tmp_path / "home").environment()) as terminal:
        terminal.wait_for("leave it out: ")
        terminal.send("yes\r")
        terminal.wait_for("Working\n")
        terminal.send("typed while nothing is asked\r")
        terminal.wait_for("\\[Y/n\\] ")
        terminal.send(typed)
        assert terminal.wait_end() == 1
    (line,) = [line for line in terminal.text.split("\n") if "Step 1 of 1, answered" in line]
    assert line.startswith("  | ")
    assert line.endswith(f"Step 1 of 1, answered {heard}, a terminal: False")
