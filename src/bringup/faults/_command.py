"""A step's command with its slots filled: each word a constant of ours, or a value that fits its pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bringup.faults._fault import Slot, Step, Word
from bringup.patterns import regex

_CONSTANT: Final = regex(r"[ -~]+")
_RESTART: Final = ("systemctl", "reboot")


def fits(slot: Slot, value: str) -> bool:
    """Whether a value may stand in a slot: it matches the slot's pattern as a whole."""
    return re.fullmatch(slot.value, value, re.ASCII) is not None


def fill_command(command: tuple[Word, ...], values: Mapping[Slot, str]) -> tuple[str, ...] | None:
    """The argv; `None` where a slot has no value, or one that does not fit, or a word is not printable."""
    words = []
    for word in command:
        value = values.get(word, "") if isinstance(word, Slot) else word
        allowed = fits(word, value) if isinstance(word, Slot) else _CONSTANT.fullmatch(value) is not None
        if not allowed:
            return None
        words.append(value)
    return tuple(words)


def missing_slots(command: tuple[Word, ...], values: Mapping[Slot, str]) -> tuple[Slot, ...]:
    """Slots of a command that no value fills, or only one that does not fit; each once."""
    slots = dict.fromkeys(word for word in command if isinstance(word, Slot))
    return tuple(slot for slot in slots if not fits(slot, values.get(slot, "")))


def fill_values(step: Step, values: Mapping[Slot, str]) -> dict[Slot, str]:
    """What fills a step's slots: its own values before those of the evidence."""
    return {**values, **dict(step.values)}


def restarts_machine(argv: tuple[str, ...]) -> bool:
    """Whether a command restarts the machine, so that nobody sees it end."""
    return argv[: len(_RESTART)] == _RESTART
