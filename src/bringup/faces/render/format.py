"""Figures and tables for people: the only place where base units become words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from bringup.faces.render.clean import clean
from bringup.patterns import regex
from bringup.records import dataclass

_SIZE_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SHORT_UNITS: Final = ("", "K", "M", "B", "T")
_GAP: Final = "  "
_NARROW: Final = regex("[\\x20-\\x7e\\xa1-\\xac\\xae-\\u02ff\\u2026\\u2500-\\u259f]*")
"""Text of which every character takes one column: no mark that combines, nothing wide."""


def format_bytes(size_bytes: float) -> str:
    """`512 B`, `1.5 GiB`, `101 MiB`: powers of 1024, one decimal below 100."""
    value, unit = _scale(size_bytes, 1024, _SIZE_UNITS)
    if unit == "B":
        return f"{value:.0f} B"
    return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.1f} {unit}"


def format_rate(rate_bytes_per_s: float) -> str:
    """`12.3 MiB/s`."""
    return f"{format_bytes(rate_bytes_per_s)}/s"


def format_token_rate(rate_tokens_per_s: float) -> str:
    """`34.5 tokens/s`, without a decimal from 100 on."""
    digits = 0 if rate_tokens_per_s >= 99.95 else 1
    return f"{rate_tokens_per_s:,.{digits}f} tokens/s"


def format_count(count: int) -> str:
    """`8,192`."""
    return f"{count:,}"


def format_short_count(count: float) -> str:
    """`135M`, `20.9B`: powers of 1000, as parameter counts are spoken of."""
    value, unit = _scale(count, 1000, _SHORT_UNITS)
    if not unit:
        return f"{value:.0f}"
    return f"{value:.0f}{unit}" if value >= 99.95 else f"{value:.1f}{unit}"


def format_percent(share: float) -> str:
    """`75 %` for 0.75; a share just below one is never shown as 100 %."""
    percent = share * 100
    whole = round(percent)
    return f"{99 if whole == 100 and percent < 100 else whole} %"


def format_share(share: float) -> str:
    """As `format_percent`, but what is there is never shown as 0 %: `<1 %`."""
    return "<1 %" if 0 < share < 0.005 else format_percent(share)


def format_duration(duration_s: float) -> str:
    """`0.35 s`, `4.2 s`, `12 s`, `1 min 20 s`, `2 h 05 min`, `3 d 04 h`: no more than two units."""
    if duration_s < 0:
        return f"-{format_duration(-duration_s)}"
    if duration_s < 0.995:
        return f"{duration_s:.2f} s"
    if duration_s < 9.95:
        return f"{duration_s:.1f} s"
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    minutes = round(duration_s / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(duration_s / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def _scale(value: float, step: int, units: Sequence[str]) -> tuple[float, str]:
    """The value in the largest unit where it is at least one as shown (so 1023.97 KiB is 1.0 MiB)."""
    shown = float(value)
    for unit in units[:-1]:
        if abs(shown) < step - 0.5:
            return shown, unit
        shown /= step
    return shown, units[-1]


def display_width(text: str) -> int:
    """Columns that a clean one-line text takes: wide East Asian characters two, combining marks none."""
    if _NARROW.fullmatch(text) is not None:
        return len(text)
    from unicodedata import category, east_asian_width

    width = 0
    for character in text:
        if category(character) not in ("Mn", "Me", "Cf"):
            width += 2 if east_asian_width(character) in "WF" else 1
    return width


def truncate(text: str, width_columns: int) -> str:
    """A text cut to a width, the cut marked by an ellipsis."""
    if display_width(text) <= width_columns:
        return text
    taken = 0
    for place, character in enumerate(text):
        taken += display_width(character)
        if taken > width_columns - 1:
            return text[:place] + "…" if width_columns > 0 else ""
    return text


def pad(text: str, width_columns: int, *, right: bool = False) -> str:
    """A text filled with blanks to a width; `right` puts the blanks before it."""
    blanks = " " * max(0, width_columns - display_width(text))
    return blanks + text if right else text + blanks


def flow(words: Iterable[str], width_columns: int) -> list[str]:
    """Short texts side by side, three blanks between two, in as many lines as they need."""
    lines: list[str] = []
    for word in words:
        if lines and display_width(lines[-1]) + 3 + display_width(word) <= width_columns:
            lines[-1] += f"   {word}"
        else:
            lines.append(word)
    return lines


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. Figures go `right`; the `elastic` column is cut where the line is too long."""

    title: str
    right: bool = False
    elastic: bool = False


def format_table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, width_columns: int | None = None
) -> tuple[str, ...]:
    """Lines of an aligned table, the titles first; every cell is cleaned and stays on its line.

    Args:
        columns: titles and alignment.
        rows: one text a column.
        width_columns: width to keep within by cutting the elastic column; `None` cuts nothing, which is
            right for a pipe.
    """
    cells = [[clean_line(cell) for cell in row] for row in rows]
    lines = [[clean_line(column.title) for column in columns], *cells]
    widths = [max([line[place][1] for line in lines]) for place in range(len(columns))]
    if width_columns is not None:
        _give_way(columns, widths, width_columns)
    return tuple(_table_line(columns, widths, line) for line in lines)


def _give_way(columns: Sequence[Column], widths: list[int], width_columns: int) -> None:
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width_columns
    for place, column in enumerate(columns):
        if column.elastic and excess > 0:
            kept = max(widths[place] - excess, min(widths[place], 8))
            excess -= widths[place] - kept
            widths[place] = kept


def _table_line(columns: Sequence[Column], widths: Sequence[int], line: Sequence[tuple[str, int]]) -> str:
    shown: list[str] = []
    for column, width, (text, taken) in zip(columns, widths, line, strict=True):
        if taken > width:
            text = truncate(text, width)
            taken = display_width(text)
        blanks = " " * (width - taken)
        shown.append(blanks + text if column.right else text + blanks)
    return _GAP.join(shown).rstrip()


@lru_cache(maxsize=2048)
def clean_line(text: str) -> tuple[str, int]:
    """A text cleaned and on one line, and its columns; a live view shows most texts again and again."""
    shown = clean(text, keep_newlines=False)
    return shown, display_width(shown)
