"""What happens now, and the charts of the last minutes and hours."""

from __future__ import annotations

from typing import Final

from bringup.actions.live.history import History
from bringup.actions.live.sample import LiveCard, LiveEngine, Sample
from bringup.actions.live.speed_beside import Against, beside_plan
from bringup.faces.render.format import format_bytes, format_duration, format_percent, format_rate, truncate
from bringup.faces.render.live import COLUMNS, process_row
from bringup.faces.render.live_cards import figure_words
from bringup.faces.render.plan import short_band
from bringup.faces.web.charts import Series, line_chart
from bringup.faces.web.html import Html, join, table, tag
from bringup.faces.web.pages.engines import (
    asked_engines,
    chat_link,
    engine_state,
    engine_title,
    no_engine,
    silent_engines,
    slots,
)
from bringup.faces.web.pages.memory import card_bar, each_card
from bringup.faces.web.widgets import Tile, panel, tiles
from bringup.machine import clock
from bringup.reading import Known, Reading
from bringup.units import GIB

_COMMAND_COLUMNS: Final = 160
_HOT_C: Final = 80
_QUIET: Final = frozenset({"idle"})
_NAMES: Final = {"USER": "user", "CARD": "card", "COMMAND": "command"}


def live_parts(sample: Sample, history: History) -> dict[str, Html]:
    """The page's parts."""
    rows = [_short(process_row(process)) for process in sample.processes]
    titles = tuple(_NAMES.get(column.title, column.title) for column in COLUMNS)
    right = frozenset(at for at, column in enumerate(COLUMNS) if column.right)
    caption = "processes that hold memory, the largest first"
    nothing = tag("p", "No process that holds memory could be seen.")
    listed = table(titles, rows, caption=caption, right=right) if rows else nothing
    return {
        "now": _now(sample),
        "cards": join([tag("h2", "Cards"), *each_card(sample, _figures)]),
        "engines": join([tag("h2", "Engines"), *_engines(sample)]),
        "charts": tag("div", _charts(sample, history), class_="charts"),
        "processes": join([tag("h2", "Processes"), tag("section", listed, class_="panel")]),
    }


def span_choice() -> Html:
    """Which charts are shown; it needs no script."""
    options = [
        tag(
            "label",
            tag("input", type="radio", name="span", id=f"span-{name}", checked=name == "minutes"),
            words,
        )
        for name, words in (("minutes", "ten minutes"), ("hours", "twelve hours"))
    ]
    choice = tag("fieldset", tag("legend", "span of the charts"), options, class_="spans")
    keys = tag(
        "p", "In a chart the arrow keys, Page Up, Page Down, Home and End read out the values.", class_="said"
    )
    return tag("div", tag("h2", "Over time"), keys, choice, class_="head")


def _short(cells: tuple[str, ...]) -> tuple[str, ...]:
    return (*cells[:-1], truncate(cells[-1], _COMMAND_COLUMNS))


def _now(sample: Sample) -> Html:
    found = [
        Tile("at", clock.local_time_text(sample.taken_s)[11:19], clock.local_time_text(sample.taken_s)[:10])
    ]
    if isinstance(sample.cpu_share, Known):
        of = f"of {sample.cpus.value} CPUs" if isinstance(sample.cpus, Known) else ""
        found.append(Tile("processors busy", format_percent(sample.cpu_share.value), of))
    if isinstance(sample.memory.floors, Known):
        floors = sample.memory.floors.value
        free, total = format_bytes(floors.available_bytes), format_bytes(floors.total_bytes)
        found.append(Tile("main memory to take", free, f"of {total}"))
        swapped = floors.swap_total_bytes - floors.swap_free_bytes
        if floors.swap_total_bytes:
            found.append(
                Tile("swap in use", format_bytes(swapped), f"of {format_bytes(floors.swap_total_bytes)}")
            )
    rates = [one.speed.generated_now for one in sample.engines if one.speed.generated_now is not None]
    if rates:
        found.append(Tile("generated now", f"{sum(rates):.1f}", "tokens/s"))
    return tiles(found)


def _figures(live: LiveCard) -> list[Html]:
    card, load = live.card, live.load
    found: list[Tile] = []

    def take(name: str, reading: Reading[int], form: str, note: str = "", *, warns: bool = False) -> None:
        if isinstance(reading, Known):
            found.append(Tile(name, form.format(reading.value), note, "warn" if warns else ""))

    take("busy", load.busy_pct, "{} %")
    take("memory busy", load.memory_busy_pct, "{} %")
    is_hot = isinstance(card.temperature_c, Known) and card.temperature_c.value >= _HOT_C
    take("temperature", card.temperature_c, "{} °C", warns=is_hot)
    if isinstance(card.power_mw, Known):
        limit = (
            f"of {card.power_limit_mw.value / 1000:.0f} W" if isinstance(card.power_limit_mw, Known) else "W"
        )
        found.append(Tile("power", f"{card.power_mw.value / 1000:.0f}", limit))
    most = f"of {card.clock_most_mhz.value:,} MHz" if isinstance(card.clock_most_mhz, Known) else "MHz"
    take("clock", card.clock_mhz, "{:,}", most)
    take("fan", load.fan_pct, "{} %")
    link = next((word for word in figure_words(live) if word.startswith("PCIe")), "")
    if link and "?" not in link:
        now, _, rest = link.removeprefix("PCIe ").partition(" (")
        found.append(Tile("PCIe", now, rest.rstrip(")")))
    if isinstance(load.traffic_in_bytes_per_s, Known) and isinstance(load.traffic_out_bytes_per_s, Known):
        out = f"in, {format_rate(load.traffic_out_bytes_per_s.value)} out"
        found.append(Tile("traffic", format_rate(load.traffic_in_bytes_per_s.value), out))
    reasons = card.clock_reasons.value if isinstance(card.clock_reasons, Known) else ()
    held = [reason for reason in reasons if reason not in _QUIET]
    if held:
        found.append(Tile("held down by", ", ".join(held), look="warn"))
    return [tiles(found), card_bar(live)]


def _engines(sample: Sample) -> list[Html]:
    if not sample.engines:
        return [no_engine(sample)]
    asked = asked_engines(sample)
    shown = [panel(engine_title(one), *_engine(one), right=engine_state(one), below=True) for one in asked]
    return [*shown, silent_engines(sample)]


def _engine(engine: LiveEngine) -> list[Html]:
    parts: list[Html] = []
    if engine.trouble and engine.state != "ready":
        parts.append(tag("p", engine.trouble, class_="note warn"))
    parts += [tiles(_engine_tiles(engine)), *slots(engine), *chat_link(engine)]
    if engine.is_ours and engine.port is not None:
        stop = tag("button", f"Stop the engine on port {engine.port}", type="submit")
        question = f"Stop {engine.name} on port {engine.port}? Requests that run are cut off."
        action = f"/engines/{engine.port}/stop"
        parts.append(
            tag(
                "form",
                stop,
                action=action,
                method="post",
                data_action=True,
                data_question=question,
                class_="needs-script",
            )
        )
    return parts


def _engine_tiles(engine: LiveEngine) -> list[Tile]:
    found: list[Tile] = []
    speed = engine.speed
    told = (
        ("generates", speed.generated_now, "tokens/s"),
        ("reads", speed.read_now, "tokens/s"),
        ("generated lately", speed.generated_lately, f"tokens/s in {format_duration(speed.lately_s)}"),
        ("read lately", speed.read_lately, f"tokens/s in {format_duration(speed.lately_s)}"),
    )
    if engine.state == "ready":
        found += [Tile(name, f"{value:,.1f}", unit) for name, value, unit in told if value is not None]
    found += _planned_tiles(engine)
    if isinstance(engine.totals, Known) and engine.totals.value.requests_waiting is not None:
        waiting = engine.totals.value.requests_waiting
        found.append(Tile("waiting", str(waiting), "requests", "warn" if waiting else ""))
    if isinstance(engine.resident_bytes, Known):
        found.append(Tile("main memory", format_bytes(engine.resident_bytes.value)))
    return found


def _planned_tiles(engine: LiveEngine) -> list[Tile]:
    """The plan's speeds at the depth that the engine is at, and how the measured ones lie beside them."""
    told = beside_plan(engine) if engine.state == "ready" else None
    found: list[Tile] = []
    for name, beside in zip(("planned, generates", "planned, reads"), told or (), strict=False):
        judged = f"; measured is {beside.against.value}" if beside.against is not None else ""
        look = "warn" if beside.against is Against.BELOW else ""
        planned, _, band = short_band(beside.planned).partition(" ")
        found.append(Tile(name, planned, f"tokens/s {band}{judged}", look))
    return found


def _charts(sample: Sample, history: History) -> list[Html]:
    cards = [live.card.index for live in (sample.cards.value if isinstance(sample.cards, Known) else ())]
    engines = [(engine.port or engine.process_id, engine.name) for engine in sample.engines]
    found: list[Html] = []
    for is_coarse in (False, True):
        for label, unit, most, series in _curves(history, cards, engines, coarse=is_coarse):
            told = [(name, points) for name, points in series if points]
            if any(len(points) > 1 for _, points in told):
                span = told[0][1][-1][0] - min(points[0][0] for _, points in told)
                look, note = (
                    ("coarse-chart", "a mean each 15 s") if is_coarse else ("fine-chart", "each look")
                )
                note = f"{note}, {format_duration(span)}"
                found.append(
                    line_chart(told, label=label, most=most or _most(told), unit=unit, note=note, look=look)
                )
    return found or [tag("p", "The first points come in a moment.")]


def _curves(
    history: History, cards: list[int], engines: list[tuple[int, str]], *, coarse: bool
) -> list[tuple[str, str, float, Series]]:
    def read(name: str, scale: float = 1.0) -> tuple[tuple[float, float], ...]:
        return tuple((stamp, value * scale) for stamp, value in history.series(name, coarse=coarse))

    speed = [(f"{name or number}", read(f"engine{number}.generated")) for number, name in engines]
    reading = [(f"{name or number}", read(f"engine{number}.read")) for number, name in engines]
    filled = [(f"{name or number}", read(f"engine{number}.filled", 100.0)) for number, name in engines]
    busy = [(f"card {index}", read(f"card{index}.busy_pct")) for index in cards]
    busy.append(("processors", read("cpu.busy_share", 100.0)))
    heat = [(f"card {index}", read(f"card{index}.temperature_c")) for index in cards]
    power = [(f"card {index}", read(f"card{index}.power_mw", 0.001)) for index in cards]
    held = [(f"card {index}", read(f"card{index}.used_bytes", 1 / GIB)) for index in cards]
    held.append(("main memory", read("memory.used_bytes", 1 / GIB)))
    return [
        ("Generated", "tokens/s", 0.0, speed),
        ("Prompts read", "tokens/s", 0.0, reading),
        ("Context filled", "%", 100.0, filled),
        ("Busy", "%", 100.0, busy),
        ("Temperature", "°C", 110.0, heat),
        ("Power", "W", 0.0, power),
        ("Memory held", "GiB", 0.0, held),
    ]


def _most(series: Series) -> float:
    """A round figure above all values."""
    most = max((value for _, points in series for _, value in points), default=0.0)
    if most <= 0:
        return 1.0
    step = 10.0 ** (len(str(int(most))) - 1)
    return step * next(times for times in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * times >= most)
