"""Speed of cards that share every matrix (`--split-mode tensor`): all work at once, and exchange results.

Each card reads its share of the weights and of the cached heads; the slowest sets the time. Behind attention
and behind the feed-forward part of each layer the cards add up what each of them has of the layer's output:
a wait that does not depend on the number of tokens, and `n_embd` f32 for each token over their links.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bringup.plan.speed import Cost, CostKind, Shares, generation_costs, prompt_costs
from bringup.plan.work import DeviceWork, RunTraits, SpeedDevice
from bringup.records import replace

_EXCHANGES: Final = 2
"""Of a layer."""
_ELEMENT_BYTES: Final = 4

BAND: Final[dict[str, tuple[float, float]]] = {"generation": (0.65, 1.25), "prompt": (0.4, 1.25)}
"""Wide: seven series of two cards and one of four stand behind the exchange, and two RTX 4090 read prompts of
experts at less than half of what this tells while the mode was young."""


def divided(
    work: DeviceWork, cards: Sequence[SpeedDevice], shares: Sequence[float]
) -> tuple[DeviceWork, ...]:
    """What each card has of a work; where no shares are given, all have the same."""
    parts = [*shares, *(0.0,) * len(cards)][: len(cards)] if any(shares) else [1.0] * len(cards)
    whole = sum(parts)
    return tuple(part_of(work, card, part / whole) for card, part in zip(cards, parts, strict=True) if part)


def part_of(work: DeviceWork, card: SpeedDevice, share: float) -> DeviceWork:
    """A share of matrices and heads; kernels are started for each layer on each card."""
    matrices = tuple(
        replace(
            one,
            total_bytes=one.total_bytes * share,
            read_bytes=one.read_bytes * share,
            active_parameters=one.active_parameters * share,
            edge_elements=one.edge_elements * share,
        )
        for one in work.matrices
    )
    attention = tuple(
        replace(
            one,
            cache_bytes_per_token=one.cache_bytes_per_token * share,
            flops_per_token=one.flops_per_token * share,
        )
        for one in work.attention
    )
    return replace(work, device=card, matrices=matrices, attention=attention)


def shared_generation_costs(
    works: Sequence[DeviceWork], depth_tokens: float, run: RunTraits, shares: Shares
) -> tuple[Cost, ...]:
    """As `speed.generation_costs`."""
    alone = [generation_costs((work,), depth_tokens, run, shares) for work in works]
    return (*_slowest(alone), _exchange(works, 1, 1, run, shares))


def shared_prompt_costs(
    works: Sequence[DeviceWork], *, n_prompt: int, depth_tokens: float, run: RunTraits, shares: Shares
) -> tuple[Cost, ...]:
    """As `speed.prompt_costs`."""
    alone = [
        prompt_costs((work,), n_prompt=n_prompt, depth_tokens=depth_tokens, run=run, shares=shares)
        for work in works
    ]
    n_batches = n_prompt / max(1, min(n_prompt, run.n_ubatch))
    return (*_slowest(alone), _exchange(works, n_prompt, n_batches, run, shares))


def _slowest(alone: Sequence[tuple[Cost, ...]]) -> tuple[Cost, ...]:
    return max(alone, key=lambda costs: sum(cost.seconds for cost in costs))


def _exchange(
    works: Sequence[DeviceWork], n_tokens: int, n_batches: float, run: RunTraits, shares: Shares
) -> Cost:
    layers = works[0].n_layer * _EXCHANGES
    link = min(work.device.link_bytes_per_s for work in works) * shares["exchange/link"]
    sent = layers * n_tokens * run.n_embd_exchanged * _ELEMENT_BYTES
    waits_s = layers * n_batches * shares["exchange"]
    return Cost("the cards", CostKind.EXCHANGE, waits_s + (sent / link if link else 0.0))
