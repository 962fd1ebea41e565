"""Memory as maps to scale: each card by holder, main memory by floor, the context window by slot."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bringup.actions.live import LiveCard, LiveEngine, Sample, Use
from bringup.engine.answers import Slot
from bringup.faces.render.format import format_bytes, format_count
from bringup.faces.render.live import cards_lines
from bringup.faces.render.live_cards import share_text
from bringup.faces.render.live_engines import runs_on, slot_text
from bringup.faces.web.charts import Slice, bar
from bringup.faces.web.html import Html, join, table, tag
from bringup.reading import Known


def memory_parts(sample: Sample) -> dict[str, Html]:
    """The page's parts."""
    return {
        "cards": join([tag("h2", "Memory of the cards"), *each_card(sample, _shares)]),
        "ram": join([tag("h2", "Main memory, floor by floor"), _floors(sample)]),
        "windows": join([tag("h2", "Context windows and buffers"), *_engines(sample)]),
    }


def plain_lines(lines: Iterable[tuple[object, ...]]) -> Html:
    """Lines of the terminal's drawing as paragraphs."""
    return join([tag("p", "".join(getattr(piece, "text", str(piece)) for piece in line)) for line in lines])


def swatch(look: str) -> Html:
    """The colour of a part, in the legend."""
    return tag(
        "svg",
        tag("rect", width=12, height=12, class_=f"use {look}"),
        viewBox="0 0 12 12",
        class_="swatch",
        aria_hidden="true",
    )


def key(slices: Iterable[Slice]) -> Html:
    """A legend: colour and words."""
    return tag("ul", [tag("li", swatch(one.look), " ", one.words) for one in slices], class_="key")


def card_bar(live: LiveCard) -> Html:
    """One card's memory with its legend."""
    memory = live.card.memory
    if not isinstance(memory, Known):
        return tag("p", "The driver does not tell this card's memory.")
    slices = [
        Slice(
            share.size_bytes,
            share.use.name.lower().replace("_", "-"),
            _words(share_text(share), share.holder),
        )
        for share in live.shares
    ]
    total = memory.value.total_bytes
    return join([bar(slices, total, label=f"memory of card {live.card.index}"), key(slices)])


def _words(told: str, holder: str) -> str:
    return told if not holder or told.startswith(holder) else f"{told} ({holder})"


def card_title(live: LiveCard) -> str:
    """`card 0: NVIDIA GeForce RTX 3080 Ti`."""
    name = live.card.name.value if isinstance(live.card.name, Known) else "a card without a name"
    return f"card {live.card.index}: {name}"


def each_card(sample: Sample, told: Callable[[LiveCard], list[Html]]) -> list[Html]:
    """Each card's title with what is told of it, or its trouble; without a card, why there is none."""
    if not isinstance(sample.cards, Known) or not sample.cards.value:
        return [plain_lines(cards_lines(sample, width_columns=100))]
    found = []
    for live in sample.cards.value:
        found.append(tag("h3", card_title(live)))
        if isinstance(live.card.trouble, Known):
            found.append(tag("p", live.card.trouble.value.words))
        else:
            found += told(live)
    return found


def _shares(live: LiveCard) -> list[Html]:
    rows = [
        (
            share.use.value,
            share.holder or "-",
            format_bytes(share.size_bytes),
            _origin(share.use, is_estimate=share.is_estimate),
        )
        for share in live.shares
    ]
    titles = ("for", "holder", "size", "who says so")
    caption = f"card {live.card.index} in figures"
    return [card_bar(live), table(titles, rows, caption=caption, right=frozenset({2}))]


def _origin(use: Use, *, is_estimate: bool) -> str:
    if is_estimate:
        return "arithmetic from the model's header"
    if use in (Use.OTHER, Use.ENGINE, Use.FREE):
        return "NVML"
    if use in (Use.KV_FILLED, Use.KV_RESERVED):
        return "the engine's log; how full by /slots"
    return "NVML, less all that is told" if use in (Use.UNSEEN, Use.OVERHEAD) else "the engine's log"


def _floors(sample: Sample) -> Html:
    if not isinstance(sample.memory.floors, Known):
        return tag("p", "Main memory could not be looked at.")
    floors = sample.memory.floors.value
    models = sum(
        engine.model_cached_bytes.value
        for engine in sample.engines
        if isinstance(engine.model_cached_bytes, Known)
    )
    models = min(models, floors.cache_bytes)
    rows = (
        ("kernel and drivers", "kernel", floors.kernel_bytes + floors.other_bytes),
        ("programs", "programs", floors.programs_bytes + floors.huge_bytes),
        ("shared memory", "shared", floors.shared_bytes),
        ("page cache: model files", "model-cache", models),
        ("page cache: other files", "cache", floors.cache_bytes - models),
        ("free", "free", floors.free_bytes),
    )
    slices = [Slice(size, look, f"{name} {format_bytes(size)}") for name, look, size in rows]
    swapped = floors.swap_total_bytes - floors.swap_free_bytes
    swap = f"{format_bytes(swapped)} of {format_bytes(floors.swap_total_bytes)} swap in use"
    told = [
        f"{format_bytes(floors.available_bytes)} of {format_bytes(floors.total_bytes)} can still be taken"
    ]
    told.append(swap if floors.swap_total_bytes else "no swap")
    if isinstance(sample.memory.pressure, Known):
        waited_pct = sample.memory.pressure.value.some_pct
        told.append(f"tasks waited for memory in {waited_pct:.0f} % of the last ten seconds")
    return join(
        [
            bar(slices, floors.total_bytes, label="main memory"),
            key(slices),
            tag("p", "; ".join(told), ". Source: /proc/meminfo"),
        ]
    )


def _engines(sample: Sample) -> list[Html]:
    if not sample.engines:
        why = f"Engines could not be looked for: {sample.engines_trouble}" if sample.engines_trouble else ""
        return [tag("p", why or "No engine is running.")]
    cards = sample.cards.value if isinstance(sample.cards, Known) else ()
    found = []
    for engine in sample.engines:
        found.append(tag("h3", engine_title(engine)))
        found.append(tag("p", f"{engine.state}, {engine.program} {engine.build}, {runs_on(engine, cards)}"))
        found += slots(engine)
        if isinstance(engine.memory, Known):
            memory = engine.memory.value
            rows = [(one.use.value, one.device, format_bytes(one.size_bytes)) for one in memory.buffers]
            caption = f"buffers, by {'arithmetic from ' if memory.is_estimate else ''}{memory.source}"
            found.append(table(("buffer", "device", "size"), rows, caption=caption, right=frozenset({2})))
    return found


def engine_title(engine: LiveEngine) -> str:
    """`engine 8080: gpt-oss-20b`."""
    where = f"engine {engine.port}" if engine.port is not None else f"process {engine.process_id}"
    return f"{where}: {engine.name or engine.program}"


def slots(engine: LiveEngine) -> list[Html]:
    """Each slot's window filling up."""
    if not isinstance(engine.slots, Known):
        return []
    return [_slot(slot) for slot in engine.slots.value[:64]]


def _slot(slot: Slot) -> Html:
    told = f"slot {slot.id}: {slot_text(slot)}"
    if slot.n_filled is None:
        return tag("p", told)
    parts: tuple[tuple[str, int | None], ...]
    if slot.is_processing:
        parts = (("reused", slot.n_reused), ("read", slot.n_read), ("generated", slot.n_generated))
    else:
        parts = (("kept", slot.n_filled),)
    slices = [Slice(count or 0, look, f"{look} {format_count(count or 0)} tokens") for look, count in parts]
    return join([tag("p", told), bar(slices, slot.n_ctx, label=told, height=18.0)])
