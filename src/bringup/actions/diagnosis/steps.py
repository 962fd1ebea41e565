"""A step's commands as text: what a person would type, word for word what would run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from bringup.faults._command import fill_values, fits
from bringup.faults._fault import Slot, Step, Word


def values_of(step: Step, values: Mapping[Slot, str]) -> dict[Slot, str]:
    """What fills a step's slots: its own values before those of the evidence."""
    return fill_values(step, values)


def quoted(command: tuple[Word, ...], values: Mapping[Slot, str]) -> str:
    """The command as a shell would take it; a slot that no fitting fact fills stands as its name."""
    return " ".join(_word(word, values) for word in command)


def typed_command(step: Step, values: Mapping[Slot, str], *, is_root: bool) -> str:
    """The command as a person types it: with `sudo` where it needs root and they are not."""
    sudo = "sudo " if step.needs_root and not is_root else ""
    return sudo + quoted(step.command, values)


def _word(word: Word, values: Mapping[Slot, str]) -> str:
    if isinstance(word, Slot):
        value = values.get(word, "")
        return shlex.quote(value) if fits(word, value) else f"<{word.name}>"
    return shlex.quote(word)
