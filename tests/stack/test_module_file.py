"""Kernel module files: real ELF objects, packed in every way, cut, damaged and hostile."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases._make.module_file import module_file, packed

from bringup.stack.module_file import UNPACKED_LIMIT_BYTES, find_modinfo, parse_module, unpack

PLAIN = module_file(name="nvidia", version="570.169", licence="Dual MIT/GPL", kernel="6.8.0-60-generic")


@pytest.mark.parametrize("suffix", [".ko", ".ko.gz", ".ko.xz", ".ko.zst"])
def test_a_module_is_read_however_it_is_packed(suffix: str) -> None:
    info = parse_module(packed(PLAIN, suffix))
    assert info.version is not None
    assert (info.version.text, info.licence, info.kernel_release) == (
        "570.169",
        "Dual MIT/GPL",
        "6.8.0-60-generic",
    )
    assert info.is_open
    assert not info.is_signed


def test_flavour_signature_and_byte_order_are_seen() -> None:
    data = module_file(
        name="nvidia", version="570.169", licence="NVIDIA", kernel="6.8.0", is_signed=True, order=">"
    )
    info = parse_module(data)
    assert not info.is_open
    assert info.is_signed


@pytest.mark.parametrize("cut", [0, 3, 40, 63, 64, 100, len(PLAIN) - 1])
def test_a_cut_module_is_refused(cut: int) -> None:
    with pytest.raises(ValueError):
        parse_module(PLAIN[:cut])


@pytest.mark.parametrize("suffix", [".ko.gz", ".ko.xz", ".ko.zst"])
def test_a_cut_package_is_refused(suffix: str) -> None:
    data = packed(PLAIN, suffix)
    with pytest.raises(ValueError):
        parse_module(data[: len(data) // 2])


@pytest.mark.parametrize("suffix", [".ko.gz", ".ko.xz", ".ko.zst"])
def test_a_bomb_is_refused_at_the_limit(suffix: str) -> None:
    bomb = packed(b"\x7fELF" + bytes(UNPACKED_LIMIT_BYTES), suffix)
    with pytest.raises(ValueError, match="64 MiB"):
        unpack(bomb)


@given(st.binary(max_size=300))
def test_random_bytes_never_break_the_reader(data: bytes) -> None:
    for head in (b"", b"\x7fELF\x02\x01\x01", b"\xfd7zXZ\x00", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"):
        with pytest.raises(ValueError):
            parse_module(head + data)


@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 255))
def test_one_changed_byte_never_breaks_the_reader(at: int, value: int) -> None:
    data = bytearray(PLAIN)
    data[at] = value
    with contextlib.suppress(ValueError):
        parse_module(bytes(data))


def test_a_table_that_points_outside_is_refused() -> None:
    data = bytearray(PLAIN)
    struct.pack_into("<Q", data, 0x28, 2**62)
    with pytest.raises(ValueError, match="outside"):
        find_modinfo(bytes(data))
