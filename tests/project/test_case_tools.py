"""The scaffolds: a new fault, a recorded case."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tools.new_fault import LAYERS, ROOT, trouble_with, write_skeleton
from tools.record_case import record

from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nowhere/some-fault", "layer"),
        ("kernel/Some_Fault", "no id"),
        ("kernel/fix-driver", "remedy"),
        ("kernel/driver-library-mismatch", "already"),
    ],
)
def test_a_wrong_name_is_refused(name: str, word: str) -> None:
    assert word in trouble_with(name, ROOT)


def test_the_layers_are_those_of_the_catalogue() -> None:
    folders = {
        path.name for path in (ROOT / "src/bringup/faults").iterdir() if (path / "__init__.py").exists()
    }
    assert set(LAYERS) == folders


def test_a_skeleton_is_a_fault_with_a_case_and_a_near_miss(tmp_path: Path) -> None:
    assert trouble_with("kernel/moon-in-the-way", ROOT) == ""
    written = {
        path.relative_to(tmp_path).as_posix() for path in write_skeleton("kernel/moon-in-the-way", tmp_path)
    }
    assert "src/bringup/faults/kernel/moon_in_the_way.py" in written
    case = tomllib.loads((tmp_path / "tests/cases/moon-in-the-way/fires/case.toml").read_text())
    assert case["expected"] == ["moon-in-the-way"]
    compile((tmp_path / "src/bringup/faults/kernel/moon_in_the_way.py").read_text(), "moon", "exec")


def test_this_machine_is_recorded_and_opened_again(tmp_path: Path) -> None:
    record(tmp_path / "case")
    machine = RecordedMachine(str(tmp_path / "case"))
    assert isinstance(machine.read_text("/proc/meminfo"), Known)
    assert tomllib.loads((tmp_path / "case/case.toml").read_text())["origin"] == "recorded"
