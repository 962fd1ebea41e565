"""What surely does not fit: told from weights and caches, without laying out compute buffers.

Laying out buffers is most of a plan's time, and most placements that a search looks at are ruled out by what
their weights and caches take alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import field

from bringup.plan.memory import Planner
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.parts import context_bytes, margin
from bringup.plan.request import CPU, Request
from bringup.records import dataclass


@dataclass(slots=True)
class Bounds:
    """Lower bounds of what requests take on the cards; those that were worked out are kept.

    Attributes:
        planner: of the model, on its devices.
    """

    planner: Planner
    _kept: dict[Request, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """An earlier dry run may know caches to be smaller than the formulas say: then nothing is sure."""
        return self.planner.correct is None

    def surely_lack(self, request: Request, *, beside_bytes: int = 0) -> bool:
        """Whether weights and caches alone are more than all cards hold beside their margins and contexts.

        Args:
            request: whose cards are looked at together, so that it is true for every split of the layers.
            beside_bytes: what else they have to hold.
        """
        return self.holds and self.kept_bytes(request) + beside_bytes > self.room_bytes(request)

    def kept_bytes(self, request: Request) -> int:
        """Weights and caches on all cards of a request."""
        if request not in self._kept:
            names = frozenset(card.name for card in self.planner.cards_of(request))
            self._kept[request] = self.planner.kept_bytes(request, names)
        return self._kept[request]

    def room_bytes(self, request: Request) -> int:
        """What the cards of a request hold beside their margins and contexts."""
        cards = self.planner.cards_of(request)
        taken = {card.name: margin(card, request).bytes + context_bytes(card) for card in cards}
        return sum(max(0, card.free_bytes - taken[card.name]) for card in cards)

    def buffers_bytes(self, plan: MemoryPlan) -> int:
        """What a plan takes of the cards beside weights, caches, margins and contexts."""
        names = ("compute", "overhead")
        taken = sum(part.bytes for part in plan.parts if part.device != CPU and part.name in names)
        used = {part.device for part in plan.parts if part.name == "overhead"}
        return taken - sum(context_bytes(card) for card in plan.devices if card.name in used - {CPU})

    def first(self, low: int, high: int, request: Callable[[int], Request], *, beside_bytes: int = 0) -> int:
        """The first count from `low` on whose request may fit, `high` where none before does.

        The counts' requests take less and less.
        """
        counts = range(low, high)
        return low + bisect_left(
            counts, True, key=lambda count: not self.surely_lack(request(count), beside_bytes=beside_bytes)
        )
