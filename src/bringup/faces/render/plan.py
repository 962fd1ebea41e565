"""How a plan looks in a terminal: verdict, bars, ladder, reasons, other ways, the command."""

from __future__ import annotations

import textwrap
from typing import Final

from bringup.actions.planning.report import Alternative, DeviceUse, PlanReport, Rung, Speed
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import (
    Column,
    display_width,
    format_bytes,
    format_count,
    format_duration,
    format_short_count,
    format_table,
    pad,
)
from bringup.faces.render.plan_bar import device_lines
from bringup.faces.render.shell_words import shell_line, shell_word
from bringup.model.shards import Model
from bringup.plan.predict import Estimate

Line = tuple[str | Styled, ...]

PIPE_COLUMNS: Final = 100
"""Width of a plan in a pipe, where nothing says how wide it may be."""


def plan_lines(
    report: PlanReport, *, width_columns: int, is_verbose: bool = False, has_blocks: bool = True
) -> list[Line]:
    """The whole plan.

    Args:
        report: what was found out.
        width_columns: of the terminal.
        is_verbose: with each part's formula and source.
        has_blocks: the output can show block characters.
    """
    lines = [*_head(report, width_columns), ("",), *_verdict(report, width_columns)]
    for use in report.uses:
        lines += [("",), *device_lines(use, width_columns=width_columns, has_blocks=has_blocks)]
    if report.ladder:
        lines += _section("Context window", _ladder(report.ladder, width_columns))
    if chosen := _choices(report, width_columns):
        lines += _section("Why so", chosen)
    if report.alternatives:
        lines += _section("Other ways, the cheapest first", _alternatives(report.alternatives, width_columns))
    lines += _section(
        command_title(report),
        command_lines(report.command, width_columns),
    )
    if is_verbose:
        lines += _section("Every part", _parts(report.uses, width_columns))
        lines += _section("Speed", _speed_sources(report.speed, report.no_speed, width_columns))
    if report.checked:
        lines += _section("What the engine's dry run says", _sentences(report.checked, width_columns))
    if report.assumptions:
        lines += _section("Taken for granted", _sentences(report.assumptions, width_columns, Style.DIM))
    return lines


def command_title(report: PlanReport) -> str:
    """What stands above the command: whether it would work."""
    if not report.fits:
        return "The command, if it did fit"
    return "The command" if report.is_whole else "The command, once the file is whole"


def _section(title: str, lines: list[Line]) -> list[Line]:
    return [("",), (Styled(title, Style.BOLD),), *lines]


def _wrapped(text: str, width_columns: int, *, style: Style = Style.PLAIN, indent: str = "") -> list[Line]:
    rows = textwrap.wrap(
        clean(text, keep_newlines=False),
        max(20, width_columns),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    return [(Styled(row, style),) for row in rows]


def _sentences(sentences: tuple[str, ...], width_columns: int, style: Style = Style.PLAIN) -> list[Line]:
    return [line for sentence in sentences for line in _wrapped(sentence, width_columns, style=style)]


def _head(report: PlanReport, width_columns: int) -> list[Line]:
    figures, model = report.architecture, report.source.model
    words = [
        f"{format_short_count(figures.n_parameters)} parameters",
        figures.file_type or "",
        size_text(model),
        f"trained for {format_count(figures.n_ctx_train)} tokens" if figures.n_ctx_train else "",
    ]
    origin = report.source.origin
    if not report.source.is_local:
        fetched = format_bytes(report.source.fetched_bytes)
        requests = report.source.n_requests
        origin += f" ({fetched} in {requests} request{'s' if requests != 1 else ''})"
    return [
        (Styled(clean(report.source.title, keep_newlines=False), Style.BOLD),),
        *_wrapped(", ".join(word for word in (*words, origin) if word), width_columns, style=Style.DIM),
    ]


def size_text(model: Model) -> str:
    """Size of all files; of how much, where they are not whole."""
    here = format_bytes(model.file_size_bytes)
    return f"{here} of {format_bytes(model.whole_bytes)}" if model.missing_bytes else here


def _verdict(report: PlanReport, width_columns: int) -> list[Line]:
    lines: list[Line] = []
    colour = Style.GREEN if report.can_run else Style.RED
    lines += _wrapped(report.verdict, width_columns, style=colour)
    if report.speed is not None:
        lines += _wrapped(speed_sentence(report.speed), width_columns)
    elif report.fits:
        lines += _wrapped(f"How fast it will be is not told: {report.no_speed}.", width_columns)
    for sentence in (*report.missing, *report.warnings):
        lines += _wrapped(sentence, width_columns, style=Style.YELLOW)
    if (way := report.nearest_fit) is not None:
        lines += _wrapped(f"Nearest fit: {nearest_text(way)}.", width_columns, style=Style.BOLD)
    return lines


def nearest_text(way: Alternative) -> str:
    """`ask for a smaller window: --ctx-size 49152`."""
    return f"{way.what[:1].lower()}{way.what[1:]}" + (f": {shell_line(way.options)}" if way.options else "")


def speed_sentence(speed: Speed) -> str:
    """The speeds that a person feels, with their bands."""
    return (
        f"An answer comes at {_band(speed.generation_empty)} tokens/s, at {_band(speed.generation_full)} "
        f"when the window is full; a prompt of {format_count(speed.n_prompt)} tokens is read in "
        f"{format_duration(speed.first_token_s.value)} ({format_duration(speed.first_token_s.low)} to "
        f"{format_duration(speed.first_token_s.high)})."
    )


def _band(rate: Estimate) -> str:
    return f"{_rate(rate.value)} ({_rate(rate.low)} to {_rate(rate.high)})"


def short_band(rate: Estimate) -> str:
    """`118 (104-131)`."""
    return f"{_rate(rate.value)} ({_rate(rate.low)}-{_rate(rate.high)})"


def _rate(value: float) -> str:
    if value < 0.095:
        return f"{value:.2g}" if value >= 0.001 else "<0.001"
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def _ladder(ladder: tuple[Rung, ...], width_columns: int) -> list[Line]:
    names = [use.device.name for use in ladder[0].uses]
    has_speed = any(rung.speed for rung in ladder)
    is_wide = width_columns >= 76 or len(names) == 1
    columns = [Column("tokens", right=True)]
    columns += [Column("KV cache", right=True)] if is_wide else []
    columns += [Column(name, right=True) for name in names]
    columns += [Column("tokens/s at its end", right=True)] if has_speed else []
    rows = []
    for rung in ladder:
        row = [f"{'> ' if rung.is_chosen else ''}{format_count(rung.n_ctx)}"]
        row += [format_bytes(rung.cache_bytes)] if is_wide else []
        row += [format_bytes(use.used_bytes) for use in rung.uses]
        row += [short_band(rung.speed.generation_full) if rung.speed else ""] if has_speed else []
        rows.append(row)
    table = format_table(columns, rows)
    width = max(display_width(line) for line in table)
    lines: list[Line] = [(Styled(f"  {table[0]}", Style.DIM),)]
    for rung, text in zip(ladder, table[1:], strict=True):
        lines += _rung(rung, pad(text, width), width_columns)
    return lines


def _rung(rung: Rung, text: str, width_columns: int) -> list[Line]:
    note = f"fits with {rung.gives_way}" if rung.fits and rung.gives_way else rung.gives_way or "fits"
    if rung.is_beyond_training:
        note += ", beyond its training"
    style = Style.PLAIN if not rung.gives_way else Style.YELLOW if rung.fits else Style.RED
    style = Style.RED if not rung.fits else style
    shown = Styled(f"  {text}", Style.BOLD if rung.is_chosen else Style.PLAIN)
    if 2 + display_width(text) + 2 + display_width(note) <= width_columns:
        return [(shown, "  ", Styled(note, style))]
    return [(shown,), *_wrapped(note, width_columns, style=style, indent=" " * 6)]


def _choices(report: PlanReport, width_columns: int) -> list[Line]:
    given = [f"{one.option} {one.value}".rstrip() for one in report.choices if one.is_given]
    lines = [line for reason in report.reasons for line in _item(reason, width_columns)]
    if given:
        lines += _item(f"As given: {', '.join(given)}.", width_columns)
    return lines


def _item(text: str, width_columns: int) -> list[Line]:
    rows = textwrap.wrap(clean(text, keep_newlines=False), max(20, width_columns - 4), break_on_hyphens=False)
    return [(f"  {'- ' if not place else '  '}{row}",) for place, row in enumerate(rows)]


def _alternatives(alternatives: tuple[Alternative, ...], width_columns: int) -> list[Line]:
    lines: list[Line] = []
    for one in alternatives:
        mark = Styled("fits " if one.fits else "     ", Style.GREEN)
        body = f"{one.what}: {one.effect}" if one.effect else one.what
        body += f"; {one.cost}" if one.cost else ""
        rows = textwrap.wrap(clean(body, keep_newlines=False), max(20, width_columns - 7))
        lines += [("  ", mark, rows[0]), *(("       ", row) for row in rows[1:])]
        if one.options:
            lines.append(("       ", Styled(shell_line(one.options), Style.CYAN)))
    return lines


def command_lines(command: tuple[str, ...], width_columns: int) -> list[Line]:
    """The command as it can be pasted: quoted for a shell, broken before options only."""
    groups: list[str] = []
    for word in command:
        if word.startswith("--") or not groups:
            groups.append(shell_word(word))
        else:
            groups[-1] += f" {shell_word(word)}"
    rows = [groups[0]]
    for group in groups[1:]:
        if len(rows[-1]) + len(group) + 5 > width_columns and rows[-1]:
            rows.append(f"  {group}")
        else:
            rows[-1] += f" {group}"
    shown = [f"  {row} \\" for row in rows[:-1]] + [f"  {rows[-1]}"]
    return [(Styled(row, Style.CYAN),) for row in shown]


def _parts(uses: tuple[DeviceUse, ...], width_columns: int) -> list[Line]:
    lines: list[Line] = []
    for use in uses:
        for part in use.parts:
            head = f"  {use.device.name:<7} {part.name:<16} {part.bytes:>16,} B"
            lines.append((Styled(head, Style.BOLD), f"  {format_bytes(part.bytes)}"))
            lines += _wrapped(part.formula, width_columns, indent=" " * 10)
            lines += _wrapped(part.source, width_columns, style=Style.DIM, indent=" " * 10)
    return lines


def _speed_sources(speed: Speed | None, no_speed: str, width_columns: int) -> list[Line]:
    if speed is None:
        return _wrapped(no_speed or "not told", width_columns)
    rows = (
        f"a prompt is read at {_band(speed.prompt_empty)} tokens/s, "
        f"at {_band(speed.prompt_full)} when the window is full",
        *speed.formulas,
        speed.bottleneck,
        *speed.sources,
    )
    return [line for row in rows for line in _wrapped(row, width_columns, indent="  ")]
