"""What happens now, and the charts of the last minutes and hours."""

from __future__ import annotations

from typing import Final

from bringup.actions.history import History
from bringup.actions.live import LiveCard, LiveEngine, Sample
from bringup.faces.render.format import format_bytes, truncate
from bringup.faces.render.live import COLUMNS, machine_lines, process_row
from bringup.faces.render.live_cards import figure_words
from bringup.faces.render.live_engines import speed_words
from bringup.faces.web.charts import line_chart
from bringup.faces.web.html import Html, join, table, tag
from bringup.faces.web.pages.memory import card_bar, each_card, engine_title, plain_lines, slots
from bringup.reading import Known
from bringup.units import GIB

_COMMAND_COLUMNS: Final = 160


def live_parts(sample: Sample, history: History) -> dict[str, Html]:
    """The page's parts."""
    head = machine_lines(sample, width_columns=60)[0]
    rows = [_short(process_row(process)) for process in sample.processes]
    titles = tuple(column.title for column in COLUMNS)
    right = frozenset(at for at, column in enumerate(COLUMNS) if column.right)
    return {
        "now": plain_lines([head]),
        "cards": join([tag("h2", "Cards"), *each_card(sample, _figures)]),
        "engines": join([tag("h2", "Engines"), *_engines(sample)]),
        "charts": join([tag("h2", "The last minutes and hours"), *_charts(sample, history)]),
        "processes": table(titles, rows, caption="processes that hold memory", right=right),
    }


def _short(cells: tuple[str, ...]) -> tuple[str, ...]:
    return (*cells[:-1], truncate(cells[-1], _COMMAND_COLUMNS))


def _figures(live: LiveCard) -> list[Html]:
    return [tag("p", " · ".join(figure_words(live))), card_bar(live)]


def _engines(sample: Sample) -> list[Html]:
    if not sample.engines:
        why = f"Engines could not be looked for: {sample.engines_trouble}" if sample.engines_trouble else ""
        return [
            tag("p", why or "No engine is running. ", None if why else tag("code", "bringup serve MODEL"))
        ]
    found = []
    for engine in sample.engines:
        found += [tag("h3", engine_title(engine)), *_engine(engine)]
    return found


def _engine(engine: LiveEngine) -> list[Html]:
    words = [engine.state]
    words += [engine.trouble] if engine.trouble and engine.state != "ready" else []
    words += speed_words(engine.speed) if engine.state == "ready" else []
    if isinstance(engine.totals, Known) and engine.totals.value.requests_waiting is not None:
        words.append(f"{engine.totals.value.requests_waiting} waiting")
    if isinstance(engine.resident_bytes, Known):
        words.append(f"RAM {format_bytes(engine.resident_bytes.value)}")
    parts = [tag("p", " · ".join(words)), *slots(engine)]
    if engine.is_ours and engine.port is not None:
        parts.append(
            tag(
                "form",
                tag("button", f"Stop the engine on port {engine.port}", type="submit"),
                action=f"/engines/{engine.port}/stop",
                method="post",
                data_action=True,
                data_question=f"Stop {engine.name} on port {engine.port}? Requests that run are cut off.",
            )
        )
    return parts


def _charts(sample: Sample, history: History) -> list[Html]:
    cards = [live.card.index for live in (sample.cards.value if isinstance(sample.cards, Known) else ())]
    engines = [(engine.port or engine.process_id, engine.name) for engine in sample.engines]
    found: list[Html] = []
    for is_coarse in (False, True):
        curves = _curves(history, cards, engines, coarse=is_coarse)
        found += [
            line_chart(series, label=label, most=most or _most(series), unit=unit)
            for label, unit, most, series in curves
            if any(len(points) > 1 for _, points in series)
        ]
    return found or [tag("p", "The first points come in a moment.")]


Series = list[tuple[str, tuple[tuple[float, float], ...]]]


def _curves(
    history: History, cards: list[int], engines: list[tuple[int, str]], *, coarse: bool
) -> list[tuple[str, str, float, Series]]:
    def read(name: str, scale: float = 1.0) -> tuple[tuple[float, float], ...]:
        return tuple((stamp, value * scale) for stamp, value in history.series(name, coarse=coarse))

    speed = [(f"{name or number}", read(f"engine{number}.generated")) for number, name in engines]
    busy = [(f"card {index}", read(f"card{index}.busy_pct")) for index in cards]
    busy.append(("processors", read("cpu.busy_share", 100.0)))
    heat = [(f"card {index}", read(f"card{index}.temperature_c")) for index in cards]
    held = [(f"card {index}", read(f"card{index}.used_bytes", 1 / GIB)) for index in cards]
    held.append(("main memory", read("memory.used_bytes", 1 / GIB)))
    return [
        ("generated", "tokens/s", 0.0, speed),
        ("busy", "%", 100.0, busy),
        ("temperature", "°C", 110.0, heat),
        ("memory held", "GiB", 0.0, held),
    ]


def _most(series: Series) -> float:
    return max((value for _, points in series for _, value in points), default=0.0) * 1.1 or 1.0
