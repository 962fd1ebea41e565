"""A card's memory by what it is used for, from the driver's figures and the engines' buffers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bringup.actions.live.sample import EngineMemory, LiveEngine, Share, Use
from bringup.reading import Known
from bringup.records import replace
from bringup.stack.engine_buffers import Buffer, BufferUse
from bringup.stack.nvml import Card, GpuMemory

_USES: Final = {
    BufferUse.WEIGHTS: Use.WEIGHTS,
    BufferUse.COMPUTE: Use.COMPUTE,
    BufferUse.OUTPUT: Use.COMPUTE,
    BufferUse.STATE: Use.KV_FILLED,
}

_PLANNED_USES: Final = {
    "weights": Use.WEIGHTS,
    "kv_cache": Use.KV_RESERVED,
    "kv_cache_swa": Use.KV_RESERVED,
    "kv_cache_index": Use.KV_RESERVED,
    "recurrent_state": Use.KV_RESERVED,
    "compute": Use.COMPUTE,
    "output": Use.COMPUTE,
}
"""By the names of a plan's parts; the rest is overhead."""


def share_memory(card: Card, engines: Sequence[LiveEngine], cards: Sequence[Card]) -> tuple[Share, ...]:
    """Shares that add up to the card's memory; empty where the driver does not tell that.

    Engines come first, then other programs by size, then what nobody claims, then what is free. An engine is
    only divided where its parts are not larger than what the driver says that it holds on this card.

    Args:
        card: the card.
        engines: engines that run.
        cards: all cards of the machine, this one too.
    """
    if not isinstance(card.memory, Known):
        return ()
    memory = card.memory.value
    by_process = {engine.process_id: engine for engine in engines}
    known: list[Share] = []
    others: list[Share] = []
    for process in card.processes.value if isinstance(card.processes, Known) else ():
        if not isinstance(process.used_bytes, Known):
            continue
        engine = by_process.get(process.process_id)
        if engine is not None:
            known += _divide(engine, process.used_bytes.value, card.index, cards)
        else:
            name = process.name or "another container's program"
            others.append(Share(Use.OTHER, process.used_bytes.value, name, process.process_id))
    others.sort(key=lambda share: -share.size_bytes)
    return (*known, *others, *_rest(memory, [*known, *others]))


def planned_shares(card: Card, engines: Sequence[LiveEngine]) -> tuple[Share, ...]:
    """What the plans of the engines on a card put there; empty where one of them has none that is known."""
    on_card = {
        process.process_id for process in (card.processes.value if isinstance(card.processes, Known) else ())
    }
    shares: list[Share] = []
    for engine in engines:
        if engine.process_id not in on_card:
            continue
        if not isinstance(engine.planned, Known):
            return ()
        sizes: dict[Use, int] = {}
        for part in engine.planned.value.parts:
            if part.card == card.index:
                use = _PLANNED_USES.get(part.name, Use.OVERHEAD)
                sizes[use] = sizes.get(use, 0) + part.size_bytes
        name = engine.name or engine.program
        shares += [Share(use, sizes[use], name, engine.process_id) for use in Use if use in sizes]
    return tuple(shares)


def _rest(memory: GpuMemory, claimed: list[Share]) -> tuple[Share, ...]:
    taken = memory.total_bytes - memory.free_bytes
    unseen = max(0, taken - sum(share.size_bytes for share in claimed))
    shares = [Share(Use.UNSEEN, unseen)] if unseen else []
    return (*shares, Share(Use.FREE, memory.free_bytes))


def _divide(engine: LiveEngine, used_bytes: int, index: int, cards: Sequence[Card]) -> tuple[Share, ...]:
    name = engine.name or engine.program
    whole = (Share(Use.ENGINE, used_bytes, name, engine.process_id),)
    if not isinstance(engine.memory, Known):
        return whole
    told = engine.memory.value
    buffers = _estimated(engine, told, used_bytes, cards) if told.is_estimate else _on_card(told, index)
    inside = sum(buffer.size_bytes for buffer in buffers)
    if not buffers or inside > used_bytes:
        return whole
    sizes: dict[Use, int] = {}
    filled = engine.filled_share
    for buffer in buffers:
        if buffer.use is BufferUse.KV_CACHE:
            held = round(buffer.size_bytes * filled) if filled is not None else 0
            sizes[Use.KV_FILLED] = sizes.get(Use.KV_FILLED, 0) + held
            sizes[Use.KV_RESERVED] = sizes.get(Use.KV_RESERVED, 0) + buffer.size_bytes - held
        else:
            use = _USES[buffer.use]
            sizes[use] = sizes.get(use, 0) + buffer.size_bytes
    sizes[Use.OVERHEAD] = used_bytes - inside
    is_estimate = engine.memory.value.is_estimate
    return tuple(
        Share(use, sizes[use], name, engine.process_id, is_estimate) for use in Use if sizes.get(use)
    )


def _on_card(memory: EngineMemory, index: int) -> tuple[Buffer, ...]:
    """The buffers on one card as the log tells them.

    CUDA may count the cards otherwise than NVML does, so with several cards an engine on more than one of
    them is told by its own numbers, and `_divide` drops what cannot be.
    """
    on_cards = tuple(buffer for buffer in memory.buffers if buffer.is_on_card)
    if len({buffer.device for buffer in on_cards}) <= 1:
        return on_cards
    return tuple(buffer for buffer in on_cards if _number(buffer) == index)


def _estimated(
    engine: LiveEngine, memory: EngineMemory, used_bytes: int, cards: Sequence[Card]
) -> tuple[Buffer, ...]:
    """An estimate knows no card: each gets that part of it which it has of what the engine holds on all.

    Empty where a card does not tell what the engine holds there: then no part can be worked out.
    """
    held: list[int] = []
    for card in cards:
        for process in card.processes.value if isinstance(card.processes, Known) else ():
            if process.process_id == engine.process_id:
                if not isinstance(process.used_bytes, Known):
                    return ()
                held.append(process.used_bytes.value)
    whole = sum(held)
    if len(held) <= 1 or whole <= 0:
        return memory.buffers
    return tuple(
        replace(buffer, size_bytes=round(buffer.size_bytes * used_bytes / whole)) for buffer in memory.buffers
    )


def _number(buffer: Buffer) -> int:
    """The card's number in `CUDA1`."""
    return int("".join(letter for letter in buffer.device if letter.isdigit()))
