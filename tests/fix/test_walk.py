"""The walk itself: what is refused, what a person does, what is said at the end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.doctor.shown import shown_by
from tests.faults.cases import CASES
from tests.fix.made import MADE_ID, exists, made_fault, put, quick_look, step
from tests.fix.person import Person

from bringup.actions.diagnosis.doctor import Examination
from bringup.actions.fixing.fix import Way, is_gone, plan_fix
from bringup.actions.journal.fix_record import FixRecord
from bringup.errors import CannotTell, Failure, WrongUse
from bringup.faces.cli.main import run
from bringup.faults._diagnose import Diagnosis, Finding, Role, diagnose
from bringup.faults._fault import Evidence, Fault, Safety, Slot, Step
from bringup.faults._scene import Scene
from bringup.machine import rights
from bringup.machine.folders import our_folders
from bringup.stack.probe import Look
from bringup.stack.stack import Stack

MORNING = str(CASES / "driver-library-mismatch/morning")


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


def walked(monkeypatch: pytest.MonkeyPatch, fault: Fault, *answers: bytes) -> tuple[int, Person]:
    with monkeypatch.context() as patched:
        put(patched, fault)
        quick_look(patched, fault)
        with Person(*answers) as person:
            code = run(("fix", MADE_ID), console=person.console)
    return code, person


def test_the_cure_that_works_is_said_to_and_exits_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad"
    bad.touch()
    fault = made_fault(
        (step("ls", str(tmp_path), safety=Safety.LOOK), step("rm", str(bad), verify=("ls", str(tmp_path)))),
        is_there=exists(bad),
    )
    code, person = walked(monkeypatch, fault, b"yes\n", b"yes\n")
    assert code == 0
    for words in ("  | bad\n", "looked: exit code 0", "done (exit code 0)", "its own check: exit code 0"):
        assert words in person.text
    assert "the doctor: the fault is gone" in person.text
    assert person.text.endswith("The fault is gone.\n")
    (attempt,) = FixRecord(our_folders()).read().attempts
    assert (attempt.exit_code, attempt.fault_gone, attempt.command) == (0, True, f"rm {bad}")


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_who_became_root_for_it_is_told_whose_log_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "noted in root's own log: sudo bringup log"
    _, person = walked(monkeypatch, made_fault((step("true"),)), b"yes\n")
    assert words not in person.text
    monkeypatch.setenv("SUDO_USER", "somebody")
    _, person = walked(monkeypatch, made_fault((step("true"), step("true"))), b"yes\n", b"yes\n")
    assert person.text.count(words) == 1


def test_a_step_that_fails_is_said_with_its_undo(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = replace(step("ls", "/not/there"), undo="put it back", verify=("true",))
    code, person = walked(monkeypatch, made_fault((failing,)), b"yes\n")
    assert code == 1
    assert "failed (exit code 2)" in person.text
    assert "To take back what it did: put it back." in " ".join(person.text.split())
    assert "its own check" not in person.text, "a failed command was verified as if it had worked"
    assert person.text.endswith("The fault is still there.\n")


def test_a_cure_that_only_says_so_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    code, person = walked(monkeypatch, made_fault((step("true", verify=("true",)),)), b"yes\n")
    assert code == 1
    assert "its own check: exit code 0" in person.text
    assert "the doctor: the fault is still there" in person.text


def test_what_needs_root_is_for_the_person_and_then_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad"
    bad.touch()
    monkeypatch.setattr(rights, "is_root", lambda: False)
    fault = made_fault(
        (step("rm", str(bad), needs_root=True, verify=("ls", str(tmp_path))),), is_there=exists(bad)
    )
    code, person = walked(monkeypatch, fault, b"\n")
    assert (code, bad.exists()) == (1, True)
    assert f"$ sudo rm {bad}" in person.text
    assert "type it yourself in another terminal" in " ".join(person.text.split())
    bad.unlink()
    bad.touch()

    def done_elsewhere() -> bool:
        return len(list(tmp_path.iterdir())) == 1 and next(looks)

    looks: Iterator[bool] = iter((True, False))
    code, person = walked(monkeypatch, replace_check(fault, done_elsewhere), b"yes\n")
    assert code == 0
    assert "the doctor: the fault is gone" in person.text
    assert bad.exists(), "it was run although it needs root"


def replace_check(fault: Fault, is_there: object) -> Fault:
    def check(_scene: Scene) -> Evidence | None:
        return Evidence(saw="x", expected="y", sources=("z",)) if is_there() else None  # type: ignore[operator]

    return replace(fault, check=check)


def test_a_dialogue_is_left_to_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = replace(step("touch", str(tmp_path / "ran")), asks=True)
    code, person = walked(monkeypatch, made_fault((asking,)), b"yes\n")
    assert code == 1
    assert "asks questions of its own" in person.text
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_not_in_the_systems_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "only-on-my-path"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    code, person = walked(monkeypatch, made_fault((step("only-on-my-path"),)), b"yes\n")
    assert (code, person.asked) == (1, 0)
    assert "only-on-my-path is not in the system's folders" in " ".join(person.text.split())


def test_our_own_program_is_the_one_that_runs_now(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = made_fault((step("bringup", "--version", safety=Safety.LOOK),))
    _, person = walked(monkeypatch, fault, b"yes\n")
    assert "  | bringup 0." in person.text
    assert os.path.exists(os.path.join(os.path.dirname(sys.executable), "bringup"))


def test_a_restart_ends_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bringup.faults._command._RESTART", ("true",))
    fault = made_fault((step("true"), step("touch", str(tmp_path / "after"))))
    code, person = walked(monkeypatch, fault, b"yes\n", b"yes\n")
    assert (code, person.asked) == (0, 1)
    assert "Once it has restarted, bringup doctor says whether the fault is gone." in person.text
    assert not (tmp_path / "after").exists()
    assert FixRecord(our_folders()).read().attempts[0].restarts


@pytest.mark.parametrize("now", ["another process", "gone"])
def test_a_process_that_is_another_one_by_now_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    values = iter(("30211", "30212"))
    killing = Step("End it.", ("kill", Slot.PID), touches="it", undo="none needed")

    def check(_scene: Scene) -> Evidence | None:
        pid = next(values)
        if now == "gone" and pid == "30212":
            return None
        return Evidence(saw="x", expected="y", sources=("z",), values=((Slot.PID, pid),))

    code, person = walked(monkeypatch, replace(made_fault((killing,)), check=check), b"yes\n")
    assert code == 1
    assert "process 30211 is not what it was a moment ago" in person.text
    assert FixRecord(our_folders()).read().attempts == ()


def test_one_step_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = made_fault((step("touch", str(tmp_path / "1")), step("touch", str(tmp_path / "2"))))
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    with Person(b"yes\n", b"yes\n") as person:
        run(("fix", MADE_ID, "--step", "2"), console=person.console)
    assert "Step 2 of 2." in person.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2"]
    code, text = shown_by("fix", MADE_ID, "--dry-run", "--step", "3")
    assert (code, "there is no step 3" in text) == (2, True)


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, words in (
        (("fix",), "missing argument"),
        (("fix", "driver-libary-mismatch"), "Did you mean driver-library-mismatch"),
        (("fix", "no-such-thing-at-all"), "bringup faults lists them all"),
        (("fix", "nouveau-in-use"), "without a terminal nobody can say yes"),
        (("fix", "nouveau-in-use", "--json"), "--json only shows"),
        (("fix", "nouveau-in-use", "--from", "/not/there"), "no such"),
        (("fix", "nouveau-in-use", "--from", "/", "--root", "/"), "two different machines"),
    ):
        code, text = shown_by(*arguments)
        assert code == 2, arguments
        assert words.lower() in text.lower(), arguments
    code, text = shown_by("fix", "nouveau-in-use", "--from", str(CASES / "gpu-not-on-bus/never-had-one"))
    assert (code, "[fault-not-found]" in text) == (1, True)
    code, text = shown_by("fix", "nouveau-in-use", "--from", MORNING)
    assert (code, "[cannot-tell]" in text) == (3, True)
    assert "faults found there: driver-library-mismatch" in text


def seen(findings: tuple[Finding, ...] = (), *, problem: str = "") -> Examination:
    return Examination(Stack(), Diagnosis(findings), (Look("kernel", 0.1, problem),), "this machine")


def test_not_found_and_cannot_tell_are_two_things() -> None:
    with pytest.raises(Failure):
        plan_fix(seen(), "nouveau-in-use", is_this_machine=True)
    with pytest.raises(CannotTell) as told:
        plan_fix(seen(problem="timed out"), "nouveau-in-use", is_this_machine=True)
    assert told.value.exit_code == 3
    assert "kernel: timed out" in told.value.context
    with pytest.raises(WrongUse):
        plan_fix(seen(), "no-such-fault", is_this_machine=True)
    assert is_gone(seen(), "nouveau-in-use") is True
    assert is_gone(seen(problem="timed out"), "nouveau-in-use") is None


def test_a_fault_that_follows_is_walked_and_its_root_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = made_fault((step("true"),))
    put(monkeypatch, fault)
    (found,) = diagnose(Scene(), (fault,)).findings
    follower = replace(found, role=Role.FOLLOWS, explained_by=("nouveau-in-use",))
    monkeypatch.setattr("bringup.faces.cli.fixing.look_again", lambda: seen((follower,)))
    with Person(b"\n") as person:
        assert run(("fix", MADE_ID), console=person.console) == 1
    assert "from nouveau-in-use: cure that first (bringup fix nouveau-in-use)" in person.text


def test_the_steps_for_another_machine_run_nowhere_here() -> None:
    code, text = shown_by("fix", "driver-library-mismatch", "--from", MORNING, "--json")
    value = json.loads(text)
    assert code == 0
    assert {one["way"] for one in value["steps"]} == {Way.ELSEWHERE.value, Way.BY_HAND.value}
    assert value["is_root"] is False
    assert value["steps"][0]["argv"] == ["systemctl", "reboot"]


def test_the_doctor_names_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, made_fault((step("true"),)))
    code, text = shown_by("doctor")
    assert code == 1
    assert "walks through these steps; it asks before each." in text
    _, recorded = shown_by("doctor", "--from", MORNING)
    assert "walks through these steps" not in recorded


def test_names_of_people_do_not_get_into_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "quincy")
    words: tuple[str | Slot, ...] = ("ls", Slot.PATH)
    fault = made_fault((step(*words, verify=words),), values=((Slot.PATH, "/home/quincy/models"),))
    _, person = walked(monkeypatch, fault, b"yes\n")
    assert "$ ls /home/quincy/models" in person.text
    text = Path(our_folders().fixes_file).read_text()
    assert '"command": "ls /home/user1/models", "looks": ["ls /home/user1/models"]' in text
    assert "quincy" not in text
