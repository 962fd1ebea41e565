"""The doctor beside the live views: when it looks again, and what of its findings is said to come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.faults.cases import CASES

from bringup.actions.diagnosis.doctor import Examination, examine
from bringup.actions.journal.writing import Note, record
from bringup.actions.live.faults import FaultWatch, health_of
from bringup.actions.live.view import CardErrors, open_view
from bringup.faces.render.live import health_lines
from bringup.faults._catalogue import load_catalogue
from bringup.journal.entry import Kind
from bringup.machine.folders import our_folders
from bringup.machine.kernel_tail import KernelTail
from bringup.machine.live import LiveMachine
from bringup.machine.recorded import RecordedMachine
from bringup.machine.rooted import RootedMachine
from bringup.reading import Absent


def banner(case: str) -> str:
    health = health_of(examine(RecordedMachine(str(CASES / case)), subject="a case"))
    lines = health_lines(health, width_columns=100)
    return "\n".join("".join(p if isinstance(p, str) else p.text for p in line) for line in lines)


@pytest.mark.parametrize("fault", [one.id for one in load_catalogue() if one.is_ahead])
def test_a_foretold_fault_is_said_to_come(fault: str) -> None:
    case = next(path.name for path in sorted((CASES / fault).iterdir()) if fault in _expected(path))
    assert f"[{fault}]" in banner(f"{fault}/{case}")
    assert banner(f"{fault}/{case}").startswith("ahead  ")


def _expected(case: Path) -> str:
    return (case / "case.toml").read_text().partition("expected")[2].partition("\n")[0]


def test_two_faults_are_foretold_and_a_broken_driver_is_none_of_them() -> None:
    assert {fault.id for fault in load_catalogue() if fault.is_ahead} == {
        "driver-upgrade-awaits-reboot",
        "module-missing-for-next-kernel",
    }
    assert banner("driver-library-mismatch/morning").startswith("fault  ")


def test_a_package_log_that_grows_asks_for_a_look(tmp_path: Path) -> None:
    log = tmp_path / "var/log/dpkg.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-11-26 06:12:01 upgrade libnvidia-compute-570:amd64 570.169 570.172\n")
    watch = FaultWatch(RootedMachine(str(tmp_path)), subject="a root")
    assert not watch.has_changed(), "the first time there is nothing to compare with"
    assert not watch.has_changed()
    log.write_text(log.read_text() * 2)
    assert watch.has_changed()
    assert not watch.has_changed()


def test_an_entry_in_the_journal_asks_for_a_look_and_is_shown(own_home: Path) -> None:
    watch = FaultWatch(LiveMachine(), subject="this machine", place=our_folders())
    watch.has_changed()
    watch.read_events()
    assert watch.events == ()
    assert record(Note(Kind.NOTE, "a note", "the lamp flickered")) == ""
    assert watch.has_changed()
    watch.read_events()
    assert [item.text for item in watch.events] == ["the lamp flickered"]


def test_a_signal_of_the_sampler_asks_for_a_look(tmp_path: Path) -> None:
    told: list[object] = [None]
    watch = FaultWatch(RootedMachine(str(tmp_path)), subject="a root", signal=lambda: told[-1])
    watch.has_changed()
    told.append((False, False))
    assert not watch.has_changed(), "its first word is no change"
    told.append((False, True))
    assert watch.has_changed(), "a card is gone"


def test_an_error_of_a_card_in_the_kernels_log_alone_asks_for_a_look(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_text("NVRM: Xid (PCI:0000:01:00): 31, of yesterday\n")
    errors = CardErrors(KernelTail(device=str(tmp_path / "none"), log_files=(str(log),)))
    watch = FaultWatch(RootedMachine(str(tmp_path)), subject="a root", signal=errors.count)
    assert not watch.has_changed()
    with log.open("a") as more:
        more.write("usb 1-1: new high-speed USB device\n")
        more.flush()
        assert not watch.has_changed(), "what else the kernel says is nothing to the doctor"
        more.write("NVRM: Xid (PCI:0000:01:00): 79, pid=1234, GPU has fallen off the bus.\n")
    assert watch.has_changed()
    assert not watch.has_changed()


def test_the_first_look_is_at_the_start(tmp_path: Path) -> None:
    import threading

    looked = threading.Event()

    def look(machine: RootedMachine, *, subject: str) -> Examination:
        looked.set()
        return examine(machine, subject=subject)

    watch = FaultWatch(RootedMachine(str(tmp_path)), subject="a root", look=look)
    watch.start()
    try:
        assert looked.wait(30)
    finally:
        watch.close()


def test_the_view_tells_the_doctor_of_its_cards() -> None:
    view = open_view(str(CASES / "driver-library-mismatch/morning"), interval_s=1.0)
    assert not view.faults.has_changed()
    first = view.sampler.look()
    view.sampler._publish(first, None)
    assert not view.faults.has_changed(), "the first sample is no change"
    view.sampler._publish(replace(first, cards=Absent("NVML")), None)
    assert view.faults.has_changed(), "the driver is gone"
