"""A plan as a picture: SVG text, written by hand, light and dark by the viewer's own preference."""

from __future__ import annotations

import textwrap
from dataclasses import field
from html import escape
from typing import Final

from bringup.actions.planning.report import DeviceUse, Group, PlanReport, Rung
from bringup.faces.render.clean import clean
from bringup.faces.render.format import format_bytes, format_count, format_short_count
from bringup.faces.render.plan import command_lines, nearest_text, short_band, size_text, speed_sentence
from bringup.records import dataclass

WIDTH: Final = 960
_MARGIN: Final = 40
_INNER: Final = WIDTH - 2 * _MARGIN
_BAR_HEIGHT: Final = 30
_CHART_HEIGHT: Final = 190
_GUTTER: Final = 92
"""Right of the columns, for the words at the line of what is free."""
_LETTER: Final = 0.54
"""Mean width of a letter of a sans-serif face, in its own size: to wrap and place text without a font."""

_COLOURS: Final = {
    Group.WEIGHTS: "#4063d8",
    Group.CACHE: "#2f9e6e",
    Group.COMPUTE: "#e0a526",
    Group.OVERHEAD: "#9558b2",
    Group.PROMPTS: "#38a3b8",
    Group.MARGIN: "url(#hatch)",
    Group.OTHERS: "#cb5a4c",
    Group.FREE: "var(--free)",
}
_STYLE: Final = """
svg { --paper: #ffffff; --ink: #1d2430; --soft: #5d6878; --line: #dfe4ea; --free: #edf0f4; --box: #f5f7f9;
      --good: #1c7c4f; --bad: #b3372b; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #14181f; --ink: #e7ebf1; --soft: #9aa6b6; --line: #2c3440; --free: #242b36; --box: #1b212a;
        --good: #56c890; --bad: #f08a7d; }
}
text { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: var(--ink); }
.soft { fill: var(--soft); }
.mono { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.good { fill: var(--good); }
.bad { fill: var(--bad); }
"""


@dataclass
class _Sheet:
    """Elements from the top down; `y` is where the next one begins."""

    y: float = _MARGIN
    elements: list[str] = field(default_factory=list)

    def text(
        self, words: str, *, x: float = _MARGIN, size: float = 14, kind: str = "", more: str = ""
    ) -> None:
        """One line at the current height."""
        shown = escape(clean(words, keep_newlines=False))
        name = f' class="{kind}"' if kind else ""
        self.elements.append(
            f'<text x="{x:.1f}" y="{self.y:.1f}" font-size="{size:g}"{name}{more}>{shown}</text>'
        )

    def paragraph(self, words: str, *, size: float = 14, kind: str = "", more: str = "") -> None:
        """Wrapped lines; moves on behind them."""
        for row in textwrap.wrap(words, int(_INNER / (size * _LETTER)), break_on_hyphens=False):
            self.y += size * 1.45
            self.text(row, size=size, kind=kind, more=more)

    def box(self, x: float, y: float, width: float, height: float, fill: str, more: str = "") -> None:
        """A rectangle."""
        self.elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
            f'fill="{fill}"{more}/>'
        )


def plan_svg(report: PlanReport) -> str:
    """The picture as one SVG document."""
    sheet = _Sheet()
    _head(sheet, report)
    for index, use in enumerate(report.uses):
        _device(sheet, use, index)
    if len(report.ladder) > 1:
        _ladder(sheet, report.ladder)
    _command(sheet, report.command)
    height = sheet.y + _MARGIN
    title = escape(clean(f"{report.source.title}: {report.verdict}", keep_newlines=False))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" role="img">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><rect width="7" height="7" fill="var(--free)"/>'
            '<rect width="2.5" height="7" fill="var(--soft)" opacity="0.55"/></pattern></defs>',
            f'<rect width="{WIDTH}" height="{height:.0f}" rx="14" fill="var(--paper)"/>',
            *sheet.elements,
            "</svg>",
            "",
        )
    )


def _head(sheet: _Sheet, report: PlanReport) -> None:
    figures, model = report.architecture, report.source.model
    words = [
        f"{format_short_count(figures.n_parameters)} parameters",
        figures.file_type or "",
        size_text(model),
        f"{format_count(report.n_ctx)} tokens of context",
        f"{report.n_parallel} slots" if report.n_parallel > 1 else "",
    ]
    sheet.paragraph(report.source.title, size=27, more=' font-weight="700"')
    sheet.paragraph(" · ".join(word for word in words if word), size=14, kind="soft")
    sheet.y += 10
    kind = "good" if report.can_run else "bad"
    sheet.paragraph(report.verdict, size=17, kind=kind, more=' font-weight="600"')
    sheet.y += 4
    if (way := report.nearest_fit) is not None:
        sheet.paragraph(f"Nearest fit: {nearest_text(way)}", size=14)
    if report.speed is not None:
        sheet.paragraph(speed_sentence(report.speed), size=14)
    sheet.y += 12


def _device(sheet: _Sheet, use: DeviceUse, index: int) -> None:
    sheet.y += 30
    device = use.device
    sheet.text(f"{device.name}  {device.title}", size=15, more=' font-weight="600"')
    right = ' text-anchor="end"'
    sheet.text(format_bytes(device.total_bytes), x=WIDTH - _MARGIN, size=14, kind="soft", more=right)
    sheet.y += 10
    needed = use.held_bytes + use.planned_bytes
    scale = _INNER / max(device.total_bytes, needed, 1)
    clip = f"bar{index}"
    sheet.elements.append(
        f'<clipPath id="{clip}"><rect x="{_MARGIN}" y="{sheet.y:.1f}" width="{_INNER}" '
        f'height="{_BAR_HEIGHT}" rx="7"/></clipPath>'
    )
    sheet.elements.append(f'<g clip-path="url(#{clip})">')
    sheet.box(_MARGIN, sheet.y, _INNER, _BAR_HEIGHT, "var(--free)")
    groups = use.groups()
    x = float(_MARGIN)
    for group in (Group.OTHERS, *(one for one in groups if one not in (Group.OTHERS, Group.FREE))):
        width = groups.get(group, 0) * scale
        sheet.box(x, sheet.y, width - (1 if width > 3 else 0), _BAR_HEIGHT, _COLOURS[group])
        x += width
    sheet.elements.append("</g>")
    if use.left_bytes < 0:
        limit = _MARGIN + device.total_bytes * scale
        sheet.box(limit - 1.5, sheet.y - 6, 3, _BAR_HEIGHT + 12, "var(--bad)")
    sheet.y += _BAR_HEIGHT
    _legend(sheet, groups)
    if use.left_bytes < 0:
        sheet.paragraph(f"{format_bytes(-use.left_bytes)} too little", size=13, kind="bad")


def _legend(sheet: _Sheet, groups: dict[Group, int]) -> None:
    size, x = 12.5, float(_MARGIN)
    sheet.y += 22
    for group, size_bytes in groups.items():
        words = f"{group.value} {format_bytes(size_bytes)}"
        width = 18 + len(words) * size * _LETTER
        if x + width > WIDTH - _MARGIN:
            x = float(_MARGIN)
            sheet.y += 20
        edge = ' stroke="var(--line)"' if group in (Group.FREE, Group.MARGIN) else ""
        sheet.box(x, sheet.y - 10, 11, 11, _COLOURS[group], f' rx="2.5"{edge}')
        sheet.text(words, x=x + 17, size=size, kind="soft")
        x += width + 22


def _ladder(sheet: _Sheet, ladder: tuple[Rung, ...]) -> None:
    """Columns of the fullest device's memory, one for each window, below the line of what is free."""
    sheet.y += 46
    at = _fullest(ladder)
    name = ladder[0].uses[at].device.name
    sheet.text(f"Context window and memory of {name}", size=15, more=' font-weight="600"')
    top, bottom = sheet.y + 36, sheet.y + 36 + _CHART_HEIGHT
    free = ladder[0].uses[at].device.free_bytes
    most = max([free, *(rung.uses[at].planned_bytes for rung in ladder)])
    step = (_INNER - _GUTTER) / len(ladder)
    width = min(64.0, step * 0.5)
    for index, rung in enumerate(ladder):
        x = _MARGIN + step * (index + 0.5)
        _column(sheet, rung, at, (x - width / 2, bottom), (width, _CHART_HEIGHT / max(most, 1)))
        _labels(sheet, rung, x, bottom)
    y = bottom - free * _CHART_HEIGHT / max(most, 1)
    sheet.elements.append(
        f'<line x1="{_MARGIN}" x2="{WIDTH - _MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--bad)" '
        f'stroke-width="1.5" stroke-dasharray="6 4"/>'
    )
    sheet.elements.append(
        f'<line x1="{_MARGIN}" x2="{WIDTH - _MARGIN}" y1="{bottom}" y2="{bottom}" stroke="var(--line)"/>'
    )
    sheet.y = y - 7
    more = ' text-anchor="end"'
    sheet.text(f"{format_bytes(free)} free", x=WIDTH - _MARGIN, size=12, kind="bad", more=more)
    sheet.y = max(bottom, top) + 56


def _fullest(ladder: tuple[Rung, ...]) -> int:
    """Place of the device that the chosen window leaves the smallest share of; a card before main memory."""
    rung = next((one for one in ladder if one.is_chosen), ladder[0])
    shares = [use.planned_bytes / max(use.device.free_bytes, 1) for use in rung.uses]
    cards = range(len(shares) - 1)
    used = [at for at in cards if rung.uses[at].used_bytes] or range(len(shares))
    return max(used, key=lambda at: shares[at])


def _column(
    sheet: _Sheet, rung: Rung, at: int, corner: tuple[float, float], scales: tuple[float, float]
) -> None:
    (x, bottom), (width, scale) = corner, scales
    y = bottom
    faded = "" if rung.fits else ' opacity="0.45"'
    for group, size in rung.uses[at].groups().items():
        if group in (Group.OTHERS, Group.FREE):
            continue
        height = size * scale
        y -= height
        sheet.box(x, y, width, max(0.0, height - 0.6), _COLOURS[group], faded)
    if rung.is_chosen:
        edge = ' rx="4" stroke="var(--ink)" stroke-width="1.6"'
        sheet.box(x - 4, y - 4, width + 8, bottom - y + 4, "none", edge)


def _labels(sheet: _Sheet, rung: Rung, x: float, bottom: float) -> None:
    middle = ' text-anchor="middle"'
    weight = ' font-weight="700"' if rung.is_chosen else ""
    sheet.y = bottom + 19
    sheet.text(format_count(rung.n_ctx), x=x, size=12.5, more=middle + weight)
    sheet.y = bottom + 36
    if not rung.fits:
        sheet.text("does not fit", x=x, size=11, kind="bad", more=middle)
    elif rung.speed is not None:
        sheet.text(short_band(rung.speed.generation_full), x=x, size=11, kind="soft", more=middle)
        sheet.y = bottom + 50
        sheet.text("tokens/s", x=x, size=10, kind="soft", more=middle)


def _command(sheet: _Sheet, command: tuple[str, ...]) -> None:
    rows = [
        "".join(piece if isinstance(piece, str) else piece.text for piece in line).strip()
        for line in command_lines(command, 108)
    ]
    sheet.y += 18
    height = 19 * len(rows) + 22
    sheet.box(_MARGIN, sheet.y, _INNER, height, "var(--box)", ' rx="8" stroke="var(--line)"')
    sheet.y += 10
    for index, row in enumerate(rows):
        sheet.y += 18 if index else 16
        more = ' xml:space="preserve"'
        sheet.text(row, x=_MARGIN + 16 + (16 if index else 0), size=12.5, kind="mono", more=more)
    sheet.y += 20
