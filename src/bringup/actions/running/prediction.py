"""What a run keeps of its plan, so that later plans can be held against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bringup.actions.planning.own_runs import basis_for, processor_name
from bringup.machine.live import LiveMachine

if TYPE_CHECKING:
    from bringup.actions.running.preparation import Preparation

_PROMPTS: Final = (64, 256, 1024, 4096, 16_384, 65_536)
"""Lengths of prompts in tokens that a run keeps the prediction for; in between it is drawn straight."""


def planned_speed(preparation: Preparation) -> dict[str, Any]:
    """What a run keeps of its plan so that it can be held against it; empty where the two do not compare.

    They do not where the user chose the threads or gave arguments of their own, or where the engine itself
    places the layers.
    """
    chosen = preparation.chosen
    if preparation.settings.extra or chosen.places_layers or chosen.planning.has_threads:
        return {}
    speed = chosen.planning.teller.tell_uncorrected(chosen.memory)
    if speed is None:
        return {}
    basis = basis_for(speed.sources, processor_name(LiveMachine()))
    window = chosen.memory.run.n_ctx_seq
    told = {
        n_prompt: chosen.planning.teller.prompt_rate(chosen.memory, n_prompt)
        for n_prompt in _PROMPTS
        if n_prompt < window
    }
    return {
        "tokens_per_s": round(speed.generation_empty.value, 3),
        "prompts": [[n_prompt, round(rate, 3)] for n_prompt, rate in told.items() if rate],
        "basis": list(basis),
    }
