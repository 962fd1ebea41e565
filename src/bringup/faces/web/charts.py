"""Drawings as SVG: bars to scale, charts over time. No style attribute: the page's policy forbids it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bringup.faces.web.html import Html, tag
from bringup.machine import clock
from bringup.records import dataclass

WIDTH: Final = 1000.0
_POINTS_MOST: Final = 240
_LEAST_WIDTH: Final = 0.8
_HAIR_WIDTH: Final = 4.0
"""A part narrower than this has no edge: it would hide what it is."""

_CHART_HEIGHT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a bar: how much, its class in the style sheet (none: a gap), what a person reads of it."""

    amount: float
    look: str
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """Slices side by side; `top` and `height` are in units of the drawing."""

    slices: Sequence[Slice]
    top: float
    height: float


def bar(slices: Sequence[Slice], total: float, *, label: str, kind: str = "") -> Html:
    """Parts to scale; each says its words."""
    return rows([Row(slices, 0.0, 40.0)], total, label=label, kind=kind)


def rows(
    found: Sequence[Row], total: float, *, label: str, kind: str = "", limit: float | None = None
) -> Html:
    """Bars below each other, all to one scale; `limit` marks an amount by a line across."""
    height = max(row.top + row.height for row in found)
    drawn: list[Html] = []
    for row in found:
        drawn.append(tag("rect", x=0, y=row.top, width=WIDTH, height=row.height, class_="frame"))
        drawn += _row(row, total)
    if limit is not None and total > 0:
        at = WIDTH * limit / total
        drawn.append(tag("line", x1=at, x2=at, y1=-3, y2=height + 3, class_="limit"))
    return tag(
        "svg",
        drawn,
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        preserveAspectRatio="none",
        class_=f"bar {kind}".strip(),
        role="group",
        aria_label=label,
    )


def _row(row: Row, total: float) -> Iterable[Html]:
    at = 0.0
    for one in row.slices:
        width = WIDTH * max(0.0, one.amount) / total if total > 0 else 0.0
        if width > 0 and one.look:
            shown = max(width, _LEAST_WIDTH)
            look = f"use {one.look}" if shown >= _HAIR_WIDTH else f"use hair {one.look}"
            rect = tag("rect", x=at, y=row.top, width=shown, height=row.height, class_=look)
            yield part(rect, words=one.words)
        at += width


def part(*shapes: Html, words: str) -> Html:
    """A part of a drawing that can be pointed at, reached by the keyboard, and read aloud."""
    return tag("g", *shapes, tabindex=0, role="img", aria_label=words)


def axis(marks: Iterable[str]) -> Html:
    """Words below a drawing, from its left to its right end."""
    return tag("div", [tag("span", mark) for mark in marks], class_="axis", aria_hidden="true")


Series = Sequence[tuple[str, Sequence[tuple[float, float]]]]
"""Curves by name: Unix time and value of each point."""


def line_chart(series: Series, *, label: str, most: float, unit: str, note: str, look: str = "") -> Html:
    """Curves over one span of time, from 0 to `most`; the last value of each stands in words below it."""
    stamps = [stamp for _, points in series for stamp, _ in points]
    first, last = (min(stamps), max(stamps)) if stamps else (0.0, 1.0)
    drawing = tag(
        "svg",
        [
            tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="grid")
            for y in (0.0, _CHART_HEIGHT / 2, _CHART_HEIGHT)
        ],
        _curves(series, first, last, most),
        viewBox=f"0 -3 {WIDTH:.0f} {_CHART_HEIGHT + 6:.0f}",
        preserveAspectRatio="none",
        class_="chart",
        tabindex=0,
        role="img",
        aria_label=f"{label}: {_summary(series, unit)}",
        data_height=_CHART_HEIGHT,
        data_most=most,
        data_unit=unit,
        data_first=f"{first:.3f}",
        data_last=f"{last:.3f}",
    )
    scale = [tag("span", _figure(most * share)) for share in (1.0, 0.5, 0.0)]
    times = [tag("span", clock.local_time_text(stamp)[11:19]) for stamp in (first, (first + last) / 2, last)]
    plot = tag(
        "div",
        tag("div", scale, class_="y", aria_hidden="true"),
        drawing,
        tag("div", times, class_="x", aria_hidden="true"),
        class_="plot",
    )
    legend = [
        tag("li", tag("span", class_=f"dot c{number % 6}"), f" {name} ", tag("b", _last(points, unit)))
        for number, (name, points) in enumerate(series)
    ]
    head = tag("figcaption", label, tag("span", f"{unit}, {note}"))
    return tag("figure", head, plot, tag("ul", legend, class_="key"), class_=f"panel {look}".strip())


def _curves(series: Series, first: float, last: float, most: float) -> Iterable[Html]:
    span = max(last - first, 1e-9)
    for number, (name, points) in enumerate(series):
        thin = [
            (
                WIDTH * (stamp - first) / span,
                _CHART_HEIGHT - _CHART_HEIGHT * max(0.0, min(1.0, value / (most or 1.0))),
            )
            for stamp, value in _thinned(points)
        ]
        if len(thin) < 2:
            continue
        shown = " ".join(f"{x:.1f},{y:.1f}" for x, y in thin)
        if number == 0:
            area = f"M{thin[0][0]:.1f},{_CHART_HEIGHT:.0f} L{shown} L{thin[-1][0]:.1f},{_CHART_HEIGHT:.0f} Z"
            yield tag("path", d=area, class_="area c0")
        yield tag("polyline", points=shown, class_=f"curve c{number % 6}", data_name=name)


def _summary(series: Series, unit: str) -> str:
    told = []
    for name, points in series:
        values = [value for _, value in points]
        if values:
            least, most = _figure(min(values)), _figure(max(values))
            told.append(f"{name} {_last(points, unit)}, from {least} to {most}")
    return "; ".join(told)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `_POINTS_MOST` points, each the mean of its neighbours."""
    step = -(-len(points) // _POINTS_MOST) if points else 1
    groups = [points[start : start + step] for start in range(0, len(points), step)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _last(points: Sequence[tuple[float, float]], unit: str) -> str:
    return f"{_figure(points[-1][1])} {unit}" if points else "not told"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.5 or value == round(value) else f"{value:,.1f}"
