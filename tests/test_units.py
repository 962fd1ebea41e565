"""How people type sizes and counts of tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.units import GIB, parse_size, parse_tokens, parse_whole


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("12G", 12 * GIB), ("12 GiB", 12 * GIB), ("900MB", 900_000_000), ("1.5k", 1536), ("4096", 4096)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


def test_a_bare_number_counts_what_it_is_told_to() -> None:
    assert parse_size("12", bare_bytes=GIB) == 12 * GIB
    assert (parse_size(".5", bare_bytes=GIB), parse_size("5.", bare_bytes=2)) == (GIB // 2, 10)
    assert (parse_size("12k", bare_bytes=GIB), parse_size("12B", bare_bytes=GIB)) == (12 * 1024, 12)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "\u00b2", "\u0663", " 1", "9" * 41, "9" * 5000])
def test_what_is_no_number_of_plain_digits(text: str) -> None:
    assert parse_whole(text) is None


def test_plain_digits() -> None:
    assert (parse_whole("0"), parse_whole("007"), parse_whole("9" * 40)) == (0, 7, int("9" * 40))


def test_tokens() -> None:
    assert (parse_tokens("8k"), parse_tokens("128K"), parse_tokens("8192")) == (8192, 131072, 8192)


@given(st.from_regex(r"[0-9.kKmMgGtTiIbB \u0663\u00b2-]{0,12}", fullmatch=True) | st.text(max_size=9))
def test_any_text_is_a_whole_number_or_a_value_error(text: str) -> None:
    for parse in (parse_size, parse_tokens):
        try:
            assert parse(text) >= 0
        except ValueError:
            continue


@pytest.mark.parametrize("parse", [parse_size, parse_tokens])
def test_a_number_beyond_all_bounds_is_a_value_error(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match="400 digits"):
        parse("9" * 400)
