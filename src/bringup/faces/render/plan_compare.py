"""Several plans in one table."""

from __future__ import annotations

from collections.abc import Sequence

from bringup.actions.planning.report import PlanReport
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import (
    Column,
    display_width,
    format_bytes,
    format_count,
    format_duration,
    format_table,
    pad,
    truncate,
)
from bringup.faces.render.plan import nearest_text, short_band

Line = tuple[str | Styled, ...]
_WIDE_COLUMNS = 112


def comparison_lines(reports: Sequence[PlanReport], *, width_columns: int) -> list[Line]:
    """A line for each plan, in the order of the names; what does not fit says so below itself."""
    is_wide = width_columns >= _WIDE_COLUMNS
    columns = [
        Column("model"),
        Column("on"),
        Column("tokens", right=True),
        Column("card", right=True),
        Column("main", right=True),
        Column("answer, tokens/s", right=True),
    ]
    columns += [Column("first token", right=True)] if is_wide else []
    room = max(12, (width_columns - (80 if is_wide else 66)) // 2 + 12)
    rows = [_row(report, room, is_wide=is_wide) for report in reports]
    table = format_table(columns, rows)
    width = max(display_width(line) for line in table)
    lines: list[Line] = [(Styled(table[0], Style.DIM),)]
    for report, text in zip(reports, table[1:], strict=True):
        lines += _line(report, pad(text, width), width_columns)
    return lines


def _row(report: PlanReport, room: int, *, is_wide: bool) -> list[str]:
    cards = [use for use in report.uses if use.device in report.place.cards]
    main = report.uses[-1]
    speed = report.speed if report.fits else None
    row = [
        truncate(clean(report.source.title, keep_newlines=False), room),
        truncate(_titles(report), room),
        format_count(report.n_ctx),
        format_bytes(sum(use.used_bytes for use in cards)) if cards else "-",
        format_bytes(main.used_bytes),
        short_band(speed.generation_empty) if speed else "not told" if report.fits else "-",
    ]
    return [*row, format_duration(speed.first_token_s.value) if speed else ""] if is_wide else row


def _titles(report: PlanReport) -> str:
    titles = [card.title.removeprefix("NVIDIA ").removeprefix("GeForce ") for card in report.place.cards]
    if not titles:
        return "main memory"
    same = len(set(titles)) == 1 and len(titles) > 1
    return f"{len(titles)} x {titles[0]}" if same else " + ".join(titles)


def _line(report: PlanReport, text: str, width_columns: int) -> list[Line]:
    chosen = next((rung for rung in report.ladder if rung.is_chosen), None)
    way = chosen.gives_way if chosen is not None else ""
    note = "does not fit" if not report.fits else f"fits with {way}" if way else "fits"
    note = note if report.is_whole else f"no engine can load it yet, the file is not whole; {note} once it is"
    if (nearest := report.nearest_fit) is not None:
        note += f"; {nearest_text(nearest)}"
    style = Style.RED if not report.fits else Style.GREEN if note == "fits" else Style.YELLOW
    if display_width(text) + 2 + display_width(note) <= width_columns:
        return [(text, "  ", Styled(note, style))]
    return [(text,), ("    ", Styled(truncate(clean(note, keep_newlines=False), width_columns - 4), style))]
