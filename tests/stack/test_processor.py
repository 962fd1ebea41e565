"""The processor as engines see it, from raw lines and from this very machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.machine.live import LiveMachine
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Absent, Known, Unreadable
from bringup.stack.pci import find_vendor, parse_region_sizes
from bringup.stack.processor import count_nodes, parse_instructions, parse_name, probe_processor
from bringup.stack.toolkit_files import probe_toolkits
from bringup.stack.userspace import probe_userspace

X86 = (
    "processor\t: 0\nmodel name\t: AMD Ryzen 7 5800X 8-Core Processor\n"
    "flags\t\t: fpu sse4_2 avx f16c fma avx2 sha\n"
)
ARM = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm asimddp i8mm\n"


def test_name_and_instructions() -> None:
    assert parse_name(X86) == "AMD Ryzen 7 5800X 8-Core Processor"
    assert parse_name(ARM) == ""
    assert parse_instructions(X86) == ("sse4_2", "avx", "f16c", "fma", "avx2")
    assert parse_instructions(ARM) == ("asimd", "asimddp", "i8mm")
    with pytest.raises(ValueError, match="no line"):
        parse_instructions("processor : 0\n")


@pytest.mark.parametrize(
    ("names", "count"), [(("node0", "online", "possible"), 1), (("node0", "node1"), 2), (("online",), 1)]
)
def test_nodes(names: tuple[str, ...], count: int) -> None:
    assert count_nodes(names) == count


def test_this_machine_has_a_processor() -> None:
    seen = probe_processor(LiveMachine())
    assert isinstance(seen.logical_cpus, Known)
    assert seen.logical_cpus.value >= 1
    assert isinstance(seen.instructions, Known)


def test_a_look_that_failed_is_no_processor_without_instructions(tmp_path: Path) -> None:
    (tmp_path / "root/sys").mkdir(parents=True)
    seen = probe_processor(RecordedMachine(str(tmp_path)))
    assert isinstance(seen.name, Unreadable)
    assert isinstance(seen.instructions, Unreadable)
    (tmp_path / "root/proc").mkdir()
    (tmp_path / "root/proc/cpuinfo").write_text(ARM)
    seen = probe_processor(RecordedMachine(str(tmp_path)))
    assert isinstance(seen.name, Absent)
    assert seen.instructions == Known(("asimd", "asimddp", "i8mm"), "/proc/cpuinfo")


def test_memory_windows_and_makers() -> None:
    lines = (
        "0x00000000a3000000 0x00000000a3ffffff 0x0000000000040200\n"
        "0x0000004000000000 0x00000043ffffffff 0x000000000014220c\n"
        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
        "0x0000000000004000 0x000000000000407f 0x0000000000040101\n"
    )
    assert parse_region_sizes(lines) == (16 * 1024**2, 16 * 1024**3, 0, 0)
    assert find_vendor("1002  AMD\n10de  NVIDIA Corporation\n\t2208  GA102\n", 0x10DE) == "NVIDIA Corporation"
    assert find_vendor("1002  AMD\n", 0x10DE) == ""


def test_what_a_toolkit_brings_and_what_wants_a_restart(tmp_path: Path) -> None:
    lib = tmp_path / "root/usr/local/cuda-12.8/lib64"
    (lib / "stubs").mkdir(parents=True)
    for name in ("libcudart.so.12", "libcudart.so.12.8.90", "libcublas.so.12", "libother.so.1"):
        (lib / name).write_text("")
    (tmp_path / "root/run").mkdir()
    (tmp_path / "root/run/reboot-required.pkgs").write_text(
        "linux-image-6.8.0-63-generic\nlinux-base\nlinux-base\n"
    )
    machine = RecordedMachine(str(tmp_path))
    toolkits = probe_toolkits(machine)
    assert isinstance(toolkits, Known)
    (toolkit,) = toolkits.value
    assert isinstance(toolkit.runtime_libraries, Known)
    assert toolkit.runtime_libraries.value == ("libcublas.so.12", "libcudart.so.12")
    assert isinstance(toolkit.has_stubs, Known)
    assert toolkit.has_stubs.value
    wanted = probe_userspace(machine).restart_wanted_by
    assert wanted == Known(("linux-image-6.8.0-63-generic", "linux-base"), "/run/reboot-required.pkgs")
