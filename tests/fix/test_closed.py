"""Promise 23: the commands of fixes are a closed set, whatever a machine says of itself."""

from __future__ import annotations

import ast
import random
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

import pytest
from tests.doctor.shown import shown_by
from tests.faces.hostile import hostile_texts
from tests.faults.cases import CASES, all_cases, diagnosis_of
from tests.fix.hostile_machine import HostileMachine, Remembered

import bringup.faults
from bringup.actions.diagnosis.steps import typed_command, values_of
from bringup.faults._catalogue import load_catalogue
from bringup.faults._command import fill_command, fits, missing_slots
from bringup.faults._diagnose import diagnose
from bringup.faults._fault import Evidence, Fault, Safety, Slot, Step, Word
from bringup.faults._scene import Scene
from bringup.machine.effects import look_by_command, system_environment
from bringup.machine.protocol import Machine
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known
from bringup.stack.hardware import probe_hardware
from bringup.stack.kernel import probe_kernel
from bringup.stack.stack import Stack
from bringup.stack.userspace import probe_userspace

RECORDINGS = 10_000
FILLED = 10_000
FOLDER = Path(bringup.faults.__file__).parent

PROGRAMS = frozenset(
    {
        *(
            "akmods",
            "apt-config",
            "apt-get",
            "bringup",
            "cat",
            "cmake",
            "curl",
            "df",
            "dkms",
            "dnf",
            "docker",
            "dpkg",
            "dracut",
        ),
        *(
            "free",
            "gcc",
            "grep",
            "id",
            "journalctl",
            "kill",
            "ldconfig",
            "ldd",
            "llama-server",
            "ls",
            "lscpu",
        ),
        *(
            "lsmod",
            "lspci",
            "mkinitcpio",
            "modinfo",
            "modprobe",
            "mokutil",
            "nproc",
            "nvcc",
            "nvidia-ctk",
            "nvidia-modprobe",
        ),
        *("nvidia-smi", "nvidia-uninstall", "ollama", "pacman", "prime-select", "snap", "ss", "systemctl"),
        *("ubuntu-drivers", "uname", "update-initramfs", "zypper"),
    }
)
"""Every program that a step may name: no shell, no interpreter, nothing that starts another one."""

NAMED_COMMANDS = {
    ("kernel/_steps.py", "command"),
    ("kernel/_steps.py", "tool"),
    ("_distributions.py", "_AKMODS[0]"),
    ("_distributions.py", "_KEY_OF_AKMODS[0]"),
    ("_distributions.py", "_KEY_OF_DKMS"),
    ("_distributions.py", "_LOADABLE"),
    ("_distributions.py", "_NIX_LIBRARIES"),
    ("_distributions.py", "told.command"),
    ("_distributions.py", "verify"),
    ("_dialects.py", "program.version"),
    ("_dialects.py", "steps[-1].verify"),
    ("_dialects.py", "verify"),
}
"""Commands that a module chooses by the distribution, from tables of tuples of its own."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(FOLDER.rglob("*.py")):
        yield str(path.relative_to(FOLDER)), ast.parse(path.read_text(encoding="utf-8"))


def commands_in(tree: ast.Module) -> Iterator[ast.expr]:
    """The command and the look of every step that a module writes down."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Step":
            yield from node.args[1:2]
            yield from (word.value for word in node.keywords if word.arg in ("command", "verify"))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Told":
            yield from node.args[:1]
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("dataclasses.replace", "replace"):
            yield from (word.value for word in node.keywords if word.arg in ("command", "verify"))


def is_closed(name: str, value: ast.expr) -> bool:
    """Whether a command is written as constants and slots, or chosen from such."""
    if isinstance(value, ast.IfExp):
        return is_closed(name, value.body) and is_closed(name, value.orelse)
    if isinstance(value, ast.Tuple):
        return all(is_word(element) for element in value.elts)
    return (name, ast.unparse(value)) in NAMED_COMMANDS


def is_word(element: ast.expr) -> bool:
    if isinstance(element, ast.Constant):
        return isinstance(element.value, str)
    written = ast.unparse(element)
    # The verb of a service's step, and a module's name: both from tuples of constants in the same function.
    return written.startswith("Slot.") or written in ("verb", "module")


def test_every_step_in_the_source_is_made_of_constants_and_slots() -> None:
    seen = 0
    for name, tree in sources():
        for value in commands_in(tree):
            seen += 1
            assert is_closed(name, value), f"{name}:{value.lineno}: {ast.unparse(value)}"
    assert seen > 250


def test_verbs_and_modules_are_constants_where_they_are_given() -> None:
    (tree,) = (tree for name, tree in sources() if name == "kernel/_mismatch.py")
    given = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("_unit_step", "_load_step")
    ]
    assert given
    for call in given:
        first = call.args[0]
        assert isinstance(first, ast.Constant) or ast.unparse(first) == "module"
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.GeneratorExp | ast.ListComp)]
    (loop,) = (one for one in loops if ast.unparse(one.elt) == "_load_step(module)")
    assert isinstance(loop.generators[0].iter, ast.Tuple)
    assert all(isinstance(element, ast.Constant) for element in loop.generators[0].iter.elts)


@lru_cache(maxsize=1)
def all_steps() -> list[tuple[str, Step]]:
    """Every step of the catalogue, and every one that a recorded machine of ours makes."""
    found = [(fault.id, step) for fault in load_catalogue() for step in fault.steps]
    for case in all_cases():
        if case.is_machine:
            found += [(f.fault.id, step) for f in diagnosis_of(case).findings for step in f.evidence.steps]
    return found


def test_only_known_programs_are_named() -> None:
    for fault_id, step in all_steps():
        for command in (step.command, step.verify):
            assert not command or command[0] in PROGRAMS, fault_id
    named = {command[0] for _, step in all_steps() for command in (step.command, step.verify) if command}
    tables = {c.value for _, tree in sources() for c in ast.walk(tree) if isinstance(c, ast.Constant)}
    assert not {program for program in PROGRAMS - named if program not in tables}


def test_a_step_says_what_it_touches_and_how_to_take_it_back() -> None:
    for fault_id, step in all_steps():
        if step.safety is not Safety.LOOK:
            assert step.touches, (fault_id, step.say)
            assert step.undo, (fault_id, step.say)


def test_a_command_needs_nothing_of_the_callers_shell() -> None:
    for fault_id, step in all_steps():
        for word in (*step.command, *step.verify):
            assert isinstance(word, Slot) or not word.startswith(("~", "$")), fault_id
            assert isinstance(word, Slot) or not re.fullmatch(r"[A-Z_]+=.*", word), fault_id


def test_the_environment_of_a_command_is_made_of_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    before = system_environment()
    for name in (
        "PATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "PYTHONHOME",
        "IFS",
        "HOME",
        "USER",
        "X",
    ):
        monkeypatch.setenv(name, "/tmp/evil")
    assert system_environment() == before
    seen = look_by_command(("printenv",), timeout_s=10)
    assert isinstance(seen, Known)
    assert dict(line.split("=", 1) for line in seen.value.stdout.splitlines()) == before
    assert not [name for name in before if name.startswith(("LD_", "PYTHON"))]
    assert all(
        folder.startswith(("/usr/", "/sbin", "/bin", "/run/current-system/"))
        for folder in before["PATH"].split(":")
    )


GOOD = {
    Slot.KERNEL_RELEASE: (
        "6.8.0-63-generic",
        "6.1.0-37-amd64",
        "5.14.0-503.el9.x86_64",
        "6.15.2-arch1-1",
        "6.6.87.2+",
    ),
    Slot.PACKAGE: ("nvidia-driver-570-open", "linux-headers-6.8.0-63-generic", "g++", "libc6:i386", "0ad"),
    Slot.UNIT: ("ollama.service", "user@1000.service", "nvidia-persistenced.service", "docker.socket"),
    Slot.MODULE: ("nvidia_uvm", "nvidia"),
    Slot.PCI_ADDRESS: ("0000:01:00.0", "01:00.0"),
    Slot.PATH: ("/models/a.gguf", "/home/me/.cache", "/a..b/c"),
    Slot.PID: ("2", "12", "30211"),
    Slot.GPU_INDEX: ("0", "15"),
    Slot.VERSION: ("570.172.08", "1:2.3-4~bpo12+1"),
}
BAD = {
    Slot.KERNEL_RELEASE: ("-6.8", "generic", "6.8 0", "6.8;id", "6.8\n", "", "\u0666.8", "6" * 99),
    Slot.PACKAGE: (
        "-y",
        "nvidia-",
        "a",
        "a/b",
        "a=1",
        "A",
        "a b",
        "a\n",
        "--purge",
        "\uff41\uff42",
        "a.",
        "a;b",
    ),
    Slot.UNIT: (
        "-a.service",
        "--now.service",
        "a b.service",
        "a.mount",
        ".service",
        "a.service\n",
        "../a.service",
    ),
    Slot.MODULE: ("-r", "nvidia-uvm", "a/b", "", "\uff21"),
    Slot.PCI_ADDRESS: ("01:00.8", "1:0.0", "0000:01:00.0 ", "zz:00.0"),
    Slot.PATH: (
        "models",
        "/../etc/passwd",
        "/./a",
        "/a//b",
        "/a/",
        "/",
        "/a/../b",
        "/a/..",
        "/a b",
        "/a\n",
        "-/a",
        "/a;b",
        "/a$HOME",
        "/" + "a" * 300,
    ),
    Slot.PID: ("0", "1", "-1", "+2", "1e3", "02", "123456789", "2\n", "\u0662"),
    Slot.GPU_INDEX: ("-1", "100", "0,1"),
    Slot.VERSION: ("-1", "v1", "1 2", "1\n"),
}


@pytest.mark.parametrize("slot", Slot, ids=lambda slot: slot.name)
def test_a_slot_takes_what_it_is_for_and_nothing_else(slot: Slot) -> None:
    for value in GOOD[slot]:
        assert fits(slot, value), value
        assert fill_command(("x", slot), {slot: value}) == ("x", value)
    for value in BAD[slot]:
        assert not fits(slot, value), value
        assert fill_command(("x", slot), {slot: value}) is None
        assert missing_slots(("x", slot), {slot: value}) == (slot,)


CONSTANTS = {c.value for _, tree in sources() for c in ast.walk(tree) if isinstance(c, ast.Constant)}


def hostile_value(source: random.Random, good: str) -> str:
    """A true value with something foreign in it, or nothing but foreign."""
    at = source.randrange(len(good) + 1)
    piece = source.choice(
        (
            *(
                "; id",
                "$(id)",
                "`id`",
                " ",
                "\n",
                "\t",
                "--",
                "-",
                "'",
                '"',
                "\\",
                "|",
                "&",
                ">",
                "*",
                "?",
                "%n",
                "{}",
            ),
            *(
                "\x00",
                "\x1b[2J",
                "\x9b",
                "\u202e",
                "\u2028",
                "\u00e9",
                "\uff41",
                "\ud800",
                "/../",
                "=",
                ",",
                "~",
                "#",
                "!",
                "A",
            ),
        )
    )
    return source.choice(
        (good[:at] + piece + good[at:], piece + good, good + piece, piece, source.choice(TEXTS))
    )


TEXTS = hostile_texts(300, seed=23)


@cache
def check_constants(step: Step) -> str:
    """The same for a step that has no slot: once is enough."""
    for word in (*step.command, *step.verify):
        assert word in CONSTANTS
    shown = typed_command(step, {}, is_root=False)
    assert shown.isascii() and shown.isprintable()
    assert tuple(shlex.split(shown.removeprefix("sudo "))) == step.command
    return "no slots"


def check_closed(step: Step, values: dict[Slot, str]) -> str:
    """What of a step would run is closed, and what is shown holds nothing foreign; the way it came out."""
    outcome = "no slots"
    if not any(isinstance(word, Slot) for word in (*step.command, *step.verify)):
        return check_constants(step)
    for command in (step.command, step.verify):
        argv = fill_command(command, values)
        slots = [word for word in command if isinstance(word, Slot)]
        if slots:
            outcome = "filled" if argv is not None else "refused"
        for word, filled in zip(command, argv or (), strict=argv is not None):
            assert (
                re.fullmatch(word.value, filled, re.ASCII) if isinstance(word, Slot) else filled in CONSTANTS
            )
            assert filled.isascii() and filled.isprintable()
            assert not (isinstance(word, Slot) and filled.startswith("-"))
    shown = typed_command(step, values, is_root=False)
    assert shown.isascii() and shown.isprintable()
    if fill_command(step.command, values) is not None and step.command:
        assert tuple(shlex.split(shown.removeprefix("sudo "))) == fill_command(step.command, values)
    return outcome


def test_ten_thousand_hostile_fillings_of_every_step_with_a_slot() -> None:
    templates = {
        step.command: step for _, step in all_steps() if any(isinstance(w, Slot) for w in step.command)
    }
    more: list[tuple[Word, ...]] = [("ls", slot) for slot in Slot]
    steps = [*templates.values(), *(Step("Look.", words) for words in more)]
    source = random.Random(23)
    outcomes: Counter[str] = Counter()
    for _ in range(FILLED):
        values = {slot: hostile_value(source, source.choice(GOOD[slot])) for slot in Slot}
        step = source.choice(steps)
        outcomes[check_closed(replace(step, values=()), values)] += 1
    assert outcomes["refused"] > FILLED // 2
    assert outcomes["filled"] > FILLED // 100


NAMES = {
    "driver-library-mismatch/morning": (
        "ollama.service",
        "gdm.service",
        "nvidia-persistenced.service",
        "30211",
    ),
    "driver-library-mismatch/next-kernel-bare": ("6.8.0-63-generic", "6.8.0-60-generic"),
    "module-missing-for-kernel/prebuilt": ("6.8.0-63-generic", "nvidia-570-open", "6.8.0-60-generic"),
    "kernel-headers-missing/new-kernel": ("6.8.0-63-generic", "6.8.0-60-generic"),
    "module-missing-for-next-kernel/mounted-disk": ("6.8.0-63-generic", "6.8.0-60-generic"),
    "open-module-required/rtx-50-proprietary": ("0000:01:00.0", "570.172.08", "ubuntu"),
}


@lru_cache(maxsize=1)
def stepping() -> tuple[Fault, ...]:
    """The faults whose steps come from a machine's facts: on some recorded machine of ours, at least."""
    machines = [case for case in all_cases() if case.is_machine]
    ids = {f.fault.id for case in machines for f in diagnosis_of(case).findings if f.evidence.steps}
    return tuple(fault for fault in load_catalogue() if fault.id in ids)


def evidence_of(machine: Machine, faults: tuple[Fault, ...]) -> list[tuple[Fault, Evidence]]:
    stack = Stack(
        kernel=probe_kernel(machine), hardware=probe_hardware(machine), userspace=probe_userspace(machine)
    )
    found = diagnose(Scene(stack), faults)
    assert found.crashed == ()
    return [(finding.fault, finding.evidence) for finding in found.findings]


def test_hostile_recordings_never_reach_a_command() -> None:
    source = random.Random(2323)
    machines = {name: Remembered(RecordedMachine(str(CASES / name))) for name in NAMES}
    outcomes: Counter[str] = Counter()
    for number in range(RECORDINGS):
        name = list(NAMES)[number % len(NAMES)]
        names = {good: hostile_value(source, good) for good in NAMES[name] if source.random() < 0.7}
        for fault, evidence in evidence_of(HostileMachine(machines[name], names), stepping()):
            for step in evidence.steps or fault.steps:
                outcomes[check_closed(step, values_of(step, dict(evidence.values)))] += 1
    # Most of it never becomes a fact: a parser that expects a version or a unit takes nothing else.
    assert outcomes["refused"] > RECORDINGS // 50, outcomes
    assert outcomes["filled"] > RECORDINGS, outcomes


def test_the_machine_with_its_names_exchanged_is_still_that_machine() -> None:
    name = "driver-library-mismatch/morning"
    inner = Remembered(RecordedMachine(str(CASES / name)))
    machine = HostileMachine(inner, {"ollama.service": "llama.service"})
    (evidence,) = (
        e for fault, e in evidence_of(machine, stepping()) if fault.id == "driver-library-mismatch"
    )
    commands = [fill_command(step.command, dict(step.values)) for step in evidence.steps]
    assert ("systemctl", "stop", "llama.service") in commands


def test_a_step_that_cannot_be_filled_is_shown_with_a_name_in_its_place() -> None:
    _, text = shown_by("faults", "module-missing-for-next-kernel")
    assert "$ sudo dkms autoinstall -k <KERNEL_RELEASE>" in text
