"""A mounted disk is seen as its own machine would see it, and no link in it leads out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.machine.protocol import FileKind
from bringup.machine.rooted import RootedMachine, resolve_inside
from bringup.reading import Absent, Known, Unreadable


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk beside a file that must not be seen."""
    (tmp_path / "outside").write_text("ours")
    root = tmp_path / "disk"
    for folder in ("etc", "usr/lib", "proc", "sys", "run", "dev"):
        (root / folder).mkdir(parents=True)
    (root / "etc/os-release").write_text("theirs")
    (root / "usr/lib/file").write_text("in usr")
    (root / "lib").symlink_to("/usr/lib")
    (root / "etc/relative").symlink_to("../usr/lib/file")
    (root / "etc/out").symlink_to(str(tmp_path / "outside"))
    (root / "etc/up").symlink_to("../../../../../../../../../../../outside")
    (root / "etc/circle").symlink_to("circle")
    return root


def test_links_are_followed_inside_the_root(disk: Path) -> None:
    machine = RootedMachine(str(disk))
    assert machine.read_text("/etc/os-release") == Known("theirs", "/etc/os-release")
    assert machine.read_text("/lib/file") == Known("in usr", "/lib/file")
    assert machine.read_text("/etc/relative") == Known("in usr", "/etc/relative")
    assert machine.read_text("/etc/../../../etc/os-release") == Known(
        "theirs", "/etc/../../../etc/os-release"
    )
    assert machine.list_folder("/lib") == Known(("file",), "/lib")


def test_no_link_leads_out(disk: Path) -> None:
    machine = RootedMachine(str(disk))
    for path in ("/etc/out", "/etc/up", "/../outside"):
        assert machine.read(path) == Absent(path)
    circle = machine.read("/etc/circle")
    assert isinstance(circle, Unreadable)
    stat = machine.stat("/etc/out")
    assert isinstance(stat, Known)
    assert stat.value.kind is FileKind.LINK


def test_what_only_a_running_kernel_makes_is_not_absent(disk: Path) -> None:
    machine = RootedMachine(str(disk))
    for path in ("/proc/meminfo", "/proc/1/status", "/sys/module/nvidia/version", "/dev/nvidia0"):
        assert machine.read(path) == Unreadable(path, "not a live machine")
        assert machine.stat(path) == Unreadable(path, "not a live machine")
    assert isinstance(machine.list_folder("/proc"), Unreadable)
    assert machine.read("/etc/missing") == Absent("/etc/missing")
    assert machine.read("/srv/missing") == Absent("/srv/missing")


def test_a_tree_that_holds_kernel_files_is_believed(disk: Path) -> None:
    (disk / "proc/meminfo").write_text("MemTotal: 1 kB\n")
    machine = RootedMachine(str(disk))
    assert isinstance(machine.read("/proc/meminfo"), Known)
    assert machine.read("/proc/loadavg") == Absent("/proc/loadavg")


def test_nothing_runs_and_nothing_of_ours_answers(disk: Path) -> None:
    machine = RootedMachine(str(disk))
    assert machine.run(("true",), timeout_s=1) == Unreadable("true", "not a live machine")
    assert isinstance(machine.environment("PATH"), Unreadable)
    assert isinstance(machine.now_s(), Unreadable)
    assert isinstance(machine.disk_space("/home/not/there"), Known)


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["..", ".", "", "etc", "lib", "up", "out", "circle", "usr", "file"]), max_size=8)
)
def test_every_path_stays_below_the_root(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    root = tmp_path_factory.getbasetemp() / "always-the-same-disk"
    if not root.exists():
        (root / "etc").mkdir(parents=True)
        (root / "usr/lib").mkdir(parents=True)
        (root / "etc/up").symlink_to("../../..")
        (root / "etc/out").symlink_to("/../../usr")
        (root / "lib").symlink_to("/etc/up/usr/lib")
        (root / "usr/lib/circle").symlink_to("/usr/lib/circle")
    try:
        place = resolve_inside(str(root), "/" + "/".join(parts))
    except OSError:
        return
    assert Path(place).resolve().is_relative_to(root.resolve())
