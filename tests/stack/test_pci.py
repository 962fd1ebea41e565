"""PCI devices from lspci's text and from sysfs's files."""

from __future__ import annotations

import pytest

from bringup.reading import Absent, Known
from bringup.stack.gpu_generations import Generation
from bringup.stack.pci import (
    PcieLink,
    find_name,
    parse_lspci,
    parse_resources,
    parse_speed,
    recognise_pci,
)
from bringup.stack.raw_text import split_lines

LISTING = """
00:02.0 VGA compatible controller [0300]: Intel Corporation AlderLake-S GT1 [8086:4680] (rev 0c)
	Kernel driver in use: i915
01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA102 [GeForce RTX 3080 Ti] [10de:2208] (rev a1)
	LnkCap:	Port #0, Speed 16GT/s, Width x16, ASPM L1
	LnkSta:	Speed 2.5GT/s (downgraded), Width x8 (downgraded)
	Kernel driver in use: nouveau
	Kernel modules: nvidiafb, nouveau
01:00.1 Audio device [0403]: NVIDIA Corporation GA102 High Definition Audio [10de:1aef] (rev a1)
	Kernel driver in use: snd_hda_intel
02:00.0 3D controller: NVIDIA Corporation Device 1db6 (rev ff)
	Kernel modules: nouveau
00:04.0 0302: 10de:20b0 (rev a1)
"""


def test_lspci_is_read_device_by_device() -> None:
    intel, first, dead, numeric = parse_lspci(split_lines(LISTING, source="test"))
    assert not intel.is_nvidia
    assert (first.device_id, first.generation) == (0x2208, Generation.AMPERE)
    assert isinstance(first.driver, Known)
    assert first.driver.value == "nouveau"
    assert isinstance(first.link_now, Known)
    assert first.link_now.value == PcieLink(2.5, 8)
    assert isinstance(first.link_most, Known)
    assert first.link_most.value == PcieLink(16.0, 16)
    assert (dead.device_id, dead.generation) == (0x1DB6, Generation.VOLTA)
    assert isinstance(dead.answers, Known)
    assert not dead.answers.value
    assert isinstance(dead.driver, Absent)
    assert (numeric.is_nvidia, numeric.device_id) == (True, 0x20B0)


def test_a_search_that_found_nothing_is_an_empty_bus() -> None:
    found = recognise_pci(split_lines("$ lspci | grep -i nvidia\n$ \n", source="test"))
    assert isinstance(found, Known)
    assert found.value == ()
    other = recognise_pci(split_lines("$ lspci | grep -i nvidia\nand then other text\n", source="test"))
    assert not isinstance(other, Known)


def test_sysfs_files() -> None:
    text = (
        "0x00000000a0000000 0x00000000a0ffffff 0x0000000000040200\n"
        "0x0000000000000000 0x00000003ffffffff 0x000000002014220c\n"
        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    )
    assert parse_resources(text) == (1,)
    assert parse_speed("16.0 GT/s PCIe\n") == 16.0
    with pytest.raises(ValueError, match="float"):
        parse_speed("\n")


def test_names_come_from_the_right_vendor() -> None:
    ids = (
        "# list\n10dd  Other\n\t2208  wrong\n10de  NVIDIA Corporation\n\t2208  GA102\n\t\t1043 88  sub\n"
        "10df  Emulex\n\t2209  no\n"
    )
    assert find_name(ids, 0x10DE, 0x2208) == "GA102"
    assert find_name(ids, 0x10DE, 0x2209) == ""
