"""Figures as people read them, and tables that line up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.faces.render.format import (
    Column,
    display_width,
    format_bytes,
    format_duration,
    format_percent,
    format_rate,
    format_short_count,
    format_table,
    format_token_rate,
    truncate,
)
from bringup.units import GIB, KIB, MIB, TIB


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (KIB, "1.0 KiB"),
        (1.5 * GIB, "1.5 GiB"),
        (MIB - 1, "1.0 MiB"),
        (99.96 * MIB, "100 MiB"),
        (101 * MIB, "101 MiB"),
        (3 * TIB, "3.0 TiB"),
        (5000 * 1024 * TIB, "5000 PiB"),
    ],
)
def test_bytes(size_bytes: float, shown: str) -> None:
    assert format_bytes(size_bytes) == shown
    assert format_rate(size_bytes) == f"{shown}/s"


@pytest.mark.parametrize(
    ("duration_s", "shown"),
    [
        (0, "0.00 s"),
        (0.3456, "0.35 s"),
        (0.996, "1.0 s"),
        (9.96, "10 s"),
        (59.7, "1 min 00 s"),
        (80, "1 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (86_400 * 3 + 4 * 3600, "3 d 04 h"),
        (-4.2, "-4.2 s"),
    ],
)
def test_durations(duration_s: float, shown: str) -> None:
    assert format_duration(duration_s) == shown


@given(st.floats(0, 1e9))
def test_a_duration_never_shows_sixty_of_a_unit_or_grows_backwards(duration_s: float) -> None:
    shown = format_duration(duration_s)
    assert "60" not in shown.split(".")[0] or "d" in shown
    assert len(shown) <= 12


def test_counts_and_shares() -> None:
    assert format_short_count(134_515_008) == "135M"
    assert format_short_count(20_914_757_184) == "20.9B"
    assert format_short_count(999_999_999) == "1.0B"
    assert format_short_count(12) == "12"
    assert format_percent(0.75) == "75 %"
    assert format_percent(0.9999) == "99 %"
    assert format_percent(1) == "100 %"
    assert format_token_rate(34.52) == "34.5 tokens/s"
    assert format_token_rate(99.96) == "100 tokens/s"


def test_widths_of_wide_and_combining_characters() -> None:
    assert display_width("abc") == 3
    assert display_width("日本") == 4
    assert display_width("e\u0301") == 1
    assert truncate("日本語", 5) == "日本…"
    assert truncate("abc", 3) == "abc"
    assert truncate("abcd", 3) == "ab…"
    assert truncate("abcd", 0) == ""


@given(st.text(max_size=40), st.integers(0, 40))
def test_a_truncated_text_fits(text: str, width: int) -> None:
    assert display_width(truncate(text, width)) <= width


def test_a_table_lines_up_and_keeps_every_row_on_one_line() -> None:
    columns = (Column("MODEL", elastic=True), Column("SIZE", right=True), Column("WHERE"))
    rows = [("smollm2\n[forged]", "1.5 GiB", "here"), ("日本", "101 MiB", "\x1b[31mthere")]
    assert format_table(columns, rows) == (
        "MODEL                SIZE  WHERE",
        "smollm2 [forged]  1.5 GiB  here",
        "日本              101 MiB  there",
    )


def test_the_elastic_column_gives_way_and_no_other() -> None:
    columns = (Column("MODEL", elastic=True), Column("SIZE", right=True))
    lines = format_table(columns, [("x" * 50, "1.5 GiB")], width_columns=24)
    assert lines[1] == "x" * 14 + "…  1.5 GiB"
    assert format_table(columns, [("x" * 50, "1.5 GiB")], width_columns=5)[1] == "xxxxxxx…  1.5 GiB"
