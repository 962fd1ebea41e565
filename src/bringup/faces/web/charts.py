"""Drawings as SVG: bars to scale, charts over time. No style attribute: the page's policy forbids them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bringup.faces.web.html import Html, tag

_WIDTH = 1000.0
_POINTS_MOST = 240


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a bar: how much, its class in the style sheet, and what a person reads of it."""

    amount: float
    look: str
    words: str


def bar(slices: Sequence[Slice], total: float, *, label: str, height: float = 34.0) -> Html:
    """Parts to scale; each can be reached by the keyboard and says its words."""
    drawn = []
    at = 0.0
    for one in slices:
        width = _WIDTH * max(0.0, one.amount) / total if total > 0 else 0.0
        if width > 0:
            rect = tag("rect", x=at, y=0, width=max(width, 1.0), height=height, class_=f"use {one.look}")
            title = tag("title", one.words)
            drawn.append(tag("g", title, rect, tabindex=0, role="img", aria_label=one.words))
        at += width
    frame = tag("rect", x=0, y=0, width=_WIDTH, height=height, class_="frame")
    return tag(
        "svg",
        frame,
        drawn,
        viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}",
        preserveAspectRatio="none",
        class_="bar",
        role="group",
        aria_label=label,
    )


def line_chart(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, label: str, most: float, unit: str
) -> Html:
    """Curves over one span of time, from 0 to `most`; the last value of each stands in words beside it."""
    height = 120.0
    stamps = [stamp for _, points in series for stamp, _ in points]
    first, last = (min(stamps), max(stamps)) if stamps else (0.0, 1.0)
    span = max(last - first, 1e-9)
    curves = []
    for number, (_, points) in enumerate(series):
        thin = _thinned(points)
        shown = " ".join(
            f"{_WIDTH * (stamp - first) / span:.1f},{height - height * min(1.0, value / (most or 1.0)):.1f}"
            for stamp, value in thin
        )
        if len(thin) > 1:
            curves.append(tag("polyline", points=shown, class_=f"curve c{number % 6}"))
    grid = [tag("line", x1=0, x2=_WIDTH, y1=y, y2=y, class_="grid") for y in (0.0, height / 2, height)]
    drawing = tag(
        "svg",
        grid,
        curves,
        viewBox=f"0 -4 {_WIDTH:.0f} {height + 8:.0f}",
        preserveAspectRatio="none",
        class_="chart",
        role="img",
        aria_label=label,
    )
    legend = [
        tag("li", tag("span", class_=f"dot c{number % 6}"), f" {name}: {_last(points)} {unit}")
        for number, (name, points) in enumerate(series)
    ]
    head = tag("figcaption", f"{label}, 0 to {most:,.0f} {unit}, {_span_words(span)}")
    return tag("figure", head, drawing, tag("ul", legend, class_="legend"))


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `_POINTS_MOST` points, each the mean of its neighbours."""
    step = -(-len(points) // _POINTS_MOST) if points else 1
    groups = [points[start : start + step] for start in range(0, len(points), step)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _last(points: Sequence[tuple[float, float]]) -> str:
    return f"{points[-1][1]:,.1f}" if points else "?"


def _span_words(span_s: float) -> str:
    if span_s < 120:
        return f"{span_s:.0f} s"
    return f"{span_s / 60:.0f} min" if span_s < 7200 else f"{span_s / 3600:.1f} h"
