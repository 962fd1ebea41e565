"""Main memory as a house to scale: who lives on which floor, and what stands empty."""

from __future__ import annotations

from bringup.actions.live.sample import Sample
from bringup.faces.render.format import format_bytes, format_share
from bringup.faces.web.charts import part
from bringup.faces.web.html import Html, join, table, tag
from bringup.faces.web.widgets import mapped, more, swatch
from bringup.reading import Known

_WIDTH = 240.0
_HEIGHT = 260.0
_ROOF = 26.0

Floor = tuple[str, str, int, str]
"""Name, look, bytes, where that is told."""


def floors_of(sample: Sample) -> list[Floor]:
    """The floors from the ground up; empty where main memory could not be looked at."""
    if not isinstance(sample.memory.floors, Known):
        return []
    floors = sample.memory.floors.value
    cached = {
        engine.model_path: (engine.name or engine.program, engine.model_cached_bytes.value)
        for engine in sample.engines
        if isinstance(engine.model_cached_bytes, Known)
    }
    left = floors.cache_bytes
    models: list[Floor] = []
    for name, size in cached.values():
        shown = min(size, left)
        left -= shown
        models.append((f"page cache: {name}", "model-cache", shown, "fincore"))
    told = "/proc/meminfo"
    return [
        ("kernel and drivers", "kernel", floors.kernel_bytes + floors.other_bytes, told),
        ("programs", "programs", floors.programs_bytes + floors.huge_bytes, told),
        ("shared memory", "shared", floors.shared_bytes, told),
        *(one for one in models if one[2]),
        ("page cache: other files", "cache", left, told),
        ("free", "free", floors.free_bytes, told),
    ]


def house(sample: Sample) -> Html:
    """The drawing, its legend, what can still be taken, swap and pressure."""
    found = floors_of(sample)
    if not isinstance(sample.memory.floors, Known):
        return tag("p", "Main memory could not be looked at.", class_="note warn")
    floors = sample.memory.floors.value
    total = sum(size for _, _, size, _ in found) or 1
    rows = [
        tag(
            "li",
            swatch(look),
            " ",
            name,
            " ",
            tag("b", format_bytes(size)),
            f" {format_share(size / total)}",
        )
        for name, look, size, _ in reversed(found)
    ]
    swapped = floors.swap_total_bytes - floors.swap_free_bytes
    swap = f"{format_bytes(swapped)} of {format_bytes(floors.swap_total_bytes)} swap in use"
    told = [
        f"{format_bytes(floors.available_bytes)} of {format_bytes(floors.total_bytes)} can still be taken: "
        "what is free, and what the page cache gives back",
        swap if floors.swap_total_bytes else "No swap",
    ]
    if isinstance(sample.memory.pressure, Known):
        waited = sample.memory.pressure.value.some_pct
        told.append(f"Tasks waited for memory in {waited:.0f} % of the last ten seconds")
    cells = [(name, format_bytes(size), source) for name, _, size, source in found]
    figures = table(
        ("floor", "size", "who says so"), cells, caption="from the ground up", right=frozenset({1})
    )
    beside = tag(
        "div", tag("ul", rows, class_="plain"), [tag("p", f"{one}.", class_="small soft") for one in told]
    )
    drawn = tag("div", mapped(_draw(found, total)), beside, class_="house")
    return tag("section", join([drawn, more("as a table", figures, id_="floors-table")]), class_="panel")


def _draw(found: list[Floor], total: int) -> Html:
    drawn: list[Html] = []
    y = _ROOF + _HEIGHT
    for name, look, size, source in found:
        height = _HEIGHT * size / total
        y -= height
        if height <= 0:
            continue
        shapes = [tag("rect", x=12, y=y, width=_WIDTH - 24, height=max(height, 0.8), class_=f"use {look}")]
        drawn.append(part(*shapes, words=f"{name} {format_bytes(size)}; by {source}"))
    peak = f"M0,{_ROOF:.0f} L{_WIDTH / 2:.0f},2 L{_WIDTH:.0f},{_ROOF:.0f} Z"
    ground = tag("line", x1=0, x2=_WIDTH, y1=_ROOF + _HEIGHT, y2=_ROOF + _HEIGHT, class_="ground")
    return tag(
        "svg",
        tag("path", d=peak, class_="roof"),
        drawn,
        ground,
        viewBox=f"0 0 {_WIDTH:.0f} {_ROOF + _HEIGHT + 2:.0f}",
        role="group",
        aria_label="main memory as a house, from the ground up",
    )
