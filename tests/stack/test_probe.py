"""A whole machine is looked at layer by layer, and one broken layer costs only itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.cases._make.machines import MACHINES, write_all
from tests.faults.cases import CASES

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._scene import Scene
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder
from bringup.machine.redaction import Redactor
from bringup.reading import Known
from bringup.stack import probe
from bringup.stack.hardware import Hardware, probe_hardware
from bringup.stack.kernel import probe_kernel


def machine(name: str) -> RecordedMachine:
    return RecordedMachine(str(CASES / name))


def test_the_founding_machine_is_seen_in_full() -> None:
    looked = probe.probe_stack(machine("driver-library-mismatch/morning"))
    kernel = looked.stack.kernel
    assert isinstance(kernel.loaded_driver, Known)
    assert str(kernel.loaded_driver.value.version) == "570.169"
    assert kernel.running is not None
    assert isinstance(kernel.running.modules[0].info, Known)
    assert str(kernel.running.modules[0].info.value.version) == "570.172.08"
    assert isinstance(kernel.holders, Known)
    assert {holder.unit for holder in kernel.holders.value} == {
        "gdm.service",
        "ollama.service",
        "nvidia-persistenced.service",
        "",
    }
    assert isinstance(kernel.changes, Known)
    assert [device.name for device in looked.stack.hardware.nvidia_devices] == ["GA102 [GeForce RTX 3080 Ti]"]
    assert looked.lines.has("api mismatch")
    assert all(look.problem == "" for look in looked.looks)


def test_a_layer_that_raises_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(machine: object) -> Hardware:
        raise RuntimeError("boom")

    monkeypatch.setitem(probe.PROBES, "hardware", broken)
    looked = probe.probe_stack(machine("driver-library-mismatch/morning"))
    problems = {look.layer: look.problem for look in looked.looks}
    assert problems["hardware"] == "RuntimeError: boom"
    assert looked.stack.hardware == Hardware()
    assert isinstance(looked.stack.kernel.loaded_driver, Known)


def test_a_layer_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hanging(machine: object) -> Hardware:
        release.wait(30)
        return Hardware()

    monkeypatch.setitem(probe.PROBES, "hardware", hanging)
    looked = probe.probe_stack(machine("driver-library-mismatch/morning"), limit_s=0.5)
    release.set()
    assert {look.layer: look.problem for look in looked.looks}["hardware"] == "did not answer in time"


def test_nothing_is_concluded_where_nothing_was_recorded(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    empty = RecordedMachine(str(tmp_path))
    kernel = probe_kernel(empty)
    assert not isinstance(kernel.loaded_driver, Known)
    assert not isinstance(kernel.modules, Known)
    assert probe_hardware(empty).nvidia_devices == ()


def test_the_made_machines_on_the_disk_are_what_their_maker_writes(tmp_path: Path) -> None:
    write_all(tmp_path)
    for name in MACHINES:
        fresh = {path.relative_to(tmp_path / name): read(path) for path in (tmp_path / name).rglob("*")}
        kept = {path.relative_to(CASES / name): read(path) for path in (CASES / name).rglob("*")}
        assert fresh == kept, f"{name}: run python -m tests.cases._make.machines"


def read(path: Path) -> bytes:
    if path.is_symlink():
        return str(path.readlink()).encode()
    return path.read_bytes() if path.is_file() else b""


def test_open_files_are_looked_at_only_where_an_upgrade_waits() -> None:
    quiet = probe_kernel(machine("driver-library-mismatch/after-the-reboot"))
    assert not isinstance(quiet.holders, Known)
    assert isinstance(probe_kernel(machine("driver-library-mismatch/morning")).holders, Known)


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_a_recording_of_a_machine_gives_the_same_verdict(name: str, tmp_path: Path) -> None:
    recorder = Recorder(machine(name))
    first = probe.probe_stack(recorder)
    recorder.save(str(tmp_path / "again"), Redactor())
    again = probe.probe_stack(RecordedMachine(str(tmp_path / "again")))
    catalogue = load_catalogue()
    before = diagnose(Scene(first.stack, first.lines), catalogue)
    after = diagnose(Scene(again.stack, again.lines), catalogue)
    assert [(f.fault.id, f.evidence.saw) for f in after.findings] == [
        (f.fault.id, f.evidence.saw) for f in before.findings
    ]
