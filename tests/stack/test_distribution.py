"""The distribution that a paste shows."""

from __future__ import annotations

import pytest

from bringup.reading import NOT_LOOKED, Known
from bringup.stack.distribution import recognise_distribution
from bringup.stack.raw_text import split_lines


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Operating System: Ubuntu 22.04.3 LTS", "ubuntu"),
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"', "debian"),
        ("Description:\tLinux Mint 21.3", "linuxmint"),
        ("OS: Pop!_OS 22.04 LTS x86_64", "pop"),
        ("6.11.4-301.fc41.x86_64", "fedora"),
        ("5.14.0-503.22.1.el9_5.x86_64", "rhel"),
        ("Linux box 6.12.1-arch1-1 #1 SMP", "arch"),
        ("==> dkms install --no-depmod nvidia/575.64 -k 6.15.3-1-cachyos", "arch"),
        ("Setting up nvidia-dkms-550 (550.107.02-0ubuntu0.24.04.1) ...", "ubuntu"),
        ("linux-image-6.1.0-18-amd64 6.1.76-1~deb12u1", "debian"),
        ("Linux pve 6.8.12-4-pve #1", "debian"),
        ("nvidia-video-G06-550.54.14", "opensuse"),
        ("/nix/store/abc-nvidia-x11-570.86.15/lib/libcuda.so.1", "nixos"),
        ("Kernel: 6.8.0-45-generic\ngcc (Debian 12.2.0-14+deb12u1) 12.2.0", "ubuntu"),
    ],
)
def test_a_distribution_shows_by_its_own_marks(text: str, name: str) -> None:
    found = recognise_distribution(split_lines(text, source="test"))
    assert isinstance(found, Known)
    assert found.value.id == name


@pytest.mark.parametrize(
    "text",
    [
        "docker run --gpus all nvidia/cuda:12.4.1-base-ubuntu22.04 nvidia-smi",
        "I tried Ubuntu and Fedora before",
        "6.8.0-45-generic\n6.11.4-301.fc41.x86_64",
        "NVRM: API mismatch: the client has the version 570.86.15",
        "",
    ],
)
def test_an_image_or_a_mixture_names_no_distribution(text: str) -> None:
    assert recognise_distribution(split_lines(text, source="test")) is NOT_LOOKED
