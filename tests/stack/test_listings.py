"""Listings in a paste: `ls -l`, `id`, packages."""

from __future__ import annotations

import pytest

from bringup.reading import NOT_LOOKED, Known
from bringup.stack.listings import listed_devices, listed_identity, listed_kernels, listed_libraries
from bringup.stack.pasted import read_pasted
from bringup.stack.raw_text import split_lines
from bringup.stack.userspace_packages import recognise_library_version

NODE = "crw-rw---- 1 root video 195,   0 Feb 15 19:37 /dev/nvidia0\n"


@pytest.mark.parametrize(
    ("identity", "may"),
    [
        ("uid=1000(ann) gid=1000(ann) groups=1000(ann),44(video)", True),
        ("uid=1000(ann) gid=1000(ann) groups=1000(ann),44(videos)", False),
        ("uid=0(root) gid=0(root) groups=0(root)", True),
        ("uid=1000(ann) gid=1000(ann) Gruppen=1000(ann),27(sudo)", False),
    ],
)
def test_a_mode_is_held_against_the_groups_of_a_user(identity: str, *, may: bool) -> None:
    lines = split_lines(NODE + identity, source="test")
    (device,) = listed_devices(lines)
    assert (device.name, device.owner, device.group) == ("nvidia0", "root", "video")
    assert device.may_use(listed_identity(lines)) is may


def test_capability_files_are_no_device_files() -> None:
    row = "cr-------- 1 root root 237, 1 Feb 15 19:37 /dev/nvidia-caps/nvidia-cap1"
    assert listed_devices(split_lines(row, source="test")) == ()


def test_links_are_no_files_of_a_driver() -> None:
    text = (
        "lrwxrwxrwx 1 root root 26 Jul 29 07:59 libcuda.so.1 -> libcuda.so.525.105.17\n"
        "-rw-r--r-- 1 root root 28M Jul 25 08:32 /usr/lib/libcuda.so.525.105.17\n"
        "-rw-r--r-- 1 root root 28M Jul 25 08:32 /usr/lib32/libcuda.so.525.105.17\n"
    )
    assert [str(version) for version, _ in listed_libraries(split_lines(text, source="test"))] == [
        "525.105.17"
    ]


def test_kernels_and_headers_of_a_list() -> None:
    text = "kernel-core-6.11.4-301.fc41.x86_64\nkernel-devel-6.10.2-200.fc41.x86_64\nkernel-headers-6.11.3\n"
    kernels, headers, line = listed_kernels(split_lines(text, source="test"))
    assert (kernels, headers) == (("6.11.4-301.fc41",), ("6.10.2-200.fc41",))
    assert line is not None
    assert line.number == 2


@pytest.mark.parametrize(
    ("row", "version"),
    [
        (
            "ii  libnvidia-compute-550:amd64  550.107.02-0ubuntu0.24.04.1  amd64  NVIDIA libcompute",
            "550.107.02",
        ),
        ("nvidia-driver-cuda-libs-570.144-1.fc42.x86_64", "570.144"),
        ("nvidia-utils 575.57.08-1", "575.57.08"),
    ],
)
def test_a_package_tells_the_version_of_the_libraries(row: str, version: str) -> None:
    found = recognise_library_version(split_lines(row, source="test"))
    assert isinstance(found, Known)
    assert str(found.value) == version


@pytest.mark.parametrize(
    "rows",
    [
        "ii  nvidia-container-toolkit  1.13.5-1  amd64  NVIDIA Container toolkit",
        "rc  nvidia-utils-535  535.183.01-0ubuntu0.22.04.1  amd64  NVIDIA driver support binaries",
        "nvidia-utils 575.57.08-1\nnvidia-utils 570.144-1",
    ],
)
def test_other_packages_and_several_versions_tell_nothing(rows: str) -> None:
    assert recognise_library_version(split_lines(rows, source="test")) == NOT_LOOKED


def test_what_nvidia_smi_says_of_its_library_comes_first() -> None:
    text = "NVML library version: 570.172\nnvidia-utils 575.57.08-1\n"
    versions = read_pasted(text)[0].userspace.driver_library_versions
    assert isinstance(versions, Known)
    assert [str(one.version) for one in versions.value] == ["570.172"]
