"""Several plans side by side: models, cards, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.plan import plan_source
from bringup.actions.planning.report import PlanReport
from bringup.actions.planning.source import find_source
from bringup.actions.planning.start import PlanWishes
from bringup.errors import BringupError, WrongUse
from bringup.machine import files
from bringup.machine.folders import our_folders
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import Machine
from bringup.plan.card_names import card_named, find_card, near_names
from bringup.records import replace
from bringup.store.catalogue import catalogue

LIMIT: Final = 64
"""Plans in one table."""


def split_names(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Models and cards among what was typed; a file that is there and a short name are models in any case.

    Raises:
        WrongUse: a card that is not listed, told by names like it; or no model at all.
    """
    models: list[str] = []
    cards: list[str] = []
    short_names = {known for entry in catalogue() for known in (entry.name, *entry.aliases)}
    for name in names:
        is_model = files.exists(name) or "/" in name or ":" in name or name.lower() in short_names
        if not is_model and (find_card(name) is not None or near_names(name)):
            cards.append(card_named(name).name)
        else:
            models.append(name)
    if not models:
        raise WrongUse("there is no model among these names", hint="Name a model beside the cards.")
    return tuple(models), tuple(cards)


def compare_plans(
    names: Sequence[str],
    wishes: PlanWishes,
    *,
    may_send_token: Callable[[BringupError], bool],
    machine: Machine | None = None,
) -> tuple[PlanReport, ...]:
    """A plan for each model on each card; without cards on this machine or the one that is described.

    Raises:
        WrongUse: too many, or options that cannot be.
        BringupError: a model cannot be looked into.
    """
    models, cards = split_names(names)
    if len(models) * max(1, len(cards)) > LIMIT:
        raise WrongUse(f"more than {LIMIT} plans in one table", hint="Name fewer models or cards.")
    described = [replace(wishes.described, gpus=(card,)) for card in cards] or [wishes.described]
    machine = machine or LiveMachine()
    places = [look_for_place(machine, one, expects_driver=True) for one in described]
    sources = [find_source(model, our_folders(), may_send_token=may_send_token) for model in models]
    return tuple(plan_source(source, wishes, place, machine) for source in sources for place in places)
