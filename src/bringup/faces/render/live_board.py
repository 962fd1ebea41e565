"""The upper part of `top`'s screen: machine, cards, engines, in as much detail as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from bringup.actions.live.faults import Health
from bringup.actions.live.history import History
from bringup.actions.live.sample import LiveCard, LiveEngine, Sample
from bringup.actions.log.timeline import Item
from bringup.faces.render.console import Styled
from bringup.faces.render.live import cards_lines, engines_lines, event_lines, health_lines, machine_lines
from bringup.faces.render.live_cards import brief_card_lines, card_lines
from bringup.faces.render.live_charts import card_chart, engine_chart
from bringup.faces.render.live_engines import engine_lines
from bringup.reading import Known
from bringup.records import dataclass

Line = tuple[str | Styled, ...]

_EVENTS_SHOWN: Final = 3
_BRIEF_LINES: Final = 2
MACHINE: Final = "machine"


class Detail(Enum):
    """How much is told; on a low screen what matters has to be seen without scrolling."""

    FULL = "with charts and the log's last entries"
    SHORT = "without them"
    BRIEF = "the bars and what holds things down"


@dataclass(frozen=True, slots=True)
class Scene:
    """All that the upper part shows."""

    sample: Sample
    health: Health | None
    events: Sequence[Item]
    history: History

    @property
    def cards(self) -> tuple[LiveCard, ...]:
        """The cards; none where the driver does not tell."""
        return self.sample.cards.value if isinstance(self.sample.cards, Known) else ()


@dataclass(frozen=True, slots=True)
class Part:
    """Lines about one thing, which a person can choose by its name: `machine`, `card 0`, `engine 8080`."""

    name: str
    lines: tuple[Line, ...]


def board_parts(scene: Scene, detail: Detail, *, width_columns: int, machine_columns: int) -> list[Part]:
    """The machine, then its cards, then its engines.

    Args:
        scene: what is shown.
        detail: how much of it.
        width_columns: for cards and engines.
        machine_columns: for the machine, which has the whole width.
    """
    sample = scene.sample
    parts = [Part(MACHINE, tuple(_machine(scene, detail, machine_columns)))]
    for card in scene.cards:
        parts.append(Part(card_name(card), tuple(_card(card, scene.history, detail, width_columns))))
    if not scene.cards:
        parts.append(Part("cards", tuple(cards_lines(sample, width_columns=width_columns))))
    for engine in sample.engines:
        parts.append(Part(engine_name(engine), tuple(_engine(engine, scene, detail, width_columns))))
    if not sample.engines:
        parts.append(Part("engines", tuple(engines_lines(sample, width_columns=width_columns))))
    return parts


def card_name(card: LiveCard) -> str:
    """The name of its part."""
    return f"card {card.card.index}"


def engine_name(engine: LiveEngine) -> str:
    """The name of its part."""
    return f"engine {engine.port}" if engine.port is not None else f"process {engine.process_id}"


def _machine(scene: Scene, detail: Detail, width_columns: int) -> list[Line]:
    lines = machine_lines(scene.sample, width_columns=width_columns)
    if detail is Detail.BRIEF:
        lines = lines[:_BRIEF_LINES]
    lines += health_lines(scene.health, width_columns=width_columns)
    if detail is Detail.FULL:
        lines += event_lines(scene.events[-_EVENTS_SHOWN:], width_columns=width_columns)
    return lines


def _card(card: LiveCard, history: History, detail: Detail, width_columns: int) -> list[Line]:
    if detail is Detail.BRIEF:
        return brief_card_lines(card, width_columns=width_columns)
    lines = card_lines(card, width_columns=width_columns)
    return lines + card_chart(card, history, width_columns) if detail is Detail.FULL else lines


def _engine(engine: LiveEngine, scene: Scene, detail: Detail, width_columns: int) -> list[Line]:
    lines = engine_lines(engine, scene.cards, width_columns=width_columns)
    if detail is Detail.FULL:
        lines += engine_chart(engine, scene.history, width_columns)
    return lines
