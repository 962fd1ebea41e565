"""`/metrics` for Prometheus: the newest sample, names and units by its conventions. No poll of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bringup.actions.live.faults import Health
from bringup.actions.live.sample import LiveCard, LiveEngine, Sample
from bringup.actions.live.speed_beside import beside_plan
from bringup.faces.render.clean import clean
from bringup.reading import Known, Reading


def exposition(sample: Sample, health: Health | None, *, now_s: float) -> bytes:
    """The text format. A figure that nobody could tell is left out, so that it is absent there too."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterable[Any]:
            yield from _families(sample, health, now_s)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def _families(sample: Sample, health: Health | None, now_s: float) -> Iterator[Any]:
    yield _gauge("bringup_sample_age_seconds", "Age of the figures.", (), [((), now_s - sample.taken_s)])
    cpu = [((), sample.cpu_share.value)] if isinstance(sample.cpu_share, Known) else []
    yield _gauge("bringup_cpu_busy_ratio", "Share of all processors at work.", (), cpu)
    yield _gauge("bringup_memory_bytes", "Main memory by use.", ("use",), _floors(sample))
    cards = sample.cards.value if isinstance(sample.cards, Known) else ()
    yield from _of_cards(cards)
    yield from _of_engines(sample.engines)
    faults = [((root.id,), 1.0) for root in (health.roots if health is not None else ())]
    yield _gauge("bringup_root_fault", "1 for each root fault that the doctor names.", ("fault",), faults)


def _floors(sample: Sample) -> list[tuple[tuple[str, ...], float]]:
    if not isinstance(sample.memory.floors, Known):
        return []
    floors = sample.memory.floors.value
    rows = {
        "total": floors.total_bytes,
        "available": floors.available_bytes,
        "free": floors.free_bytes,
        "kernel": floors.kernel_bytes,
        "programs": floors.programs_bytes,
        "page_cache": floors.cache_bytes,
        "shared": floors.shared_bytes,
        "swap_used": floors.swap_total_bytes - floors.swap_free_bytes,
    }
    return [((name,), float(size)) for name, size in rows.items()]


def _of_cards(cards: Iterable[LiveCard]) -> Iterator[Any]:
    cards = tuple(cards)

    def each(read: Any, scale: float = 1.0) -> list[tuple[tuple[str, ...], float]]:  # noqa: ANN401
        readings = [(card, read(card)) for card in cards]
        return [(_card(c), reading.value * scale) for c, reading in readings if isinstance(reading, Known)]

    labels = ("card", "name")
    yield _gauge(
        "bringup_card_up",
        "1 for a card that answers, 0 for one that is lost.",
        labels,
        [(_card(card), 0.0 if isinstance(card.card.trouble, Known) else 1.0) for card in cards],
    )
    yield _gauge(
        "bringup_card_busy_ratio",
        "Share of time in which a kernel ran.",
        labels,
        each(lambda c: c.load.busy_pct, 0.01),
    )
    yield _gauge(
        "bringup_card_temperature_celsius",
        "Temperature of the GPU.",
        labels,
        each(lambda c: c.card.temperature_c),
    )
    yield _gauge("bringup_card_power_watts", "Power drawn.", labels, each(lambda c: c.card.power_mw, 0.001))
    shares: dict[tuple[str, ...], float] = {}
    for card in cards:
        for share in card.shares:
            name = (*_card(card), share.use.name.lower())
            shares[name] = shares.get(name, 0.0) + share.size_bytes
    yield _gauge(
        "bringup_card_memory_bytes", "A card's memory by use.", (*labels, "use"), list(shares.items())
    )


def _of_engines(engines: Iterable[LiveEngine]) -> Iterator[Any]:
    engines = tuple(engines)
    labels = ("engine", "model")
    yield _gauge(
        "bringup_engine_up",
        "1 for an engine that answers.",
        labels,
        [(_engine(one), 1.0 if one.state == "ready" else 0.0) for one in engines],
    )

    def totals(name: str) -> list[tuple[tuple[str, ...], float]]:
        found = [(one, getattr(one.totals.value, name)) for one in engines if isinstance(one.totals, Known)]
        return [(_engine(one), float(value)) for one, value in found if value is not None]

    yield _counter(
        "bringup_engine_generated_tokens", "Tokens of ended requests.", labels, totals("predicted_tokens")
    )
    yield _counter("bringup_engine_read_tokens", "Computed prompt tokens.", labels, totals("prompt_tokens"))
    yield _counter(
        "bringup_engine_reused_tokens", "Prompt tokens from the KV cache.", labels, totals("reused_tokens")
    )
    yield _gauge("bringup_engine_requests_waiting", "Waiting for a slot.", labels, totals("requests_waiting"))
    slots: list[tuple[tuple[str, ...], float]] = []
    sizes: list[tuple[tuple[str, ...], float]] = []
    for one in engines:
        for slot in one.slots.value if isinstance(one.slots, Known) else ():
            sizes.append(((*_engine(one), str(slot.id)), float(slot.n_ctx)))
            if slot.n_filled is not None:
                slots.append(((*_engine(one), str(slot.id)), float(slot.n_filled)))
    yield _gauge("bringup_engine_slot_filled_tokens", "Tokens in a slot.", (*labels, "slot"), slots)
    yield _gauge("bringup_engine_slot_window_tokens", "Window of a slot.", (*labels, "slot"), sizes)
    rates = [(_engine(one), one.speed.generated_now) for one in engines]
    shown = [(name, rate) for name, rate in rates if rate is not None]
    yield _gauge("bringup_engine_generated_tokens_per_second", "Now, running requests.", labels, shown)
    plans = [(_engine(one), beside_plan(one)) for one in engines]
    yield _gauge(
        "bringup_engine_planned_tokens_per_second",
        "By the plan, of one answer behind what its slot has filled.",
        labels,
        [(name, beside[0].planned.value) for name, beside in plans if beside is not None],
    )


def _card(card: LiveCard) -> tuple[str, ...]:
    name: Reading[str] = card.card.name
    return str(card.card.index), clean(name.value, keep_newlines=False) if isinstance(name, Known) else ""


def _engine(engine: LiveEngine) -> tuple[str, ...]:
    return str(engine.port or engine.process_id), clean(engine.name, keep_newlines=False)


def _gauge(
    name: str, words: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Any:  # noqa: ANN401 - a family of prometheus_client
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, words, labels=labels)
    for values, figure in rows:
        family.add_metric(values, figure)
    return family


def _counter(
    name: str, words: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Any:  # noqa: ANN401 - a family of prometheus_client
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, words, labels=labels)
    for values, figure in rows:
        family.add_metric(values, figure)
    return family
