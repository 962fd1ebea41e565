"""The made machines of user space, toolkits and containers: as their maker writes them, and as recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cases._make.user_machines import MACHINES, write_all
from tests.faults.cases import CASES

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._scene import Scene
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder
from bringup.machine.redaction import Redactor
from bringup.stack.probe import probe_stack


def test_the_machines_on_the_disk_are_what_their_maker_writes(tmp_path: Path) -> None:
    write_all(tmp_path)
    for name in MACHINES:
        fresh = {path.relative_to(tmp_path / name): read(path) for path in (tmp_path / name).rglob("*")}
        kept = {path.relative_to(CASES / name): read(path) for path in (CASES / name).rglob("*")}
        assert fresh == kept, f"{name}: run python -m tests.cases._make.user_machines"


def read(path: Path) -> bytes:
    if path.is_symlink():
        return str(path.readlink()).encode()
    return path.read_bytes() if path.is_file() else b""


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_a_redacted_recording_gives_the_same_verdict(name: str, tmp_path: Path) -> None:
    recorder = Recorder(RecordedMachine(str(CASES / name)))
    first = probe_stack(recorder)
    recorder.save(str(tmp_path / "again"), Redactor())
    again = probe_stack(RecordedMachine(str(tmp_path / "again")))
    catalogue = load_catalogue()
    before = diagnose(Scene(first.stack, first.lines), catalogue)
    after = diagnose(Scene(again.stack, again.lines), catalogue)
    assert [one.fault.id for one in after.findings] == [one.fault.id for one in before.findings]
