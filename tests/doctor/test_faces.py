"""The doctor's faces: what stands first, what is folded, what could not be seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.doctor.shown import shown_by
from tests.faults.cases import CASES

from bringup.actions.diagnosis.doctor import Examination, Verdict, examine
from bringup.actions.diagnosis.facts import Seen, list_facts
from bringup.actions.diagnosis.overview import State, view_layers
from bringup.actions.diagnosis.unseen import find_unseen
from bringup.faces.render.stack import render_stack, summarise
from bringup.faults._catalogue import load_catalogue
from bringup.faults._fault import Layer
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Absent, Known, Unreadable
from bringup.stack.container import Container, Inside, Wsl
from bringup.stack.engines import EngineProcess
from bringup.stack.hardware import Hardware
from bringup.stack.kernel import Kernel
from bringup.stack.memory import Memory
from bringup.stack.nvml import Card, Nvml
from bringup.stack.nvml_errors import find_nvml_error
from bringup.stack.pci import PciDevice
from bringup.stack.runtime import Runtime
from bringup.stack.stack import Stack
from bringup.stack.userspace import Userspace

MORNING = "driver-library-mismatch/morning"


def examined(name: str) -> Examination:
    return examine(RecordedMachine(str(CASES / name)), subject="the machine")


def screen(
    examination: Examination, width_columns: int = 80, embedded: str | None = "2026.10.11549"
) -> list[str]:
    lines = render_stack(
        examination, view_layers(examination), width_columns=width_columns, embedded=embedded
    )
    return ["".join(piece if isinstance(piece, str) else piece.text for piece in line) for line in lines]


def test_the_founding_morning_on_one_screen() -> None:
    examination = examined(MORNING)
    lines = screen(examination)
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines if not line.lstrip().startswith("$"))
    assert lines[0].startswith("hardware")
    assert "GeForce RTX 3080 Ti" in lines[0]
    (faulty,) = [line for line in lines if " fault " in line]
    assert faulty.startswith("kernel, driver")
    assert "    $ sudo systemctl reboot" in lines
    assert lines[-1].startswith("Next: bringup doctor")


def test_a_healthy_machine_is_told_what_comes_next() -> None:
    lines = screen(examined("gpu-not-on-bus/never-had-one"))
    assert not any(" fault " in line for line in lines)
    assert "no NVIDIA card" in lines[0]
    assert lines[-1] == "Next: bringup run starts a chat with a model."
    (build,) = [line for line in lines if line.startswith("llama.cpp")]
    assert build.endswith("no build found; embedded engine 2026.10.11549 is here")


def test_without_any_engine_the_next_step_gets_one() -> None:
    lines = screen(examined("gpu-not-on-bus/never-had-one"), embedded=None)
    (build,) = [line for line in lines if line.startswith("llama.cpp")]
    assert build.endswith("no build found")
    assert lines[-1] == "Next: bringup setup gets an engine, which runs models."


def test_a_narrow_terminal_loses_no_word_of_a_layer() -> None:
    examination = examined("gpu-not-on-bus/never-had-one")
    narrow = screen(examination, 40)
    assert all(len(line) <= 40 for line in narrow[:-1])
    assert "…" not in "".join(narrow)
    assert "embedded engine 2026.10.11549 is here" in " ".join(" ".join(narrow).split())


def engine(program: str, model_path: str, port: int | None) -> EngineProcess:
    nothing = Absent("made")
    return EngineProcess(7, program, (program,), model_path, port, None, "", False, nothing, nothing)


def test_each_layer_says_something_of_this_machine() -> None:
    for name in (MORNING, "gpu-not-on-bus/never-had-one"):
        for line in screen(examined(name))[:-3]:
            if line:
                assert line[26:].strip(), f"{name}: nothing said in {line!r}"


@pytest.mark.parametrize(
    ("engines", "said"),
    [
        ((), "none"),
        ((engine("bringup", "", None),), "bringup's own (process 7)"),
        (
            (engine("llama-server", "/m/gemma.gguf", 8080),) * 3,
            "llama-server with gemma.gguf on port 8080, and 2 more",
        ),
    ],
)
def test_running_engines_in_a_few_words(engines: tuple[EngineProcess, ...], said: str) -> None:
    assert summarise(Layer.RUNTIME, Stack(runtime=Runtime(engines=Known(engines, "made")))) == said


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (Container(inside=Known(Inside.NONE, "/")), "not in one"),
        (
            Container(inside=Known(Inside.DOCKER, "/.dockerenv"), asked_for=Absent("NVIDIA_VISIBLE_DEVICES")),
            "inside Docker",
        ),
        (
            Container(inside=Known(Inside.PODMAN, "/"), asked_for=Known("all", "NVIDIA_VISIBLE_DEVICES")),
            "inside Podman, GPUs asked for: all",
        ),
        (Container(wsl=Known(Wsl.TWO, "osrelease")), "WSL 2"),
        (Container(inside=Unreadable("/", "no rights")), ""),
    ],
)
def test_the_container_in_a_few_words(container: Container, said: str) -> None:
    assert summarise(Layer.CONTAINER, Stack(container=container)) == said


@pytest.mark.parametrize("width_columns", [40, 60, 80, 100])
def test_the_screen_keeps_its_width(width_columns: int) -> None:
    for name in (MORNING, "gpu-fell-off-bus/under-load", "secure-boot-unsigned/unsigned"):
        shown = screen(examined(name), width_columns)
        assert all(len(line) <= width_columns for line in shown if "$" not in line and "Next" not in line)


def test_layers_stand_bottom_up_and_followers_are_marked() -> None:
    views = view_layers(examined("gpu-fell-off-bus/under-load"))
    assert [view.layer for view in views] == sorted(view.layer for view in views)
    assert views[0].state is State.FAULT
    assert views[0].layer is Layer.HARDWARE


def test_bringup_alone_is_the_screen_of_this_machine() -> None:
    code, text = shown_by()
    assert code in (0, 1, 3)
    assert text.startswith("hardware ")
    assert "Next: bringup " in text


def test_the_doctor_puts_the_root_first_and_its_cure_in_order() -> None:
    code, text = shown_by("doctor", "--from", str(CASES / MORNING))
    assert code == 1
    for earlier, later in (
        ("driver-library-mismatch", "saw "),
        ("saw ", "expected "),
        ("reason ", "  1. "),
        ("  1. ", "  2. "),
    ):
        assert text.index(earlier) < text.index(later)
    assert "570.169" in text
    assert "570.172.08" in text


def test_text_stays_within_eighty_columns() -> None:
    for name in (MORNING, "nouveau-in-use/before-the-reboot", "open-module-required/rtx-50-proprietary"):
        _, text = shown_by("doctor", "--from", str(CASES / name))
        assert [line for line in text.split("\n") if len(line) > 80 and "$" not in line] == []
    for fault in load_catalogue():
        _, text = shown_by("faults", fault.id)
        assert [
            line for line in text.split("\n") if len(line) > 80 and "$" not in line and "://" not in line
        ] == []


def test_verbose_lists_each_fact_with_its_source() -> None:
    _, brief = shown_by("doctor", "--from", str(CASES / MORNING))
    _, text = shown_by("doctor", "--from", str(CASES / MORNING), "--verbose")
    assert "[/proc/driver/nvidia/version, " in text
    assert "loaded_driver: version 570.169" in text
    assert "[/proc/driver/nvidia/version, " not in brief


def test_facts_hold_no_reading_that_nobody_took() -> None:
    assert list_facts(Stack()) == ()
    facts = list_facts(examined(MORNING).stack)
    assert len(facts) > 30
    for fact in facts:
        assert fact.source
        assert (fact.why != "") == (fact.seen is Seen.UNREADABLE)


CARD = PciDevice(address="0000:01:00.0", vendor_id=0x10DE, device_id=0x2208)
SHUT = Unreadable("dmesg", "Operation not permitted")


def stack_with(*, cards: bool, kernel: Kernel, nvml: Nvml) -> Stack:
    floors = examined(MORNING).stack.memory.floors
    return Stack(
        hardware=Hardware(pci_devices=Known((CARD,) if cards else (), "/sys/bus/pci/devices")),
        kernel=kernel,
        userspace=Userspace(driver_library_versions=Known((), "/usr/lib")),
        nvml=nvml,
        memory=Memory(floors=floors),
    )


ANSWERS = Nvml(error=Absent("nvmlInit"), cards=Known((Card(0),), "NVML"))
LOST = Nvml(
    error=Absent("nvmlInit"), cards=Known((Card(0, trouble=Known(find_nvml_error(15), "NVML")),), "NVML")
)
LOADED = Absent("/proc/driver/nvidia/version")


@pytest.mark.parametrize(
    ("cards", "nvml", "count"), [(False, Nvml(), 0), (True, ANSWERS, 0), (True, LOST, 1), (True, Nvml(), 1)]
)
def test_a_shut_kernel_log_matters_where_a_card_does_not_answer(cards: bool, nvml: Nvml, count: int) -> None:
    stack = stack_with(cards=cards, kernel=Kernel(loaded_driver=LOADED, log_text=SHUT), nvml=nvml)
    unseen = find_unseen(stack)
    assert len(unseen) == count
    assert all(one.why == "Operation not permitted" and one.decides == "sudo dmesg" for one in unseen)


def test_an_unseen_bus_is_no_health() -> None:
    stack = Stack(hardware=Hardware(pci_devices=Unreadable("/sys/bus/pci/devices", "Permission denied")))
    assert [one.layer for one in find_unseen(stack)] == ["hardware"]
    assert find_unseen(Stack()) == ()


def test_a_disk_alone_cannot_be_called_healthy(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    code, text = shown_by("doctor", "--root", str(tmp_path))
    assert code == Verdict.CANNOT_TELL.value == 3
    assert "not everything" in text
    assert "not a live machine" in text


def test_wrong_use_is_said() -> None:
    code, text = shown_by("doctor", "--from", "/no/such/folder")
    assert code == 2
    assert "no such" in text
    code, text = shown_by("doctor", "--from", "/", "--root", "/")
    assert code == 2
    code, text = shown_by("faults", "driver-libary-mismatch")
    assert code == 2
    assert "Did you mean driver-library-mismatch" in text
    code, text = shown_by("diagnose", "/no/such/file")
    assert code == 2
