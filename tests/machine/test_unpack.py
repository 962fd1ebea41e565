"""Unpacking in memory: whatever was packed comes out, and a cut, a lie or a bomb is an error with a name."""

from __future__ import annotations

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bringup.errors import Failure
from bringup.machine.unpack import unpack

LIMIT_BYTES = 2_000_000
PARTS = st.lists(
    st.one_of(
        st.binary(max_size=300),
        st.integers(0, 400_000).map(lambda count: b"ab" * count),
        st.integers(0, 9).map(lambda seed: bytes((seed * n * n) % 251 for n in range(70_000))),
    ),
    min_size=1,
    max_size=3,
)


@given(PARTS, st.sampled_from([0, 3, 700]))
def test_members_of_gzip_come_out_in_order(parts: list[bytes], padding: int) -> None:
    packed = b"".join(gzip.compress(part) + bytes(padding) for part in parts)
    assert unpack(packed, limit_bytes=LIMIT_BYTES * 2, name="x") == b"".join(parts)


@given(PARTS)
def test_frames_of_zstd_come_out_in_order(parts: list[bytes]) -> None:
    packed = b"".join(zstandard.ZstdCompressor().compress(part) for part in parts)
    assert unpack(packed, limit_bytes=LIMIT_BYTES * 2, name="x") == b"".join(parts)


@given(PARTS, st.integers(1, 7))
def test_a_cut_gzip_is_named(parts: list[bytes], missing: int) -> None:
    packed = gzip.compress(b"".join(parts))[:-missing]
    with pytest.raises(Failure, match="cannot be unpacked"):
        unpack(packed, limit_bytes=LIMIT_BYTES * 2, name="x")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress, bytes])
@pytest.mark.parametrize("more", [0, 1])
def test_the_limit_is_exact(pack: type[bytes], more: int) -> None:
    packed = pack(b"x" * (LIMIT_BYTES + more))
    if more:
        with pytest.raises(Failure, match="2,000,000"):
            unpack(packed, limit_bytes=LIMIT_BYTES, name="x")
    else:
        assert len(unpack(packed, limit_bytes=LIMIT_BYTES, name="x")) == LIMIT_BYTES
