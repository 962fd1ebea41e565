"""Small charts of the last minutes, one line each."""

from __future__ import annotations

from typing import Final

from bringup.actions.live.history import History
from bringup.actions.live.sample import LiveCard, LiveEngine
from bringup.faces.render.bars import sparkline
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import format_token_rate

Line = tuple[str | Styled, ...]

_LEAST_POINTS: Final = 2
_LABEL_COLUMNS: Final = 12
_WIDEST_COLUMNS: Final = 120


def card_chart(card: LiveCard, history: History, width_columns: int) -> list[Line]:
    """How busy the card was; nothing where the driver does not tell."""
    values = history.recent(f"card{card.card.index}.busy_pct", _WIDEST_COLUMNS)
    return _chart("busy", values, 100.0, "", width_columns)


def engine_chart(engine: LiveEngine, history: History, width_columns: int) -> list[Line]:
    """Generated tokens per second; nothing while none were."""
    values = history.recent(f"engine{engine.port or engine.process_id}.generated", _WIDEST_COLUMNS)
    most = max(values, default=0.0)
    if most <= 0:
        return []
    return _chart("tokens/s", values, most, f" most {format_token_rate(most)}", width_columns)


def _chart(label: str, values: list[float], most: float, note: str, width_columns: int) -> list[Line]:
    room = min(_WIDEST_COLUMNS, width_columns - _LABEL_COLUMNS - len(note))
    if len(values) < _LEAST_POINTS or room < _LABEL_COLUMNS:
        return []
    return [(f"  {label:9} ", Styled(sparkline(values, most, room), Style.DIM), note)]
