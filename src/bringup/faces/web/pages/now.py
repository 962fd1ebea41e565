"""What a term is at this very moment, for terms that a sample has figures of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bringup.actions.explaining.terms_reader import find_term
from bringup.actions.live.sample import LiveCard, LiveEngine, Sample, Use
from bringup.errors import WrongUse
from bringup.faces.render.format import format_bytes, format_count, format_percent
from bringup.faces.web.html import Html, tag
from bringup.faces.web.widgets import Tile, panel, tiles
from bringup.reading import Known


def term_now(name: str, sample: Sample | None) -> Html:
    """The figures of a term now, as a panel that follows along; empty where no sample has any of it."""
    try:
        term = find_term(name).id
    except WrongUse:
        return Html("")
    if term not in _OF_CARDS and term not in _OF_ENGINES and term not in _OF_SAMPLES:
        return Html("")
    found = _figures(term, sample) if sample is not None else []
    nothing = tag("p", "Nothing of it is there now.", class_="soft")
    return panel("Right now", tiles(found) if found else nothing, note="follows along")


def _figures(term: str, sample: Sample) -> list[Tile]:
    cards = sample.cards.value if isinstance(sample.cards, Known) else ()
    found = _OF_SAMPLES[term](sample) if term in _OF_SAMPLES else []
    if term in _OF_ENGINES:
        found += [tile for engine in sample.engines for tile in _OF_ENGINES[term](engine)]
    if term in _OF_CARDS:
        found += [tile for live in cards for tile in _OF_CARDS[term](live)]
    return found


def _vram(live: LiveCard) -> list[Tile]:
    if not isinstance(live.card.memory, Known):
        return []
    memory = live.card.memory.value
    used = memory.total_bytes - memory.free_bytes
    return [Tile(f"card {live.card.index}", format_bytes(used), f"of {format_bytes(memory.total_bytes)}")]


def _busy(live: LiveCard) -> list[Tile]:
    busy = live.load.busy_pct
    return [Tile(f"card {live.card.index} busy", f"{busy.value} %")] if isinstance(busy, Known) else []


def _power(live: LiveCard) -> list[Tile]:
    card = live.card
    if not isinstance(card.power_mw, Known):
        return []
    limit = f"of {card.power_limit_mw.value / 1000:.0f} W" if isinstance(card.power_limit_mw, Known) else "W"
    return [Tile(f"card {card.index}", f"{card.power_mw.value / 1000:.0f}", limit)]


def _link(live: LiveCard) -> list[Tile]:
    card = live.card
    if not isinstance(card.link_generation, Known) or not isinstance(card.link_width_lanes, Known):
        return []
    return [
        Tile(
            f"card {card.index}",
            f"{card.link_generation.value} x{card.link_width_lanes.value}",
            "generation, lanes",
        )
    ]


def _held_for(live: LiveCard, *uses: Use) -> list[Tile]:
    return [
        Tile(f"{share.use.value}, {share.holder}", format_bytes(share.size_bytes), f"card {live.card.index}")
        for share in live.shares
        if share.use in uses
    ]


def _weights(live: LiveCard) -> list[Tile]:
    return _held_for(live, Use.WEIGHTS)


def _compute(live: LiveCard) -> list[Tile]:
    return _held_for(live, Use.COMPUTE)


def _cache_held(live: LiveCard) -> list[Tile]:
    return _held_for(live, Use.KV_FILLED, Use.KV_RESERVED)


def _slots(engine: LiveEngine) -> list[Tile]:
    name = engine.name or engine.program
    return [
        Tile(
            f"slot {slot.id} of {name}", format_count(slot.n_filled), f"of {format_count(slot.n_ctx)} tokens"
        )
        for slot in (engine.slots.value if isinstance(engine.slots, Known) else ())
        if slot.n_filled is not None
    ]


def _filled(engine: LiveEngine) -> list[Tile]:
    share = engine.filled_share
    return (
        [Tile(f"filled, {engine.name or engine.program}", format_percent(share))] if share is not None else []
    )


def _speed(engine: LiveEngine) -> list[Tile]:
    told = (("reads", engine.speed.read_now), ("generates", engine.speed.generated_now))
    name = engine.name or engine.program
    return [Tile(f"{name} {what}", f"{rate:,.1f}", "tokens/s") for what, rate in told if rate is not None]


def _engine(engine: LiveEngine) -> list[Tile]:
    where = f"port {engine.port}" if engine.port is not None else f"process {engine.process_id}"
    return [Tile(where, engine.name or engine.program, engine.state)]


def _ram(sample: Sample) -> list[Tile]:
    if not isinstance(sample.memory.floors, Known):
        return []
    floors = sample.memory.floors.value
    return [
        Tile("can be taken", format_bytes(floors.available_bytes), f"of {format_bytes(floors.total_bytes)}"),
        Tile("programs", format_bytes(floors.programs_bytes)),
        Tile("page cache", format_bytes(floors.cache_bytes)),
        Tile("free", format_bytes(floors.free_bytes)),
    ]


def _cache(sample: Sample) -> list[Tile]:
    if not isinstance(sample.memory.floors, Known):
        return []
    models = [
        Tile(engine.name or engine.program, format_bytes(engine.model_cached_bytes.value), "of its file")
        for engine in sample.engines
        if isinstance(engine.model_cached_bytes, Known)
    ]
    return [Tile("page cache", format_bytes(sample.memory.floors.value.cache_bytes)), *models]


def _swap(sample: Sample) -> list[Tile]:
    if not isinstance(sample.memory.floors, Known):
        return []
    floors = sample.memory.floors.value
    used = floors.swap_total_bytes - floors.swap_free_bytes
    return [Tile("in use", format_bytes(used), f"of {format_bytes(floors.swap_total_bytes)}")]


def _cpu(sample: Sample) -> list[Tile]:
    of = f"of {sample.cpus.value} CPUs" if isinstance(sample.cpus, Known) else ""
    return (
        [Tile("busy", format_percent(sample.cpu_share.value), of)]
        if isinstance(sample.cpu_share, Known)
        else []
    )


_OF_CARDS: Final[dict[str, Callable[[LiveCard], list[Tile]]]] = {
    "gpu": _busy,
    "vram": _vram,
    "power-limit": _power,
    "pcie-link": _link,
    "weights": _weights,
    "compute-buffer": _compute,
    "kv-cache": _cache_held,
}
_OF_ENGINES: Final[dict[str, Callable[[LiveEngine], list[Tile]]]] = {
    "kv-cache": _filled,
    "slot": _slots,
    "context-window": _slots,
    "prefill-and-decode": _speed,
    "server": _engine,
    "engine": _engine,
}
_OF_SAMPLES: Final[dict[str, Callable[[Sample], list[Tile]]]] = {
    "ram": _ram,
    "page-cache": _cache,
    "mmap": _cache,
    "swap": _swap,
    "cpu": _cpu,
}
