"""How rows are divided so that a fit is judged on cards, or on models, that it never saw."""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import Callable, Iterable, Sequence

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from speed_rows import Case

from bringup.plan.cards import Family


def card_of(case: Case) -> str:
    """The card of a case, or its processor."""
    return case.works[0].device.card or case.row["gpu"]


def cards_dealt(cases: Sequence[Case], count: int = 6) -> Callable[[Case], int]:
    """Parts that leave out all of a card; those of one family part ways, so that others of it stay."""
    families: dict[Family, set[str]] = collections.defaultdict(set)
    for case in cases:
        families[case.works[0].device.family].add(card_of(case))
    part = {card: i % count for cards in families.values() for i, card in enumerate(sorted(cards))}
    return lambda case: part[card_of(case)]


def models_dealt(cases: Sequence[Case], count: int = 6) -> Callable[[Case], int]:
    """Parts that leave out all of a model, by its shape."""
    part = {shape: i % count for i, shape in enumerate(sorted({case.shape for case in cases}))}
    return lambda case: part[case.shape]


def of_family(cases: Iterable[Case]) -> Callable[[Case], bool]:
    """Whether other cards of the family of a case were measured too."""
    families = collections.Counter(
        family for family, _ in {(c.works[0].device.family, card_of(c)) for c in cases}
    )
    return lambda case: families[case.works[0].device.family] > 1
