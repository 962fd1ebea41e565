"""Memory as maps to scale: each card by holder, main memory floor by floor, each engine layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bringup.actions.live.engine_map import Compared, EngineMap, compare
from bringup.actions.live.sample import LiveCard, LiveEngine, Sample, Use
from bringup.faces.render.format import format_bytes
from bringup.faces.render.live import cards_lines
from bringup.faces.render.live_cards import share_text
from bringup.faces.render.live_engines import runs_on
from bringup.faces.web.charts import Slice, axis, bar
from bringup.faces.web.html import Html, join, table, tag
from bringup.faces.web.memory_map import (
    LOOKS,
    PIECES,
    card_slices,
    comparison,
    experts_bytes,
    layer_columns,
    layer_slices,
    origin,
    planned_slices,
    slot_slices,
    two_rows,
)
from bringup.faces.web.pages.engines import (
    asked_engines,
    engine_state,
    engine_title,
    no_engine,
    silent_engines,
    slots,
)
from bringup.faces.web.pages.house import house
from bringup.faces.web.widgets import key, mapped, more, panel, pill
from bringup.reading import NOT_LOOKED, Known, Reading

Maps = Callable[[LiveEngine, Sequence[LiveCard]], Reading[EngineMap]]
"""Gives an engine's memory layer by layer, as far as it was worked out."""

_LAYER_KEY = (
    ("attention", "attention"),
    ("feed-forward", "feed-forward"),
    ("experts", "experts"),
    ("kv-reserved", "KV cache"),
    ("state", "recurrent state"),
    ("ends", "token embedding, output"),
)


def memory_parts(sample: Sample, maps: Maps) -> dict[str, Html]:
    """The page's parts."""
    cards = sample.cards.value if isinstance(sample.cards, Known) else ()
    readings = {engine.process_id: maps(engine, cards) for engine in sample.engines}
    drawn = {number: one.value for number, one in readings.items() if isinstance(one, Known)}
    return {
        "cards": join(
            [tag("h2", "Memory of the cards"), *each_card(sample, lambda live: _card(live, sample, drawn))]
        ),
        "ram": join([tag("h2", "Main memory, floor by floor"), house(sample)]),
        "windows": join([tag("h2", "Engines, layer by layer"), *_engines(sample, readings)]),
    }


def plain_lines(lines: Iterable[tuple[object, ...]]) -> Html:
    """Lines of the terminal's drawing as paragraphs."""
    return join([tag("p", "".join(getattr(piece, "text", str(piece)) for piece in line)) for line in lines])


def each_card(sample: Sample, told: Callable[[LiveCard], list[Html]]) -> list[Html]:
    """A panel for each card with what is told of it, or its trouble; without a card, why there is none."""
    if not isinstance(sample.cards, Known) or not sample.cards.value:
        return [tag("section", plain_lines(cards_lines(sample, width_columns=100)), class_="panel")]
    found = []
    for live in sample.cards.value:
        name = live.card.name.value if isinstance(live.card.name, Known) else "a card without a name"
        if isinstance(live.card.trouble, Known):
            body = [tag("p", live.card.trouble.value.words, class_="note fault")]
            found.append(
                panel(f"card {live.card.index}: {name}", *body, right=pill("fault", "fault"), below=True)
            )
        else:
            note = ", ".join(engine_holders(live).values())
            title = f"card {live.card.index}: {name}"
            found.append(panel(title, *told(live), note=note, right=_held(live), below=True))
    return found


def _held(live: LiveCard) -> str:
    if not isinstance(live.card.memory, Known):
        return ""
    memory = live.card.memory.value
    return f"{format_bytes(memory.total_bytes - memory.free_bytes)} of {format_bytes(memory.total_bytes)}"


def card_bar(live: LiveCard) -> Html:
    """One card's memory with its legend, by holder."""
    if not isinstance(live.card.memory, Known):
        return tag("p", "The driver does not tell this card's memory.")
    slices = card_slices(live, (), {})
    drawing = bar(slices, live.card.memory.value.total_bytes, label=f"memory of card {live.card.index}")
    return join([mapped(drawing), _legend(live)])


def _legend(live: LiveCard, drawn: dict[int, EngineMap] | None = None) -> Html:
    """Look and words of each share; who holds it only where more than one engine does."""
    named = engine_holders(live) if len(engine_holders(live)) > 1 else {}
    entries: list[tuple[str, str]] = []
    for share in live.shares:
        holder = named.get(share.process_id, "")
        entries.append((LOOKS[share.use], _words(share_text(share), holder)))
        mapped_to = (drawn or {}).get(share.process_id)
        if share.use is Use.WEIGHTS and mapped_to is not None:
            device = next((name for name, index in mapped_to.cards if index == live.card.index), "")
            experts = experts_bytes(mapped_to.layers, device, share.size_bytes)
            entries += [("experts", f"experts in them {format_bytes(experts)}")] if experts else []
    return key(entries)


def engine_holders(live: LiveCard) -> dict[int, str]:
    """The engines on a card: process and name."""
    others = (Use.OTHER, Use.UNSEEN, Use.FREE)
    return {share.process_id: share.holder for share in live.shares if share.use not in others}


def _words(told: str, holder: str) -> str:
    return told if not holder or told.startswith(holder) else f"{told} ({holder})"


def _card(live: LiveCard, sample: Sample, drawn: dict[int, EngineMap]) -> list[Html]:
    if not isinstance(live.card.memory, Known):
        return [tag("p", "The driver does not tell this card's memory.")]
    total = live.card.memory.value.total_bytes
    planned = _planned_row(live, sample, drawn)
    label = f"memory of card {live.card.index}, {'measured above, planned below' if planned else 'measured'}"
    drawing = two_rows(card_slices(live, sample.engines, drawn), planned, total, label=label)
    marks = axis(["0", *(format_bytes(total * share) for share in (0.25, 0.5, 0.75, 1.0))])
    rows = [
        (*_share_cells(share.use.value, share.holder, share.size_bytes), origin(share))
        for share in live.shares
    ]
    titles = ("for", "holder", "size", "who says so")
    figures = table(titles, rows, caption=f"card {live.card.index} in figures", right=frozenset({2}))
    below = (
        tag("p", "above: measured · below: the plan, to the same scale", class_="rows")
        if planned
        else Html("")
    )
    return [
        mapped(drawing, marks),
        below,
        _legend(live, drawn),
        more("as a table", figures, id_=f"card-{live.card.index}-table"),
    ]


def _share_cells(use: str, holder: str, size_bytes: int) -> tuple[str, str, str]:
    return use, holder or "-", format_bytes(size_bytes)


def _planned_row(live: LiveCard, sample: Sample, drawn: dict[int, EngineMap]) -> list[Slice]:
    """Each engine's plan, beginning where what is measured of it begins."""
    found: list[Slice] = []
    at = taken = 0
    seen: set[int] = set()
    for share in live.shares:
        mapped_to = drawn.get(share.process_id)
        if mapped_to is not None and share.process_id not in seen:
            seen.add(share.process_id)
            engine = next(one for one in sample.engines if one.process_id == share.process_id)
            device = next((name for name, index in mapped_to.cards if index == live.card.index), "")
            slices = planned_slices(compare(mapped_to, engine, device, live)) if device else []
            found += [Slice(max(0, at - taken), "", ""), *slices]
            taken = max(at, taken) + sum(round(one.amount) for one in slices)
        at += share.size_bytes
    return found if any(one.look for one in found) else []


def _engines(sample: Sample, readings: dict[int, Reading[EngineMap]]) -> list[Html]:
    if not sample.engines:
        return [no_engine(sample)]
    cards = sample.cards.value if isinstance(sample.cards, Known) else ()
    found = []
    for engine in asked_engines(sample):
        build = f" {engine.build}" if engine.build else ""
        body = [*slots(engine), *_layers(engine, cards, readings[engine.process_id]), *_buffers(engine)]
        body = body or [tag("p", "It does not tell what it holds.", class_="soft")]
        note = f"{engine.program}{build}, {runs_on(engine, cards)}"
        found.append(panel(engine_title(engine), *body, note=note, right=engine_state(engine), below=True))
    return [*found, silent_engines(sample)]


def _layers(engine: LiveEngine, cards: Sequence[LiveCard], reading: Reading[EngineMap]) -> list[Html]:
    if not isinstance(reading, Known):
        why = "" if reading is NOT_LOOKED else getattr(reading, "why", "")
        return (
            [tag("p", f"Its layers cannot be told: {why}.", class_="soft")]
            if why and engine.model_path
            else []
        )
    found = reading.value
    by_number = {live.card.index: live for live in cards}
    numbers = dict(found.cards)
    body = [
        tag("h4", "Every layer's weights and cache, to one scale"),
        mapped(layer_columns(found.layers, label=f"layers of {engine.name}"), axis(_ends(found))),
        key(
            [*_present(found), *([("on-card", "on a card")] if numbers else []), ("on-cpu", "in main memory")]
        ),
    ]
    tables = []
    for device in found.devices:
        card = by_number.get(numbers[device]) if device in numbers else None
        compared = compare(found, engine, device, card)
        if card is None:
            body += _in_main_memory(engine, found, compared, device)
        where = f"card {card.card.index} ({device})" if card is not None else "main memory"
        tables.append(comparison(compared, caption=f"plan and measurement on {where}"))
    told = tag("p", f"The plan follows {found.told_by}, by the model's header.", class_="soft small")
    return [*body, more("plan and measurement in figures", *tables, told, id_=f"plan-{engine.process_id}")]


def _present(found: EngineMap) -> list[tuple[str, str]]:
    """The legend of the layers, as far as there is any of it."""
    looks = {PIECES[piece] for one in found.layers for piece, _ in one.pieces}
    return [pair for pair in _LAYER_KEY if pair[0] in looks]


def _ends(found: EngineMap) -> list[str]:
    layers = [one.index for one in found.layers if one.index is not None]
    first, last = found.layers[0], found.layers[-1]
    names = ["embedding" if first.index is None else "layer 0", f"layer {max(layers, default=0) // 2}"]
    return [*names, "output" if last.index is None else f"layer {max(layers, default=0)}"]


def _in_main_memory(
    engine: LiveEngine, found: EngineMap, compared: Sequence[Compared], device: str
) -> list[Html]:
    """What it has in main memory, to the scale of that; where its log does not tell, as planned."""
    sizes = {
        one.name: one.planned_bytes if one.measured_bytes is None else one.measured_bytes for one in compared
    }
    is_measured = compared[0].measured_bytes is not None
    slices = [
        *layer_slices(found.layers, device, sizes["weights"]),
        *(slot_slices(engine, sizes["KV cache"]) if sizes["KV cache"] else []),
        Slice(sizes["compute"], "compute", f"compute {format_bytes(sizes['compute'])}"),
        Slice(sizes["overhead"], "overhead", f"overhead {format_bytes(sizes['overhead'])}, as planned"),
    ]
    total = max(sum(one.amount for one in slices), sum(one.planned_bytes for one in compared[:-1]))
    drawing = two_rows(
        slices,
        planned_slices(compared) if is_measured else [],
        total,
        label=f"main memory of {engine.name or engine.program}",
    )
    words = (
        "measured above, planned below" if is_measured else "as planned: its log does not tell its buffers"
    )
    resident = compared[-1].measured_bytes
    held = f"; {format_bytes(resident)} of the process are in memory now" if resident is not None else ""
    legend = (
        ("weights", "weights"),
        ("kv-filled", "KV cache, filled"),
        ("kv-reserved", "KV cache, reserved"),
    )
    return [
        tag("h4", f"In main memory, {words}{held}"),
        mapped(drawing, axis(["0", format_bytes(total / 2), format_bytes(total)])),
        key((*legend, ("compute", "compute"), ("overhead", "overhead"))),
    ]


def _buffers(engine: LiveEngine) -> list[Html]:
    if not isinstance(engine.memory, Known):
        return []
    memory = engine.memory.value
    rows = [(one.use.value, one.device, format_bytes(one.size_bytes)) for one in memory.buffers]
    caption = f"buffers, by {'arithmetic from ' if memory.is_estimate else ''}{memory.source}"
    figures = table(("buffer", "device", "size"), rows, caption=caption, right=frozenset({2}))
    return [more("its buffers", figures, id_=f"buffers-{engine.process_id}")]
