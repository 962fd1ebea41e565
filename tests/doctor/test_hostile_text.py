"""Promise 20 at the doctor's faces: no machine, paste, command or record drives the terminal."""

from __future__ import annotations

import io
import json
import os
import random
import re
from pathlib import Path

import pytest
from tests.faces.hostile import FORBIDDEN, OUR_SGR, hostile_texts
from tests.faults.cases import CASES, all_cases
from tests.fix.made import MADE_ID, made_fault, put, quick_look, step
from tests.fix.person import Person

from bringup.actions.diagnosis.doctor import Examination, examine_text
from bringup.actions.diagnosis.overview import view_layers
from bringup.actions.fixing.fix import plan_fix
from bringup.actions.fixing.run import Looked
from bringup.actions.fixing.unfinished import list_unfinished
from bringup.actions.journal.fix_record import FixRecord
from bringup.errors import CannotTell, Failure
from bringup.faces.cli.examination import show_examination
from bringup.faces.cli.fixing import show_plan
from bringup.faces.cli.main import run
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Console
from bringup.faces.render.fix import Quotation, render_look
from bringup.faces.render.stack import render_stack
from bringup.faces.render.unfinished import render_unfinished
from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import CrashedRule, Diagnosis, Finding, Role
from bringup.faults._fault import Certainty, Evidence, Slot, Step
from bringup.machine.folders import our_folders
from bringup.machine.protocol import CommandResult
from bringup.machine.terminal import Terminal
from bringup.reading import Known, Unreadable
from bringup.stack.hardware import Hardware
from bringup.stack.kernel import Kernel
from bringup.stack.pci import PciDevice
from bringup.stack.probe import Look
from bringup.stack.stack import Stack

FUZZED = 100_000 if os.environ.get("BRINGUP_SOAK") else 2_000
pytestmark = pytest.mark.timeout(900 if os.environ.get("BRINGUP_SOAK") else 120)
TOGETHER = 20
"""Strings in one run of a face."""


@pytest.fixture
def colourful(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal(is_terminal=True, can_redraw=True, can_colour=True, width_columns=80)
    for name in ("answer_terminal", "note_terminal"):
        monkeypatch.setattr(Console, name, property(lambda _self: shown))


def clean_console() -> tuple[Console, io.StringIO]:
    pipe = io.StringIO()
    return Console(stdin=None, stdout=pipe, stderr=pipe), pipe


def check(written: str) -> None:
    found = FORBIDDEN.search(OUR_SGR.sub("", written.replace("\r\x1b[K", "")))
    assert found is None, found and written[max(0, found.start() - 40) : found.end() + 40]


def groups(seed: int) -> list[list[str]]:
    texts = hostile_texts(FUZZED, seed=seed)
    return [texts[at : at + TOGETHER] for at in range(0, len(texts), TOGETHER)]


def finding(texts: list[str], number: int) -> Finding:
    """A fault whose every foreign part is one of these texts."""
    fault = load_catalogue()[number % len(load_catalogue())]
    steps = (
        Step(texts[5], ("ls", Slot.PATH), touches=texts[6], undo=texts[7], values=((Slot.PATH, texts[8]),)),
    )
    evidence = Evidence(
        saw=texts[0],
        expected=texts[1],
        sources=(texts[2], texts[3]),
        certainty=Certainty.LIKELY,
        decides=texts[4],
        steps=steps if number % 2 else (),
        values=((Slot.KERNEL_RELEASE, texts[9]), (Slot.UNIT, texts[10]), (Slot.PACKAGE, texts[11])),
    )
    return Finding(fault, evidence, Role.ROOT, ())


def examination(texts: list[str], number: int) -> Examination:
    card = PciDevice(address="0000:01:00.0", vendor_id=0x10DE, device_id=0x2208, name=texts[14])
    return Examination(
        stack=Stack(
            hardware=Hardware(pci_devices=Known((card,), texts[15])),
            kernel=Kernel(log_text=Unreadable(texts[16], texts[17])),
        ),
        diagnosis=Diagnosis((finding(texts, number),), (CrashedRule(texts[12], texts[13]),)),
        looks=(Look("kernel", 0.1, texts[18]), Look("hardware", 0.1)),
        subject=texts[19],
    )


@pytest.mark.usefixtures("colourful")
def test_the_doctor_its_screen_and_a_fix_that_is_shown() -> None:
    for number, texts in enumerate(groups(20)):
        seen = examination(texts, number)
        console, pipe = clean_console()
        show_examination(console, seen, as_json=False, with_facts=True)
        for line in render_stack(seen, view_layers(seen), width_columns=80):
            console.answer(*line)
        show_plan(console, plan_fix(seen, seen.diagnosis.findings[0].fault.id, is_this_machine=True))
        check(pipe.getvalue())
        assert seen.diagnosis.findings[0].fault.id in pipe.getvalue()
        console, pipe = clean_console()
        show_examination(console, seen, as_json=True, with_facts=True)
        assert pipe.getvalue().isascii()
        # Two halves of a surrogate pair that meet are one character of JSON.
        assert json.loads(pipe.getvalue())["subject"] == json.loads(json.dumps(texts[19]))


@pytest.mark.usefixtures("colourful")
def test_a_fault_that_is_not_there_on_a_machine_of_such_words() -> None:
    for number, texts in enumerate(groups(21)[:20]):
        seen = examination(texts, number)
        other = next(f.id for f in load_catalogue() if f.id != seen.diagnosis.findings[0].fault.id)
        with pytest.raises((Failure, CannotTell)) as problem:
            plan_fix(seen, other, is_this_machine=True)
        from bringup.faces.render.errors import render_error

        console, pipe = clean_console()
        for line in render_error(problem.value):
            console.line(*line)
        check(pipe.getvalue())


@pytest.mark.usefixtures("colourful")
def test_diagnose_on_lines_with_such_texts_in_them() -> None:
    source = random.Random(20)
    examples = [sign.example for fault in load_catalogue() for sign in fault.signs]
    shown = 0
    for texts in groups(22):
        lines = []
        for text in texts:
            example = source.choice(examples)
            at = source.randrange(len(example) + 1)
            lines += [example, f"{example[:at]}{text}{example[at:]}", f"{example} {text}"]
        console, pipe = clean_console()
        found = examine_text("\n".join(lines), subject=texts[0])
        show_examination(console, found, as_json=False, with_facts=True)
        shown += len(found.diagnosis.findings)
        check(pipe.getvalue())
    assert shown > len(groups(22))


@pytest.mark.usefixtures("colourful")
def test_typed_ids_and_the_faults_page() -> None:
    for text in hostile_texts(FUZZED, seed=23)[:: max(1, FUZZED // 400)]:
        for command in ("fix", "faults"):
            console, pipe = clean_console()
            assert run((command, "--", text), console=console) == 2
            check(pipe.getvalue())
    for fault in load_catalogue()[::7]:
        console, pipe = clean_console()
        assert run(("faults", fault.id), console=console) == 0
        check(pipe.getvalue())


@pytest.mark.usefixtures("colourful")
def test_recorded_machines_with_such_texts_in_their_files(tmp_path: Path) -> None:
    import shutil

    source = random.Random(24)
    texts = hostile_texts(FUZZED, seed=24)
    cases = [case for case in all_cases() if case.is_machine]
    for number, case in enumerate(cases[::3]):
        folder = tmp_path / str(number)
        shutil.copytree(CASES / case.name, folder, symlinks=True)
        for path in [
            p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and p.suffix != ".toml"
        ]:
            if path.name == "commands.json":
                continue
            data = path.read_bytes()
            words = sorted(set(re.findall(rb"[A-Za-z][A-Za-z0-9._-]{5,}", data[:20_000])))
            for word in source.sample(words, min(2, len(words))):
                foreign = source.choice(texts).replace("\0", "")
                data = data.replace(word, word + foreign.encode("utf-8", "surrogatepass"))
            path.write_bytes(data)
        for arguments in (("doctor", "--verbose"), ("fix", case.expected[0] if case.expected else MADE_ID)):
            console, pipe = clean_console()
            code = run((*arguments, "--from", str(folder)), console=console)
            assert code in (0, 1, 2, 3), pipe.getvalue()
            check(pipe.getvalue())


def forging() -> list[str]:
    """Such texts, most of them followed by what looks like a question of ours."""
    forged = "\nStep 9 of 9. Type yes to run it, Enter to leave it out: "
    texts = hostile_texts(FUZZED, seed=25)
    return [f"{text}{forged if number % 3 else ''}" for number, text in enumerate(texts)]


@pytest.mark.usefixtures("colourful")
def test_what_a_command_prints_stays_behind_its_bar() -> None:
    texts = forging()
    source = random.Random(25)
    for at in range(0, len(texts), 50):
        whole = "\n".join(texts[at : at + 50])
        whole = whole.replace("\r", "") if at % 100 else whole
        quotation, shown, place = Quotation(), "", 0
        while place < len(whole):
            size = source.randint(1, 40)
            shown += quotation.feed(whole[place : place + size])
            place += size
        shown += quotation.end()
        check(shown)
        assert all(line.startswith("  | ") for line in shown.split("\n")[:-1])
        assert shown.endswith("\n")
        unbarred = "\n".join(line[4:] for line in shown.split("\n")[:-1])
        assert "\r" in whole or unbarred.rstrip("\n") == clean(whole).rstrip("\n")


def test_a_question_that_a_command_forges_is_not_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "printed"
    file.write_bytes("\n".join(forging()).encode("utf-8", "surrogatepass") + b"\xff\xfe\x9b31m")
    fault = made_fault((step("cat", str(file)),))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    put(monkeypatch, fault)
    quick_look(monkeypatch, fault)
    with Person(b"yes\n") as person:
        run(("fix", MADE_ID), console=person.console)
    check(person.text)
    assert person.asked == 1, "a forged question was answered"
    assert "  | Step 9 of 9." in person.text


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (("(5%\r(10%\r(done)\n",), "  | (done)\n"),
        (("a\n5%\r10%", "\r100%", "\nb"), "  | a\n  | 10%\n  | 100%\n  | b"),
        (("line\r\nnext\r", "\nlast"), "  | line\n  | next\n  | last"),
        (("kept\r", "\r\n"), "  | kept\n"),
        (("\n", "\n"), "  | \n  | \n"),
        (("\rStep 1", "\r\rStep 2"), "  | Step 1\n  | Step 2"),
        (("a\x1b", "[31mb\r\x1b[0m", "c"), "  | ab\n  | c"),
    ],
)
def test_of_a_line_that_is_written_over_the_last_state_stands(pieces: tuple[str, ...], shown: str) -> None:
    quotation = Quotation()
    assert "".join(map(quotation.feed, pieces)) == shown


@pytest.mark.usefixtures("colourful")
def test_a_look_that_printed_such_text_and_a_long_one() -> None:
    for texts in groups(26)[:: max(1, FUZZED // 2_000)]:
        result = CommandResult(("ls",), 1, "\n".join(texts), texts[0])
        console, pipe = clean_console()
        for line in render_look(Looked(("ls",), Known(result, "ls"), is_verification=True)):
            console.answer(*line)
        for line in render_look(Looked(("ls",), Unreadable(texts[1], texts[2]), is_verification=False)):
            console.answer(*line)
        check(pipe.getvalue())
    long = CommandResult(("ls",), 0, "x\n" * 5000, "")
    lines = render_look(Looked(("ls",), Known(long, "ls"), is_verification=False))
    assert len(lines) < 210


@pytest.mark.usefixtures("colourful")
def test_a_record_with_such_texts(own_home: Path) -> None:
    record = FixRecord(our_folders())
    Path(record.path).parent.mkdir(parents=True, exist_ok=True)
    texts = hostile_texts(FUZZED, seed=27)
    with open(record.path, "w", encoding="ascii") as handle:
        for number, text in enumerate(texts):
            row = {
                "event": "started",
                "attempt": f"{number}",
                "at_s": 1.0,
                "fault": text,
                "step": 1,
                "command": text,
                "looks": [text],
                "restarts": False,
                "owner": None,
            }
            handle.write(json.dumps(row) + "\n")
    unfinished = list_unfinished()
    assert len(unfinished.fixes) == len(texts)
    console, pipe = clean_console()
    for line in render_unfinished(unfinished):
        console.answer(*line)
    check(pipe.getvalue())
