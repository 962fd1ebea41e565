"""A distribution that only somebody's words name is known, and an image's name is no system's."""

from __future__ import annotations

import pytest

from bringup.reading import Known
from bringup.stack.distribution import recognise_distribution
from bringup.stack.raw_text import split_lines


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I am on Fedora 43 and nvidia-smi fails", "fedora"),
        ("the same here, am on ArchLinux", "arch"),
        ("openSUSE Tumbleweed after zypper dup", "opensuse"),
        ("Linux Mint 22 is based on Ubuntu", "linuxmint"),
        ("despite akmod-nvidia the module is missing", "fedora"),
        ("docker run nvidia/cuda:12.4.1-ubuntu22.04 fails", ""),
        ("an Ubuntu container on an Arch Linux host", ""),
        ("FROM ubuntu:22.04", ""),
    ],
)
def test_a_name_in_a_sentence(text: str, name: str) -> None:
    reading = recognise_distribution(split_lines(text, source="test"))
    assert (reading.value.id if isinstance(reading, Known) else "") == name
