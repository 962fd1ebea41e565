"""The loader's choice, the driver's libraries and packages: on a real cache, on trees, on raw lines."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.machine.live import LiveMachine
from bringup.machine.rooted import RootedMachine
from bringup.reading import Absent, Known, Unreadable
from bringup.stack.links import follow_link, join_link
from bringup.stack.loader import CacheEntry, find_library, parse_cache, parse_configuration, probe_loader
from bringup.stack.raw_text import split_lines
from bringup.stack.userspace import probe_userspace, recognise
from bringup.stack.userspace_libraries import Place, place_of
from bringup.stack.userspace_packages import (
    DriverPackage,
    PackageState,
    is_driver_package,
    parse_dpkg_status,
    parse_installer_log,
    parse_pacman_folders,
    parse_rpm_list,
)


def cache(*entries: tuple[int, str, str]) -> bytes:
    """A cache as ldconfig writes it: header, entries, strings."""
    strings = b""
    rows = b""
    start = 48 + 24 * len(entries)
    for flags, name, path in entries:
        at = start + len(strings)
        strings += name.encode() + b"\x00" + path.encode() + b"\x00"
        rows += struct.pack("<iIIIQ", flags, at, at + len(name) + 1, 0, 0)
    header = b"glibc-ld.so.cache1.1" + struct.pack("<II", len(entries), len(strings)) + bytes(20)
    return header + rows + strings


def tree(root: Path, *files: str, **links: str) -> RootedMachine:
    for file in files:
        place = root / file.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    return RootedMachine(str(root))


def test_our_own_cache_reads_as_ldconfig_prints_it() -> None:
    printed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    lines = [line.split(" => ") for line in printed.splitlines() if " => " in line and "x86-64" in line]
    expected = [CacheEntry(left.split(" (")[0].strip(), right) for left, right in lines]
    assert list(parse_cache(Path("/etc/ld.so.cache").read_bytes())) == expected


def test_the_loader_gives_what_it_gives_a_program() -> None:
    machine = LiveMachine()
    found = find_library(machine, probe_loader(machine), "libc.so.6")
    assert isinstance(found, Known)
    mapped = {
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc.so" in line
    }
    assert {Path(path).resolve() for path in mapped} == {Path(found.value).resolve()}


def test_32_bit_entries_are_not_for_us() -> None:
    data = cache((0x0303, "libcuda.so.1", "/a/libcuda.so.1"), (0x0003, "libcuda.so.1", "/b/libcuda.so.1"))
    assert parse_cache(data) == (CacheEntry("libcuda.so.1", "/a/libcuda.so.1"),)
    assert parse_cache(b"ld.so-1.7.0" + bytes(40) + cache((0x0303, "a", "/a"))) == (CacheEntry("a", "/a"),)


@given(st.binary(max_size=200))
def test_a_damaged_cache_is_refused_or_read(noise: bytes) -> None:
    for data in (noise, b"glibc-ld.so.cache1.1" + noise, cache((0x0303, "a", "/a"))[: len(noise)]):
        try:
            parse_cache(data)
        except ValueError:
            continue


def test_the_variable_wins_then_the_cache_then_standard_folders(tmp_path: Path) -> None:
    machine = tree(tmp_path, "/opt/one/libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(
        cache(
            (0x0303, "libcuda.so.1", "/gone/libcuda.so.1"), (0x0303, "libcuda.so.1", "/opt/one/libcuda.so.1")
        )
    )
    found = find_library(machine, probe_loader(machine), "libcuda.so.1")
    assert found == Known("/opt/one/libcuda.so.1", "/opt/one/libcuda.so.1")
    (tmp_path / "etc/ld.so.cache").unlink()
    found = find_library(machine, probe_loader(machine), "libcuda.so.1")
    assert isinstance(found, Known)
    assert found.value == "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
    assert isinstance(find_library(machine, probe_loader(machine), "libnone.so.1"), Absent)


def test_debians_alternatives_are_followed_to_the_driver(tmp_path: Path) -> None:
    machine = tree(tmp_path, "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.535.183.01")
    (tmp_path / "usr/lib/x86_64-linux-gnu/libcuda.so.1").symlink_to("/etc/alternatives/glx--libcuda.so.1")
    (tmp_path / "etc/alternatives").mkdir(parents=True)
    (tmp_path / "etc/alternatives/glx--libcuda.so.1").symlink_to(
        "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.1"
    )
    (tmp_path / "usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.1").symlink_to("libcuda.so.535.183.01")
    found = probe_userspace(machine)
    assert isinstance(found.cuda_library, Known)
    assert str(found.cuda_library.value.version) == "535.183.01"
    assert isinstance(found.driver_library_versions, Known)
    (library,) = found.driver_library_versions.value
    assert library.is_picked
    assert isinstance(found.nvml_library, Absent)


def test_a_mounted_disk_cannot_tell_a_variable_and_a_missing_root_tells_nothing(tmp_path: Path) -> None:
    assert isinstance(probe_userspace(RootedMachine(str(tmp_path))).visible_devices, Unreadable)
    assert isinstance(probe_userspace(RootedMachine(str(tmp_path))).switches, Unreadable)


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    machine = RootedMachine(str(tmp_path))
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert follow_link(machine, "/a") == Unreadable("/a", "links lead in a circle")


@pytest.mark.parametrize(
    ("path", "target", "place"),
    [
        ("/usr/local/bin/nvcc", "../cuda/bin/nvcc", "/usr/local/cuda/bin/nvcc"),
        ("/usr/lib/a", "/etc/b", "/etc/b"),
        ("/a", "../../x", "/x"),
        ("/usr/local/cuda", "./cuda-12.8/", "/usr/local/cuda-12.8"),
    ],
)
def test_a_link_leads_where_the_system_would_go(path: str, target: str, place: str) -> None:
    assert join_link(path, target) == place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.1", Place.DRIVER),
        ("/usr/local/cuda-12.9/compat/libcuda.so.1", Place.COMPATIBILITY),
        ("/usr/lib/x86_64-linux-gnu/cuda-compat-12-9/libcuda.so.1", Place.COMPATIBILITY),
        ("/usr/local/cuda/lib64/stubs/libcuda.so.1", Place.STUB),
        ("/usr/lib/wsl/lib/libcuda.so.1", Place.WSL),
    ],
)
def test_a_folder_says_what_its_library_is(path: str, place: Place) -> None:
    assert place_of(path) is place


def test_configuration_lines_lose_their_comments() -> None:
    text = "# cuda\n/usr/local/cuda/lib64  # here\n\ninclude /etc/ld.so.conf.d/*.conf\n"
    assert parse_configuration(text) == ("/usr/local/cuda/lib64", "include /etc/ld.so.conf.d/*.conf")


DPKG = """Package: libnvidia-compute-570
Status: install ok half-configured
Priority: optional
Version: 570.172.08-0ubuntu0.24.04.1
Description: NVIDIA libcompute package
 Status: not this one

Package: nvidia-cuda-toolkit
Status: install ok installed
Version: 12.0.140~12.0.1-4build4

Package: nvidia-utils-570
Status: hold ok installed
Version: 570.169-0ubuntu0.24.04.1

Package: libnvidia-ml1
Status: deinstall ok config-files
Version: 535.183.01-1~deb12u1
"""


def test_dpkgs_states_are_read() -> None:
    found = {package.name: package for package in parse_dpkg_status(DPKG)}
    assert set(found) == {"libnvidia-compute-570", "nvidia-utils-570", "libnvidia-ml1"}
    assert found["libnvidia-compute-570"].is_broken
    assert found["nvidia-utils-570"].is_held
    assert not found["nvidia-utils-570"].is_broken
    assert found["libnvidia-ml1"].state is PackageState.REMOVED
    assert str(found["libnvidia-compute-570"].driver_version) == "570.172.08"


def test_other_package_managers_are_read() -> None:
    assert parse_pacman_folders(("nvidia-utils-575.64.03-1", "zlib-1:1.3-1", "linux-6.9-1")) == (
        DriverPackage("nvidia-utils", "575.64.03-1"),
    )
    rows = "nvidia-driver\t570.172.08-1.fc41\nnvidia-container-toolkit\t1.17-1\nrpm: warning\n"
    assert parse_rpm_list(rows) == (DriverPackage("nvidia-driver", "570.172.08-1.fc41"),)
    assert str(parse_installer_log("nvidia-installer log file\ninstaller version: 570.169\n")) == "570.169"
    assert parse_installer_log("") is None


@pytest.mark.parametrize(
    ("name", "is_driver"),
    [
        ("nvidia-driver-570-open", True),
        ("libnvidia-compute-570", True),
        ("nvidia-dkms-570", True),
        ("libcuda1", True),
        ("cuda-compat-12-9", True),
        ("xserver-xorg-video-nvidia-570", True),
        ("kmod-nvidia-latest-dkms", True),
        ("nvidia-fabricmanager-570", True),
        ("nvidia-container-toolkit", False),
        ("libnvidia-container1", False),
        ("nvidia-cuda-toolkit", False),
        ("cuda-toolkit-12-8", False),
        ("libcudart12", False),
        ("vim", False),
    ],
)
def test_driver_packages_are_told_from_others(name: str, is_driver: bool) -> None:
    assert is_driver_package(name) is is_driver


@given(st.text(max_size=300))
def test_no_text_breaks_the_package_parsers(text: str) -> None:
    parse_dpkg_status(f"Package: nvidia-x\n{text}")
    parse_rpm_list(text)
    parse_pacman_folders(tuple(text.splitlines()))


def test_a_paste_tells_the_librarys_version() -> None:
    lines = split_lines("NVML library version: 570.172\n", source="test")
    found = recognise(lines).driver_library_versions
    assert isinstance(found, Known)
    assert str(found.value[0].version) == "570.172"
