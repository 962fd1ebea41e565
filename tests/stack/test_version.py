"""Driver versions and kernel releases are ordered by their numbers, never as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.stack.version import (
    DriverVersion,
    KernelRelease,
    find_driver_version,
    parse_driver_version,
)

PARTS = st.lists(st.integers(0, 99), min_size=1, max_size=2)


def driver(text: str) -> DriverVersion:
    return parse_driver_version(text)


def test_driver_versions_are_ordered() -> None:
    texts = ["390.25", "570.169", "570.172.08", "570.172.10", "580.65.06", "1000.1"]
    assert [v.text for v in sorted(map(driver, reversed(texts)))] == texts
    assert driver("570.124.04") != driver("570.124.06")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("570.172.08-0ubuntu0.24.04.1", "570.172.08"),
        ("3:570.172.08-1.fc41", "570.172.08"),
        ("libnvidia-ml.so.570.169", "570.169"),
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  520.56.06  Thu Oct  6 21:38:55 UTC 2022",
            "520.56.06",
        ),
        ("nvidia-open/595.84: added", "595.84"),
    ],
)
def test_a_driver_version_is_found_in_what_surrounds_it(text: str, expected: str) -> None:
    assert driver(text).text == expected


@pytest.mark.parametrize("text", ["", "nvidia", "5", "libcuda.so.1", "1.2.3.4.5.6"])
def test_what_is_no_driver_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no driver version"):
        parse_driver_version(text)
    assert find_driver_version(text) is None


def test_two_numbers_fit_the_three_that_begin_with_them() -> None:
    assert driver("570.172").fits(driver("570.172.08"))
    assert driver("570.172.08").fits(driver("570.172"))
    assert not driver("570.169").fits(driver("570.172.08"))
    assert not driver("570.124.04").fits(driver("570.124.06"))


@given(PARTS, PARTS)
def test_order_is_that_of_the_numbers(left: list[int], right: list[int]) -> None:
    versions = [DriverVersion((570, *parts), "570") for parts in (left, right)]
    assert (versions[0] < versions[1]) == ((570, *left) < (570, *right))


def test_kernels_are_ordered_as_boot_loaders_do() -> None:
    texts = [
        "5.15.0-9-generic",
        "5.15.0-60-generic",
        "6.8.0-60-generic",
        "6.9.0-rc1",
        "6.9.0",
        "6.11.0-19-generic",
    ]
    assert [k.text for k in sorted(map(KernelRelease, reversed(texts)))] == texts
