"""Evidence from what the running driver says of its cards (NVML)."""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.nvml import Card

_LIMIT_SHARE = 0.75
"""A power limit below this part of the card's own was set by somebody, or by a weak supply's firmware."""


def judge_hang(scene: Scene) -> Evidence | None:
    """A question to the driver that never came back."""
    for reading in (scene.stack.nvml.hangs_in, scene.stack.cuda.hangs_in):
        if isinstance(reading, Known):
            return Evidence(
                saw=f"the driver does not answer: {reading.value} did not return within seconds",
                expected="an answer within a second",
                sources=(reading.source,),
                certainty=Certainty.LIKELY,
                decides="sudo dmesg | grep -E 'NVRM|Xid'; many cards without persistence daemon wake slowly",
                strength=5,
            )
    return None


def judge_heat(scene: Scene) -> Evidence | None:
    """Clocks that heat holds down at this moment."""
    for card in _cards(scene):
        reasons = card.clock_reasons.value if isinstance(card.clock_reasons, Known) else ()
        heat = [reason for reason in reasons if "thermal" in reason]
        if heat:
            now = f" at {card.temperature_c.value} C" if isinstance(card.temperature_c, Known) else ""
            is_sure = "hardware thermal slowdown" in heat
            return Evidence(
                saw=f"{_name(card)}{now}: {', '.join(heat)}",
                expected="no thermal slowdown",
                sources=(card.clock_reasons.source,),
                certainty=Certainty.SURE if is_sure else Certainty.LIKELY,
                decides="" if is_sure else "nvidia-smi -q -d TEMPERATURE,PERFORMANCE while the card works",
                strength=10,
            )
    return None


def judge_power(scene: Scene) -> Evidence | None:
    """The power brake of the board, or a limit far below the card's own."""
    for card in _cards(scene):
        reasons = card.clock_reasons.value if isinstance(card.clock_reasons, Known) else ()
        if "hardware power brake" in reasons:
            return Evidence(
                saw=f"{_name(card)}: hardware power brake",
                expected="no power brake",
                sources=(card.clock_reasons.source,),
                strength=10,
            )
        force, own = card.power_limit_mw, card.power_default_mw
        if not isinstance(force, Known) or not isinstance(own, Known):
            continue
        if force.value < _LIMIT_SHARE * own.value:
            return Evidence(
                saw=f"{_name(card)}: power limit {force.value / 1000:.0f} W in force, "
                f"its own is {own.value / 1000:.0f} W",
                expected="a limit near the card's own",
                sources=(force.source,),
                certainty=Certainty.LIKELY,
                decides="nvidia-smi -q -d POWER,PERFORMANCE",
            )
    return None


def judge_memory_errors(scene: Scene) -> Evidence | None:
    """Errors that could not be corrected since the driver came up, rows that wait for a reset or failed."""
    for card in _cards(scene):
        rows = card.remapped_rows.value if isinstance(card.remapped_rows, Known) else ()
        errors = card.uncorrected_errors.value if isinstance(card.uncorrected_errors, Known) else 0
        if errors or any(rows[2:4]):
            waiting = ", rows wait for a reset or could not be remapped" if any(rows[2:4]) else ""
            return Evidence(
                saw=f"{_name(card)}: {errors} uncorrected memory errors{waiting}",
                expected="none",
                sources=(card.uncorrected_errors.source,),
                strength=10,
            )
    return None


def _cards(scene: Scene) -> tuple[Card, ...]:
    cards = scene.stack.nvml.cards
    return cards.value if isinstance(cards, Known) else ()


def _name(card: Card) -> str:
    return card.name.value if isinstance(card.name, Known) else f"card {card.index}"
