"""What several pages show of engines: name, state, their own chat page, slots, and those that nobody asks."""

from __future__ import annotations

from bringup.actions.live.sample import LiveEngine, Sample
from bringup.engine.answers import Slot
from bringup.faces.render.format import format_bytes, format_count
from bringup.faces.render.live_engines import runs_on, slot_text
from bringup.faces.web.charts import Slice, bar
from bringup.faces.web.html import Html, table, tag
from bringup.faces.web.widgets import key, mapped, pill
from bringup.reading import Known

_SLOTS_SHOWN = 64
_STATES = {"ready": "fine", "failed": "fault", "not asked": ""}
_SLOT_KEY = (
    ("reused", "prompt, reused from the cache"),
    ("read", "prompt, computed"),
    ("generated", "generated"),
    ("kept", "kept of the last request"),
    ("free", "free"),
)


def engine_title(engine: LiveEngine) -> str:
    """`engine 8080: gpt-oss-20b`."""
    where = f"engine {engine.port}" if engine.port is not None else f"process {engine.process_id}"
    return f"{where}: {engine.name or engine.program}"


def engine_state(engine: LiveEngine) -> Html:
    """Its state as a mark."""
    return pill(engine.state, _STATES.get(engine.state, "warn"))


def chat_link(engine: LiveEngine) -> list[Html]:
    """The engine's own page, where it serves one; how to have one where it is ours."""
    if engine.state != "ready" or engine.port is None:
        return []
    if not engine.has_page:
        how = "No chat page: bringup serve --page has the engine serve its own."
        return [tag("p", how, class_="soft small")] if engine.is_ours else []
    link = tag(
        "a", "Chat on the engine's own page", href=f"http://127.0.0.1:{engine.port}/", rel="noreferrer"
    )
    key = " (its settings want your key: bringup serve prints where it is)" if engine.is_ours else ""
    return [tag("p", link, tag("span", key, class_="soft small") if key else None)]


def no_engine(sample: Sample) -> Html:
    """Why no engine is shown."""
    if sample.engines_trouble:
        return tag("p", f"Engines could not be looked for: {sample.engines_trouble}", class_="note warn")
    say = tag("p", "No engine is running. ", tag("code", "bringup serve MODEL"), " starts one.")
    return tag("section", say, class_="panel")


def asked_engines(sample: Sample) -> list[LiveEngine]:
    """Engines that are ours, or of which something is told."""
    return [one for one in sample.engines if one.is_ours or one.state != "not asked"]


def silent_engines(sample: Sample) -> Html:
    """Engines of others that nobody may ask, in one table; nothing where there are none."""
    cards = sample.cards.value if isinstance(sample.cards, Known) else ()
    asked = {id(one) for one in asked_engines(sample)}
    rows = [
        (
            str(one.process_id),
            one.program,
            one.name or "-",
            runs_on(one, cards),
            format_bytes(one.resident_bytes.value) if isinstance(one.resident_bytes, Known) else "-",
        )
        for one in sample.engines
        if id(one) not in asked
    ]
    titles = ("process", "program", "model", "where", "main memory")
    caption = "engines that are not ours: seen, not asked"
    listed = table(titles, rows, caption=caption, right=frozenset({0, 4}))
    return tag("section", listed, class_="panel") if rows else Html("")


def slots(engine: LiveEngine) -> list[Html]:
    """Each slot's window filling up."""
    if not isinstance(engine.slots, Known) or not engine.slots.value:
        return []
    shown = [_slot(slot) for slot in engine.slots.value[:_SLOTS_SHOWN]]
    looks = {look for slot in engine.slots.value for look in (("kept",) if not slot.is_processing else ())}
    legend = [pair for pair in _SLOT_KEY if pair[0] not in ("kept",) or pair[0] in looks]
    return [tag("h4", "Context windows"), tag("div", shown, class_="slots"), key(legend)]


def _slot(slot: Slot) -> Html:
    told = f"slot {slot.id}: {slot_text(slot)}"
    if slot.n_filled is None:
        return tag("p", told)
    parts: tuple[tuple[str, int | None], ...]
    if slot.is_processing:
        parts = (("reused", slot.n_reused), ("read", slot.n_read), ("generated", slot.n_generated))
    else:
        parts = (("kept", slot.n_filled),)
    slices = [
        Slice(count or 0, look, f"slot {slot.id}: {look} {format_count(count or 0)} tokens")
        for look, count in parts
    ]
    drawing = mapped(bar(slices, slot.n_ctx, label=told, kind="slim"))
    return tag("div", tag("p", told, class_="small"), drawing)
