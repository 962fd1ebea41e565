"""One engine as lines: what it is, how fast, and each slot's part of the context window filling up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bringup.actions.live.sample import LiveCard, LiveEngine
from bringup.actions.live.speed_beside import Against, Beside, beside_plan
from bringup.engine.answers import Slot
from bringup.faces.render.bars import Segment, level_style, stacked_bar
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.flow import side_by_side
from bringup.faces.render.format import format_bytes, format_count, format_duration, format_token_rate
from bringup.reading import Known

Line = tuple[str | Styled, ...]

_SLOTS_SHOWN: Final = 16
_STALE_S: Final = 3.0
_STATES: Final = {"ready": Style.GREEN, "starting": Style.CYAN, "not asked": Style.DIM}


def engine_lines(engine: LiveEngine, cards: Sequence[LiveCard], *, width_columns: int) -> list[Line]:
    """Head, speed, slots."""
    where = f"engine {engine.port}" if engine.port is not None else f"process {engine.process_id}"
    state = Styled(engine.state, _STATES.get(engine.state, Style.YELLOW))
    build = f"{engine.program} {engine.build}".rstrip()
    head: list[str | Styled] = [Styled(where, Style.BOLD), "  "]
    head += [f"{engine.name}  ", state, f"  {build}"] if engine.name else [f"{build}  ", state]
    head.append(f", {runs_on(engine, cards)}")
    if engine.state == "not asked":
        return [(*head, *_ram_words(engine, ", "))]
    lines: list[Line] = [tuple(head)]
    if engine.trouble and engine.state not in ("ready", "not asked"):
        lines.append(("  ", Styled(engine.trouble, Style.YELLOW)))
    lines += _facts(engine, width_columns)
    slots = engine.slots.value if isinstance(engine.slots, Known) else ()
    lines += [_slot_line(slot, width_columns) for slot in slots[:_SLOTS_SHOWN]]
    if len(slots) > _SLOTS_SHOWN:
        lines.append((f"  and {len(slots) - _SLOTS_SHOWN} more slots",))
    return lines


def runs_on(engine: LiveEngine, cards: Sequence[LiveCard]) -> str:
    """The device that it really runs on: where the driver sees it, not what it was asked for."""
    on_cards = [
        str(card.card.index)
        for card in cards
        if isinstance(card.card.processes, Known)
        and any(process.process_id == engine.process_id for process in card.card.processes.value)
    ]
    if on_cards:
        return f"on card {', '.join(on_cards)}"
    if isinstance(engine.has_cuda, Known):
        return "CUDA loaded, on no card that shows it" if engine.has_cuda.value else "on the CPU"
    return "device unknown"


def _facts(engine: LiveEngine, width_columns: int) -> list[Line]:
    words: list[str | Styled] = []
    if engine.state == "ready":
        words += speed_words(engine)
    if isinstance(engine.totals, Known) and engine.totals.value.requests_waiting is not None:
        words.append(f"{engine.totals.value.requests_waiting} waiting")
    words += _ram_words(engine)
    if engine.age_s > _STALE_S:
        words.append(f"as of {format_duration(engine.age_s)} ago")
    return side_by_side(words, width_columns)


def _ram_words(engine: LiveEngine, before: str = "") -> list[str]:
    if not isinstance(engine.resident_bytes, Known):
        return []
    return [f"{before}RAM {format_bytes(engine.resident_bytes.value)}"]


def speed_words(engine: LiveEngine) -> list[str | Styled]:
    """Now, by the plan, and lately; `?` where nothing tells."""
    speed = engine.speed
    generation, prompt = beside_plan(engine) or (None, None)

    def told(value: float | None) -> str:
        return "? tokens/s" if value is None else format_token_rate(value)

    words: list[str | Styled] = [
        f"generates {told(speed.generated_now)}",
        *_beside(generation),
        f"reads {told(speed.read_now)}",
        *_beside(prompt),
    ]
    lately = [("generated", speed.generated_lately), ("read", speed.read_lately)]
    told_lately = ", ".join(f"{name} {told(value)}" for name, value in lately if value is not None)
    return [*words, f"last {format_duration(speed.lately_s)}: {told_lately}"] if told_lately else words


def _beside(beside: Beside | None) -> list[str | Styled]:
    """`(plan 38 to 47: as planned)`."""
    if beside is None:
        return []
    low, high = (f"{rate:,.{0 if rate >= 20 else 1}f}" for rate in (beside.planned.low, beside.planned.high))
    if beside.against is None:
        return [Styled(f"(plan {low} to {high})", Style.DIM)]
    style = Style.YELLOW if beside.against is Against.BELOW else Style.DIM
    return [Styled(f"(plan {low} to {high}: {beside.against.value})", style)]


def _slot_line(slot: Slot, width_columns: int) -> Line:
    told = slot_text(slot)
    bar_columns = max(10, min(40, width_columns - 10 - len(told) - 2))
    return (f"  slot {slot.id:<2} ", *slot_bar(slot, bar_columns), "  ", told)


def slot_bar(slot: Slot, width_columns: int) -> tuple[Styled, ...]:
    """The window to scale: reused, read, generated; what is kept of an ended request is one dim part."""
    filled = slot.n_filled
    if filled is None:
        return (Styled("?" * width_columns, Style.DIM),)
    style = level_style(filled / slot.n_ctx if slot.n_ctx else 0.0)
    if not slot.is_processing:
        return stacked_bar((Segment(filled, "▒", Style.DIM),), slot.n_ctx, width_columns)
    segments = (
        Segment(slot.n_reused or 0, "▓", Style.CYAN),
        Segment(slot.n_read or 0, "▒", Style.BLUE),
        Segment(slot.n_generated or 0, "█", style),
    )
    return stacked_bar(segments, slot.n_ctx, width_columns)


def slot_text(slot: Slot) -> str:
    """`812 of 8,192: reused 400, read 100, generated 312`."""
    if slot.n_filled is None:
        return f"? of {format_count(slot.n_ctx)}{', working' if slot.is_processing else ''}"
    head = f"{format_count(slot.n_filled)} of {format_count(slot.n_ctx)}"
    if not slot.is_processing:
        return f"{head} kept" if slot.n_filled else f"{head} idle"
    parts = [f"reused {format_count(slot.n_reused or 0)}", f"read {format_count(slot.n_read or 0)}"]
    if slot.n_prompt_left:
        parts.append(f"{format_count(slot.n_prompt_left)} of the prompt left")
    parts.append(f"generated {format_count(slot.n_generated or 0)}")
    return f"{head}: {', '.join(parts)}"
