"""One look at a running machine: cards, memory, engines, processes, as the live views show it."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from bringup.actions.live.planned_speed import PlannedSpeed
from bringup.engine.answers import Slot
from bringup.engine.totals import EngineTotals
from bringup.machine.process import ProcessIdentity
from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.records import dataclass
from bringup.stack.card_load import CardLoad
from bringup.stack.engine_buffers import Buffer
from bringup.stack.memory import Memory
from bringup.stack.nvml import Card, Nvml


class Use(Enum):
    """What a share of a card's memory is for."""

    WEIGHTS = "weights"
    KV_FILLED = "KV cache, filled"
    KV_RESERVED = "KV cache, reserved"
    COMPUTE = "compute"
    OVERHEAD = "overhead"
    ENGINE = "engine"
    """An engine whose parts nobody tells."""
    OTHER = "other program"
    UNSEEN = "driver and unseen programs"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Share:
    """A share of a card's memory.

    Attributes:
        use: what for.
        size_bytes: how much.
        holder: the engine's or program's name; empty for free and unseen memory.
        process_id: of the holder; 0 for none.
        is_estimate: by arithmetic from the model's header, because the engine's log does not tell it.
    """

    use: Use
    size_bytes: int
    holder: str = ""
    process_id: int = 0
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class LiveCard:
    """One card.

    Attributes:
        card: facts.
        load: how busy it is.
        shares: its memory by holder; they add up to the total where that is known.
        planned: what the plans of the engines on it put there; empty where one of them is not known.
    """

    card: Card
    load: CardLoad
    shares: tuple[Share, ...] = ()
    planned: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second; `None` where nothing tells, 0 where nothing runs.

    Attributes:
        generated_now: generated since the look before.
        read_now: prompt tokens computed since the look before.
        generated_lately: of the requests that ended in the last minutes, by the engine's own clock.
        read_lately: likewise for prompts.
        lately_s: how far back that reaches.
        generates_throughout: one slot, and no other, did nothing else between the two looks.
        reads_throughout: likewise it read a prompt.
    """

    generated_now: float | None = None
    read_now: float | None = None
    generated_lately: float | None = None
    read_lately: float | None = None
    lately_s: float = 0.0
    generates_throughout: bool = False
    reads_throughout: bool = False


@dataclass(frozen=True, slots=True)
class EngineMemory:
    """An engine's buffers, and who says so: its log, or our arithmetic from the model's header."""

    buffers: tuple[Buffer, ...]
    source: str
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class LiveEngine:
    """One engine.

    Attributes:
        process_id: its number; 0 between two starts.
        identity: names the process for good; `None` where it could not be seen.
        program: llama-server, ollama, bringup, ...
        name: the model's name in the API, or the model file's name; empty where nobody tells.
        model_path: the model's file, likewise.
        port: where it listens; `None` where nobody tells.
        is_ours: started by bringup for this user.
        state: ready, starting, restarting, failed, not answering, not asked.
        build: llama.cpp's build in its own words; empty where it does not tell.
        window_tokens: window of one slot; `None` likewise.
        slots: the slots and what is in them.
        totals: its counters.
        speed: tokens per second.
        planned: the same by its plan.
        memory: its buffers.
        resident_bytes: main memory that it holds, mapped files included.
        model_cached_bytes: how much of the model's file lies in the page cache.
        has_cuda: whether CUDA's library is mapped into it.
        has_page: it serves its own page for chats.
        age_s: how old slots and totals are: an engine that reads a long prompt answers late.
        trouble: why it does not answer; empty when it does.
    """

    process_id: int
    identity: ProcessIdentity | None
    program: str
    name: str
    model_path: str
    port: int | None
    is_ours: bool
    state: str
    build: str = ""
    window_tokens: int | None = None
    slots: Reading[tuple[Slot, ...]] = NOT_LOOKED
    totals: Reading[EngineTotals] = NOT_LOOKED
    speed: Speed = field(default_factory=Speed)
    planned: Reading[PlannedSpeed] = NOT_LOOKED
    memory: Reading[EngineMemory] = NOT_LOOKED
    resident_bytes: Reading[int] = NOT_LOOKED
    model_cached_bytes: Reading[int] = NOT_LOOKED
    has_cuda: Reading[bool] = NOT_LOOKED
    has_page: bool = False
    age_s: float = 0.0
    trouble: str = ""

    @property
    def depth_share(self) -> float:
        """How much of its window the one slot at work has filled; 0 where none or several are."""
        slots = self.slots.value if isinstance(self.slots, Known) else ()
        working = [slot for slot in slots if slot.is_processing]
        if len(working) != 1 or not working[0].n_ctx:
            return 0.0
        return min(1.0, (working[0].n_filled or 0) / working[0].n_ctx)

    @property
    def filled_share(self) -> float | None:
        """Share of the KV cache that holds tokens; `None` where a slot does not tell."""
        if not isinstance(self.slots, Known):
            return None
        filled = [slot.n_filled for slot in self.slots.value]
        room = sum(slot.n_ctx for slot in self.slots.value)
        if room <= 0 or any(count is None for count in filled):
            return None
        return min(1.0, sum(count or 0 for count in filled) / room)


@dataclass(frozen=True, slots=True)
class LiveProcess:
    """One process that matters: an engine, a program on a card, or one that holds much main memory.

    Attributes:
        process_id: its number.
        start_ticks: with the number it names the process.
        parent_id: of its parent.
        user: whose it is.
        name: what the kernel calls it.
        command: its command line, secrets left out; empty where it cannot be seen.
        state: the kernel's letter.
        cpu_share: of one processor since the look before (2 for two of them).
        resident_bytes: main memory, mapped files included.
        cards: card numbers and the bytes on each, `None` where the driver does not tell.
        is_engine: whether it is one.
    """

    process_id: int
    start_ticks: int
    parent_id: int
    user: str
    name: str
    command: tuple[str, ...]
    state: str
    cpu_share: float
    resident_bytes: int
    cards: tuple[tuple[int, int | None], ...] = ()
    is_engine: bool = False

    @property
    def card_bytes(self) -> int:
        """Bytes on all cards, as far as they are known."""
        return sum(size or 0 for _, size in self.cards)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        number: counts up from 1.
        taken_s: Unix time.
        subject: which machine, in words.
        driver: what the driver says of itself; why it does not answer.
        cards: the cards, in NVML's order.
        memory: main memory.
        cpu_share: share of all processors at work since the look before.
        cpus: how many processors.
        engines: running engines, ours first.
        engines_trouble: why engines could not be looked for; empty where they could.
        processes: see `LiveProcess`, the largest first.
        took_s: how long the look took.
    """

    number: int
    taken_s: float
    subject: str
    driver: Nvml
    cards: Reading[tuple[LiveCard, ...]]
    memory: Memory
    cpu_share: Reading[float]
    cpus: Reading[int]
    engines: tuple[LiveEngine, ...]
    processes: tuple[LiveProcess, ...]
    took_s: float = 0.0
    engines_trouble: str = ""
