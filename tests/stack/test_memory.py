"""Main memory by floors, pressure and limits, on folders that stand for machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.machine.recorded import RecordedMachine
from bringup.reading import Absent, Known, Unreadable
from bringup.stack.memory import (
    Pressure,
    parse_limit,
    parse_meminfo,
    parse_oom_kills,
    parse_pressure,
    probe_memory,
    recognise,
)
from bringup.stack.raw_text import split_lines

MEMINFO = """\
MemTotal:       32801912 kB
MemFree:         1801912 kB
MemAvailable:   20801912 kB
Buffers:          100000 kB
Cached:         20000000 kB
Shmem:            500000 kB
AnonPages:       8000000 kB
SReclaimable:     300000 kB
SUnreclaim:       200000 kB
KernelStack:       20000 kB
PageTables:        80000 kB
Percpu:            10000 kB
VmallocUsed:      120000 kB
Mlocked:           32000 kB
Hugetlb:          204800 kB
SwapTotal:       8388604 kB
SwapFree:        8000000 kB
CommitLimit:    24000000 kB
Committed_AS:   12000000 kB
"""
LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max address space         unlimited            unlimited            bytes
Max locked memory         8388608              8388608              bytes
"""
KIB = 1024


def make_machine(tmp_path: Path, files: dict[str, str]) -> RecordedMachine:
    for path, text in files.items():
        target = tmp_path / "root" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return RecordedMachine(str(tmp_path))


def test_the_floors_add_up_to_the_house() -> None:
    floors = parse_meminfo(MEMINFO)
    assert floors.kernel_bytes == (200_000 + 20_000 + 80_000 + 10_000 + 100_000) * KIB
    assert floors.cache_bytes == (20_000_000 - 500_000 + 100_000 + 300_000) * KIB
    assert floors.programs_bytes == 8_000_000 * KIB
    assert floors.shared_bytes == 500_000 * KIB
    counted = floors.free_bytes + floors.kernel_bytes + floors.programs_bytes + floors.cache_bytes
    counted += floors.shared_bytes + floors.huge_bytes + floors.other_bytes
    assert counted == floors.total_bytes


def test_a_machine_without_pressure_accounting_says_so(tmp_path: Path) -> None:
    machine = make_machine(
        tmp_path,
        {
            "/proc/meminfo": MEMINFO,
            "/proc/self/limits": LIMITS,
            "/proc/vmstat": "nr_free_pages 1\noom_kill 3\n",
            "/proc/sys/vm/overcommit_memory": "2\n",
        },
    )
    memory = probe_memory(machine)
    assert isinstance(memory.floors, Known)
    assert memory.oom_kills == Known(3, "/proc/vmstat")
    assert memory.overcommit == Known(2, "/proc/sys/vm/overcommit_memory")
    assert memory.locked_limit_bytes == Known(8388608, "/proc/self/limits")
    assert memory.address_space_limit_bytes == Absent("/proc/self/limits")
    assert not isinstance(memory.pressure, Known)


def test_a_look_that_failed_is_no_absence(tmp_path: Path) -> None:
    memory = probe_memory(make_machine(tmp_path, {"/etc/hostname": "box\n"}))
    assert isinstance(memory.floors, Unreadable)
    assert isinstance(memory.locked_limit_bytes, Unreadable)


def test_a_pasted_meminfo_gives_the_same_floors() -> None:
    pasted = recognise(split_lines("$ cat /proc/meminfo\n" + MEMINFO, source="test"))
    assert isinstance(pasted.floors, Known)
    assert pasted.floors.value == parse_meminfo(MEMINFO)


def test_ulimit_is_recognised() -> None:
    pasted = recognise(split_lines("max locked memory           (kbytes, -l) 64", source="test"))
    assert pasted.locked_limit_bytes == Known(64 * KIB, "pasted ulimit")


def test_pressure() -> None:
    text = "some avg10=12.50 avg60=1.00 avg300=0.00 total=5\nfull avg10=3.25 avg60=0.10 avg300=0.00 total=2\n"
    assert parse_pressure(text) == Pressure(12.5, 3.25)


def test_unlimited_is_told_from_unreadable() -> None:
    assert parse_limit(LIMITS, "Max address space") is None
    with pytest.raises(ValueError, match="Max open files"):
        parse_limit(LIMITS, "Max open files")


@pytest.mark.parametrize("parse", [parse_meminfo, parse_pressure, parse_oom_kills])
def test_other_text_is_refused(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match="no "):
        parse("hello")
