"""Processors and memory of recorded and made hosts, and the parsers beneath."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.errors import CannotTell
from bringup.machine.live import LiveMachine
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.stack.cgroup import (
    parse_cpu_max,
    parse_limit_bytes,
    parse_mounts,
    parse_own_groups,
    parse_statistic,
)
from bringup.stack.host import (
    Host,
    parse_allowed_cpus,
    parse_cpu_list,
    parse_cpuinfo_cores,
    parse_load,
    parse_meminfo,
    probe_host,
)
from bringup.units import GIB, MIB

HOSTS = Path(__file__).parent / "hosts"


def host(name: str) -> Host:
    return probe_host(RecordedMachine(str(HOSTS / name)))


def value(reading: Reading[object]) -> object:
    return reading.value if isinstance(reading, Known) else type(reading).__name__.lower()


@pytest.mark.parametrize(
    ("name", "physical", "logical", "allowed", "quota", "limit", "free_gib"),
    [
        ("recorded-two-cores-v1", 2, 2, 2, "absent", "absent", 22.23),
        ("desktop-smt", 8, 16, 16, "absent", "absent", 48.25),
        ("desktop-sibling-offline", 4, 5, 5, "absent", "absent", 8),
        ("container-v2-own-namespace", 4, 4, 4, 1.5, 8 * GIB, 6),
        ("container-v1-host-path", 4, 8, 8, 2.0, 4 * GIB, 3.5),
        ("nested-v2-limit-above", 2, 2, 2, 0.5, 4 * GIB, 0.5),
        ("virtual-machine-cpuinfo-only", 2, 4, 4, "absent", "absent", 3),
        ("arm-no-core-ids", "unreadable", 4, 4, "absent", "absent", 6),
    ],
)
def test_hosts(
    name: str,
    physical: object,
    logical: int,
    allowed: int,
    quota: object,
    limit: object,
    free_gib: float,
) -> None:
    found = host(name)
    assert value(found.physical_cores) == physical
    assert value(found.logical_cpus) == logical
    assert value(found.affinity_cpus) == allowed
    assert value(found.cgroup_quota_cpus) == quota
    assert value(found.cgroup_memory_limit_bytes) == limit
    assert found.free_for_us_bytes == pytest.approx(free_gib * GIB, rel=0.01)


def test_a_limit_that_cannot_be_read_is_not_no_limit() -> None:
    found = host("group-limit-unreadable")
    assert isinstance(found.cgroup_memory_limit_bytes, Unreadable)
    with pytest.raises(CannotTell, match=r"could not look at .*memory\.max"):
        _ = found.free_for_us_bytes


def test_a_host_that_shows_nothing_is_unreadable_throughout(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    found = probe_host(RecordedMachine(str(tmp_path)))
    assert all(isinstance(getattr(found, name), Unreadable) for name in Host.__slots__)
    with pytest.raises(CannotTell):
        _ = found.free_for_us_bytes


def test_every_host_here_says_where_it_is_from() -> None:
    for folder in HOSTS.iterdir():
        about = tomllib.loads((folder / "case.toml").read_text())
        assert about["origin"] in ("recorded", "made"), folder.name
        assert about["about"]


def test_this_machine_is_known_throughout() -> None:
    found = probe_host(LiveMachine())
    for name in (
        "logical_cpus",
        "affinity_cpus",
        "load_1min",
        "memory_total_bytes",
        "memory_available_bytes",
    ):
        assert isinstance(getattr(found, name), Known), name
    assert 64 * MIB < found.free_for_us_bytes <= value(found.memory_total_bytes)  # type: ignore[operator]


def test_figures_keep_their_source() -> None:
    found = host("desktop-smt")
    assert found.memory_available_bytes.source == "/proc/meminfo: MemAvailable"
    assert found.swap_total_bytes == Known(8 * GIB, "/proc/meminfo: SwapTotal")
    assert host("container-v2-own-namespace").cgroup_quota_cpus.source == "/sys/fs/cgroup/cpu.max"


# Parsers.


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0-3,8,10-11\n", {0, 1, 2, 3, 8, 10, 11}), ("0\n", {0}), ("\n", set())],
)
def test_processor_lists(text: str, cpus: set[int]) -> None:
    assert parse_cpu_list(text) == cpus


@pytest.mark.parametrize("text", ["x", "3-1", "0-99999999999", "-1", "1,,2", "0-"])
def test_what_is_no_processor_list(text: str) -> None:
    with pytest.raises(ValueError):
        parse_cpu_list(text)


def test_meminfo() -> None:
    assert parse_meminfo("MemTotal:   8 kB\nHugePages_Total:    3\nbroken\nX: y kB\n") == {"MemTotal": 8192}


def test_load_and_allowed_processors() -> None:
    assert parse_load("0.73 0.61 0.35 2/311 9021\n") == 0.73
    assert parse_allowed_cpus("Cpus_allowed:\tf\nCpus_allowed_list:\t0-1,4\n") == 3
    for parse, text in ((parse_load, ""), (parse_allowed_cpus, "Name:\tx\n"), (parse_cpuinfo_cores, "")):
        with pytest.raises(ValueError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max\n", None), ("8589934592\n", 8 * GIB), ("9223372036854771712\n", None), ("0", 0)],
)
def test_memory_limits(text: str, limit: int | None) -> None:
    assert parse_limit_bytes(text) == limit


@pytest.mark.parametrize(
    ("text", "cpus"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("50000\n", 0.5), ("max", None)]
)
def test_quotas(text: str, cpus: float | None) -> None:
    assert parse_cpu_max(text) == cpus


@pytest.mark.parametrize("text", ["", "x y", "100 0", "-5 100"])
def test_what_is_no_quota(text: str) -> None:
    with pytest.raises(ValueError):
        parse_cpu_max(text)


def test_mounts_and_groups() -> None:
    line = r"35 31 0:32 /a\040b /sys/fs/my\040group rw shared:3 master:1 - cgroup cgroup rw,memory"
    (mount,) = parse_mounts(f"{line}\n27 1 254:0 / / rw - ext4 /dev/vda rw\ngarbage\n")
    assert (mount.folder, mount.root) == ("/sys/fs/my group", "/a b")
    assert "memory" in mount.controllers
    own = parse_own_groups("4:cpu,cpuacct:/a:b\n0::/user.slice\n\n")
    assert own == {"cpu": "/a:b", "cpuacct": "/a:b", "": "/user.slice"}
    assert parse_statistic("inactive_file 8192\ntotal_inactive_file 9\n", "inactive_file") == 8192
    assert parse_statistic("anon 1\n", "inactive_file") == 0


@given(st.text(max_size=200))
def test_parsers_know_or_refuse_whatever_they_read(text: str) -> None:
    for parse in (
        parse_load,
        parse_cpu_list,
        parse_allowed_cpus,
        parse_cpuinfo_cores,
        parse_cpu_max,
        parse_limit_bytes,
    ):
        try:
            parse(text)
        except ValueError:
            continue
    parse_meminfo(text)
    parse_mounts(text)
    parse_own_groups(text)


def test_a_group_path_that_climbs_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path, text in (
        ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        ("proc/self/cgroup", "0::/../../../secret\n"),
        ("sys/fs/cgroup/memory.max", "max\n"),
        ("proc/meminfo", "MemAvailable: 1024 kB\n"),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    found = probe_host(RecordedMachine(str(tmp_path)))
    assert found.cgroup_memory_limit_bytes == Absent("/proc/self/cgroup")
    assert found.free_for_us_bytes == MIB
