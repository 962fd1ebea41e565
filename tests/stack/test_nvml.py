"""The real nvidia-ml-py in its real process, on a stand-in of the driver's library."""

from __future__ import annotations

import json
import time
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stubs.driver_stub import play

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._scene import Scene
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import CommandResult
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder
from bringup.reading import Absent, Known, Unreadable
from bringup.stack import cuda, nvml
from bringup.stack.nvml_errors import find_nvml_error
from bringup.stack.stack import Stack
from bringup.units import MIB


@pytest.fixture
def driver(built_driver: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(built_driver))
    play(built_driver, "cards 2")
    return built_driver


def roots(stack: Stack) -> tuple[str, ...]:
    lines = nvml.spoken_lines(stack.nvml)
    return tuple(root.fault.id for root in diagnose(Scene(stack, lines), load_catalogue()).roots)


def test_two_healthy_cards_are_told_in_full(driver: Path) -> None:
    found = nvml.probe_nvml(LiveMachine())
    assert isinstance(found.error, Absent)
    assert isinstance(found.hangs_in, Absent)
    assert isinstance(found.driver_version, Known)
    assert str(found.driver_version.value) == "570.169"
    assert found.cuda_version == Known((12, 8), "NVML cuda_version")
    assert isinstance(found.cards, Known)
    first, second = found.cards.value
    assert [field.name for field in fields(first) if isinstance(getattr(first, field.name), Unreadable)] == []
    assert first.name == Known("NVIDIA GeForce RTX 3080 Ti", "NVML name")
    assert first.bus_address == Known("0000:01:00.0", "NVML bus_address")
    assert first.memory == Known(nvml.GpuMemory(12288 * MIB, 812 * MIB, 11476 * MIB), "NVML memory")
    assert first.clock_reasons == Known(("idle",), "NVML clock_reasons")
    assert isinstance(first.processes, Known)
    (process,) = first.processes.value
    assert (process.process_id, process.used_bytes) == (1, Known(614 * MIB, "NVML"))
    assert process.name, "the process with number 1 is always there"
    assert second.processes == Known((), "NVML compute_processes")
    assert nvml.spoken_lines(found).lines == ()


@pytest.mark.parametrize(
    ("code", "root"),
    [
        (18, ("driver-library-mismatch",)),
        (9, ("module-not-loaded",)),
        (4, ("device-node-permission",)),
        (15, ("gpu-fell-off-bus",)),
        (16, ("gpu-hung-or-needs-reset",)),
        (13, ("libraries-mixed",)),
    ],
)
def test_a_driver_that_refuses_says_why(driver: Path, code: int, root: tuple[str, ...]) -> None:
    play(driver, f"nvmlInitWithFlags {code}")
    found = nvml.probe_nvml(LiveMachine())
    assert found.error == Known(find_nvml_error(code), "nvmlInit")
    assert isinstance(found.cards, Unreadable)
    assert roots(Stack(nvml=found)) == root


def test_a_missing_library_is_told_with_the_loaders_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    found = nvml.probe_nvml(LiveMachine())
    assert isinstance(found.error, Known)
    assert found.error.value.name == "ERROR_LIBRARY_NOT_FOUND"
    assert "libnvidia-ml.so.1" in found.error.source
    assert roots(Stack(nvml=found)) == ("library-missing",)


def test_a_card_that_is_lost_in_mid_run_keeps_what_it_said(driver: Path) -> None:
    play(driver, "cards 2", "lost_after 4")
    found = nvml.probe_nvml(LiveMachine())
    assert isinstance(found.cards, Known)
    first, second = found.cards.value
    assert isinstance(first.name, Known)
    assert first.is_lost
    assert second.is_lost
    assert isinstance(first.temperature_c, Unreadable)
    assert roots(Stack(nvml=found)) == ("gpu-fell-off-bus",)


def test_a_question_that_a_card_does_not_support_is_absent(driver: Path) -> None:
    play(driver, "cards 1", "nvmlDeviceGetTotalEccErrors 3", "nvmlDeviceGetMigMode 3")
    found = nvml.probe_nvml(LiveMachine())
    assert isinstance(found.cards, Known)
    (card,) = found.cards.value
    assert isinstance(card.uncorrected_errors, Absent)
    assert isinstance(card.mig_mode, Absent)
    assert isinstance(card.trouble, Absent)
    assert roots(Stack(nvml=found)) == ()


def test_a_call_that_hangs_costs_its_patience_and_is_named(driver: Path) -> None:
    play(driver, "cards 2", "nvmlDeviceGetPowerUsage hang")
    started_s = time.monotonic()
    printed = LiveMachine().run((*nvml.COMMAND, "0.5"), timeout_s=10)
    assert time.monotonic() - started_s < 5
    assert isinstance(printed, Known)
    found = nvml.parse_answer(printed.value)
    assert found.hangs_in == Known("power_mw of card 0", "NVML")
    assert isinstance(found.cards, Known)
    assert isinstance(found.cards.value[0].name, Known)
    assert isinstance(found.cards.value[0].power_mw, Unreadable)
    assert roots(Stack(nvml=found)) == ("gpu-hung-or-needs-reset",)


def test_a_start_that_hangs_is_not_a_start(driver: Path) -> None:
    play(driver, "nvmlInitWithFlags hang")
    printed = LiveMachine().run((*nvml.COMMAND, "0.3"), timeout_s=10)
    assert isinstance(printed, Known)
    found = nvml.parse_answer(printed.value)
    assert found.hangs_in == Known("nvmlInit", "NVML")
    assert isinstance(found.error, Unreadable)


def test_a_library_that_crashes_costs_its_own_process(driver: Path) -> None:
    play(driver, "crash nvmlDeviceGetName")
    found = nvml.probe_nvml(LiveMachine())
    assert isinstance(found.error, Unreadable)
    assert "signal 6" in found.error.why


def test_a_machine_without_the_library_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    (tmp_path / "root/usr/lib").mkdir(parents=True)
    (tmp_path / "commands.json").write_text("[]")
    (tmp_path / "machine.toml").write_text("[environment]\n")
    found = nvml.probe_nvml(RecordedMachine(str(tmp_path)))
    assert not isinstance(found.error, Known)


def test_a_recording_repeats_the_answer(driver: Path, tmp_path: Path) -> None:
    recorder = Recorder(LiveMachine())
    live = nvml.probe_nvml(recorder), cuda.probe_cuda(recorder)
    recorder.save(str(tmp_path / "kept"), None)
    again = RecordedMachine(str(tmp_path / "kept"))
    assert (nvml.probe_nvml(again), cuda.probe_cuda(again)) == live


@pytest.mark.parametrize(
    ("code", "root"),
    [
        (0, ()),
        (3, ("uvm-hmm-init-error",)),
        (34, ("cuda-stub-library",)),
        (802, ("fabric-manager-missing",)),
        (804, ("cuda-compat-mismatch",)),
        (999, ("uvm-not-loaded",)),
    ],
)
def test_cuda_is_started_itself(driver: Path, code: int, root: tuple[str, ...]) -> None:
    play(driver, f"cuInit {code}")
    found = cuda.probe_cuda(LiveMachine())
    assert isinstance(found.start, Known)
    assert found.start.value.code == code
    assert found.start.value.cuda_version == Known((12, 8), "cuDriverGetVersion")
    assert isinstance(found.start.value.card_count, Known) == (code == 0)
    lines = cuda.spoken_lines(found)
    found_roots = diagnose(Scene(Stack(cuda=found), lines), load_catalogue()).roots
    assert tuple(one.fault.id for one in found_roots) == root


def test_cuda_that_hangs_or_crashes_costs_its_own_process(driver: Path) -> None:
    play(driver, "cuInit hang")
    printed = LiveMachine().run((*cuda.COMMAND, "0.3"), timeout_s=10)
    assert isinstance(printed, Known)
    assert cuda.parse_answer(printed.value).hangs_in == Known("cuInit", "libcuda")
    play(driver, "cuInit crash")
    assert isinstance(cuda.probe_cuda(LiveMachine()).start, Unreadable)


@given(
    st.dictionaries(
        st.sampled_from(["init", "driver_version", "cuda_version", "devices", "hangs_in", "problem"]),
        st.one_of(
            st.none(), st.integers(), st.text(max_size=8), st.just({"value": "x"}), st.just({"code": 4})
        ),
    )
)
def test_a_strange_answer_is_unreadable_or_told_and_never_a_crash(report: dict[str, object]) -> None:
    text = json.dumps({"schema": 1, **report})
    result = CommandResult(nvml.COMMAND, 0, text, "")
    try:
        nvml.parse_answer(result)
    except ValueError:
        return


@given(st.text(max_size=40), st.integers(-9, 9))
def test_words_that_are_no_answer_are_refused(text: str, exit_code: int) -> None:
    for parse in (nvml.parse_answer, cuda.parse_answer):
        with pytest.raises(ValueError, match=r"."):
            parse(CommandResult((), exit_code, text, ""))


def test_reasons_are_words() -> None:
    assert nvml.read_reasons(0x44) == ("power limit", "hardware thermal slowdown")
    assert nvml.read_reasons(0) == ()
