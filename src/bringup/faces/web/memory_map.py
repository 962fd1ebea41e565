"""An engine's memory drawn to scale: weights by layer, KV cache by slot, the plan below what is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bringup.actions.live.engine_map import Compared, EngineMap
from bringup.actions.live.sample import LiveCard, LiveEngine, Share, Use
from bringup.faces.render.format import format_bytes, format_count
from bringup.faces.render.live_cards import share_text
from bringup.faces.web.charts import WIDTH, Row, Slice, part, rows
from bringup.faces.web.html import Html, table, tag
from bringup.plan.layer_map import LayerShare, Piece
from bringup.reading import Known

LOOKS: Final = {
    Use.WEIGHTS: "weights",
    Use.KV_FILLED: "kv-filled",
    Use.KV_RESERVED: "kv-reserved",
    Use.COMPUTE: "compute",
    Use.OVERHEAD: "overhead",
    Use.ENGINE: "engine",
    Use.OTHER: "other",
    Use.UNSEEN: "unseen",
    Use.FREE: "free",
}
_PLANNED: Final = {
    "weights": "weights",
    "KV cache": "kv-reserved",
    "compute": "compute",
    "overhead": "overhead",
}
PIECES: Final = {
    Piece.ATTENTION: "attention",
    Piece.FEED_FORWARD: "feed-forward",
    Piece.EXPERTS: "experts",
    Piece.INPUT: "ends",
    Piece.OUTPUT: "ends",
    Piece.CACHE: "kv-reserved",
    Piece.STATE: "state",
}
_CACHED: Final = (Piece.CACHE, Piece.STATE)
_COLUMN_HEIGHT: Final = 170.0
_MEASURED: Final = (0.0, 52.0)
_PLAN: Final = (57.0, 13.0)


def card_slices(live: LiveCard, engines: Sequence[LiveEngine], maps: dict[int, EngineMap]) -> list[Slice]:
    """A card's shares: weights by layer for an engine whose layers are known, its KV cache by slot."""
    found: list[Slice] = []
    by_process = {engine.process_id: engine for engine in engines}
    done: set[int] = set()
    for share in live.shares:
        engine, mapped = by_process.get(share.process_id), maps.get(share.process_id)
        if share.use is Use.WEIGHTS and mapped is not None:
            device = next((name for name, index in mapped.cards if index == live.card.index), "")
            found += layer_slices(mapped.layers, device, share.size_bytes) or [_share_slice(share)]
        elif share.use in (Use.KV_FILLED, Use.KV_RESERVED) and engine is not None:
            if share.process_id not in done:
                done.add(share.process_id)
                found += slot_slices(engine, _cache_bytes(live, share.process_id))
        else:
            found.append(_share_slice(share))
    return found


def _cache_bytes(live: LiveCard, process_id: int) -> int:
    uses = (Use.KV_FILLED, Use.KV_RESERVED)
    return sum(one.size_bytes for one in live.shares if one.use in uses and one.process_id == process_id)


def _share_slice(share: Share) -> Slice:
    told = share_text(share)
    holder = "" if not share.holder or told.startswith(share.holder) else f" of {share.holder}"
    return Slice(share.size_bytes, LOOKS[share.use], f"{told}{holder}; {origin(share)}")


def origin(share: Share) -> str:
    """Who says so."""
    if share.is_estimate:
        return "by arithmetic from the model's header"
    if share.use in (Use.OTHER, Use.ENGINE, Use.FREE):
        return "by NVML"
    if share.use in (Use.KV_FILLED, Use.KV_RESERVED):
        return "by the engine's log, how full by /slots"
    return (
        "by NVML, less all that is told" if share.use in (Use.UNSEEN, Use.OVERHEAD) else "by the engine's log"
    )


def layer_slices(layers: Iterable[LayerShare], device: str, measured_bytes: int) -> list[Slice]:
    """Weights on one device, layer by layer, experts apart; together as much as was measured."""
    mine = [one for one in layers if one.device == device and _weights(one)]
    planned = sum(_weights(one) for one in mine)
    scale = measured_bytes / planned if planned else 0.0
    found = []
    for number, one in enumerate(mine):
        odd = " odd" if number % 2 else ""
        experts = one.bytes_of(Piece.EXPERTS)
        name = f"{layer_name(one)} on {device}"
        if _weights(one) > experts:
            look = "ends" if one.index is None else f"weights{odd}"
            words = f"{name}: {layer_words(one, without=Piece.EXPERTS)}; by the model's header"
            found.append(Slice((_weights(one) - experts) * scale, look, words))
        if experts:
            words = f"{name}: its experts {format_bytes(experts)}; by the model's header"
            found.append(Slice(experts * scale, f"experts{odd}", words))
    return found


def _weights(one: LayerShare) -> int:
    return one.bytes_of() - one.bytes_of(*_CACHED)


def experts_bytes(layers: Iterable[LayerShare], device: str, measured_bytes: int) -> float:
    """Bytes of the experts among the weights that were measured on one device."""
    mine = [one for one in layers if one.device == device]
    planned = sum(_weights(one) for one in mine)
    return measured_bytes * sum(one.bytes_of(Piece.EXPERTS) for one in mine) / planned if planned else 0.0


def layer_name(one: LayerShare) -> str:
    """`layer 3`, `output`."""
    return f"layer {one.index}" if one.index is not None else " and ".join(p.value for p, _ in one.pieces)


def layer_words(one: LayerShare, *, without: Piece | None = None) -> str:
    """`421 MiB (attention 27 MiB, experts 404 MiB)`, its cache left out."""
    inside = [(piece, size) for piece, size in one.pieces if piece not in _CACHED and piece is not without]
    told = ", ".join(f"{piece.value} {format_bytes(size)}" for piece, size in inside)
    return format_bytes(sum(size for _, size in inside)) + (f" ({told})" if len(inside) > 1 else "")


def slot_slices(engine: LiveEngine, cache_bytes: int) -> list[Slice]:
    """The KV cache by slot: what of each holds tokens, and what is reserved."""
    slots = engine.slots.value if isinstance(engine.slots, Known) else ()
    room = sum(slot.n_ctx for slot in slots)
    name = engine.name or engine.program
    if not slots or not room:
        return [
            Slice(
                cache_bytes,
                "kv-reserved",
                f"KV cache {format_bytes(cache_bytes)} of {name}; how full: not told",
            )
        ]
    found = []
    for slot in slots:
        whole = cache_bytes * slot.n_ctx / room
        filled = whole * min(1.0, (slot.n_filled or 0) / slot.n_ctx) if slot.n_ctx else 0.0
        held = "?" if slot.n_filled is None else format_count(slot.n_filled)
        head = f"KV cache of slot {slot.id} of {name}: {held} of {format_count(slot.n_ctx)} tokens"
        by = "by the engine's log, how full by /slots"
        found.append(Slice(filled, "kv-filled", f"{head}, filled {format_bytes(filled)}; {by}"))
        found.append(
            Slice(whole - filled, "kv-reserved", f"{head}, reserved {format_bytes(whole - filled)}; {by}")
        )
    return found


def planned_slices(compared: Sequence[Compared]) -> list[Slice]:
    """The plan's parts, in the order of what is measured."""
    return [
        Slice(one.planned_bytes, _PLANNED[one.name], f"plan: {one.name} {format_bytes(one.planned_bytes)}")
        for one in compared
        if one.name in _PLANNED
    ]


def two_rows(measured: Sequence[Slice], planned: Sequence[Slice], total: float, *, label: str) -> Html:
    """Measurement above, plan below it, to one scale."""
    found = [Row(measured, *_MEASURED)]
    if planned:
        found.append(Row(planned, *_PLAN))
    return rows(found, total, label=label, kind="tall" if planned else "")


def comparison(compared: Sequence[Compared], *, caption: str) -> Html:
    """Plan and measurement in figures."""
    body = [
        (
            one.name,
            format_bytes(one.planned_bytes),
            "not told" if one.measured_bytes is None else format_bytes(one.measured_bytes),
            _difference(one),
            one.measured_by or "-",
        )
        for one in compared
    ]
    titles = ("of it", "planned", "measured", "difference", "measured by")
    return table(titles, body, caption=caption, right=frozenset({1, 2, 3}))


def _difference(one: Compared) -> str:
    if one.measured_bytes is None:
        return "-"
    difference = one.measured_bytes - one.planned_bytes
    sign = "+" if difference >= 0 else "-"
    return f"{sign}{format_bytes(abs(difference))}"


def layer_columns(layers: Sequence[LayerShare], *, label: str) -> Html:
    """Every layer as a column, to one scale; the strip below says on which device it is."""
    columns = _columns(layers)
    most = max((sum(one.bytes_of() for one in column) for column in columns), default=1)
    step = WIDTH / max(1, len(columns))
    drawn = []
    for number, column in enumerate(columns):
        shapes, y = [], _COLUMN_HEIGHT
        x, width = number * step, step * 0.86
        for piece, size in (pair for one in column for pair in one.pieces):
            height = _COLUMN_HEIGHT * size / most
            y -= height
            shapes.append(tag("rect", x=x, y=y, width=width, height=height, class_=f"use {PIECES[piece]}"))
        shapes += _device_strip(column, x, width)
        drawn.append(part(*shapes, words=_column_words(column)))
    return tag(
        "svg",
        drawn,
        viewBox=f"0 0 {WIDTH:.0f} {_COLUMN_HEIGHT + 14:.0f}",
        preserveAspectRatio="none",
        class_="columns thin",
        role="group",
        aria_label=label,
    )


def _columns(layers: Sequence[LayerShare]) -> list[list[LayerShare]]:
    """Shares of one layer together: the experts of a layer may lie elsewhere than the rest of it."""
    found: dict[object, list[LayerShare]] = {}
    for number, one in enumerate(layers):
        found.setdefault(one.index if one.index is not None else f"end {number}", []).append(one)
    return list(found.values())


def _device_strip(column: Sequence[LayerShare], x: float, width: float) -> Iterable[Html]:
    total = sum(one.bytes_of() for one in column) or 1
    for one in column:
        share = width * one.bytes_of() / total
        look = "on-cpu" if one.device == "CPU" else "on-card"
        yield tag("rect", x=x, y=_COLUMN_HEIGHT + 6, width=share, height=8, class_=f"use {look}")
        x += share


def _column_words(column: Sequence[LayerShare]) -> str:
    told = [f"on {one.device} {layer_words(one)}" for one in column if _weights(one)]
    cache = sum(one.bytes_of(*_CACHED) for one in column)
    cached = f", KV cache {format_bytes(cache)}" if cache else ""
    return f"{layer_name(column[0])}: {'; '.join(told)}{cached}; by the model's header"
