"""A plan: which settings a model runs with, and where every byte of it goes."""

from __future__ import annotations

from enum import Enum

from bringup.records import dataclass


class Residence(Enum):
    """How a part lies in memory, which decides whether the kernel may take it back."""

    ANONYMOUS = "anonymous"
    """Private memory: it is there until the engine frees it."""
    MAPPED = "mapped"
    """Pages of the model file: the kernel may drop them and read them again, slowly."""
    RESERVED = "reserved"
    """Not used by the engine at all: left free on purpose."""


@dataclass(frozen=True, slots=True)
class Part:
    """One share of the memory.

    Attributes:
        name: `weights`, `kv_cache`, `kv_cache_swa`, `recurrent_state`, `compute`, `output`, `prompt_cache`,
            `overhead`, `margin`.
        bytes: its size.
        device: `CPU` for main memory, `CUDA0`, ... for a card.
        formula: the figures that make the size, in the words of llama.cpp.
        source: where the formula or constant comes from.
        residence: how it lies in memory.
    """

    name: str
    bytes: int
    device: str
    formula: str
    source: str
    residence: Residence = Residence.ANONYMOUS


@dataclass(frozen=True, slots=True)
class CacheTypes:
    """Element types of the KV cache, by ggml's names (`f16`, `q8_0`, ...)."""

    k: str = "f16"
    v: str = "f16"


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings that the engine is started with and the memory that they cost.

    Attributes:
        parts: every share of the memory; totals are sums of parts.
        n_ctx: context window in tokens, all slots together.
        n_ctx_train: the longest context that the model was trained for, in tokens.
        n_parallel: slots.
        n_ubatch: micro-batch in tokens.
        n_threads: threads of the engine.
        n_gpu_layers: layers on the card; `None` leaves it to the engine's own fit.
        cache_types: element types of the KV cache.
        cache_ram_bytes: bound of the engine's prompt cache in main memory.
        memory_limit_bytes: private memory at which the engine is ended; `None` sets no limit.
        available_bytes: main memory that was free when the plan was made.
        notes: choices that the user should know of, one sentence each.
    """

    parts: tuple[Part, ...]
    n_ctx: int
    n_ctx_train: int | None
    n_parallel: int
    n_ubatch: int
    n_threads: int
    n_gpu_layers: int | None
    cache_types: CacheTypes
    cache_ram_bytes: int
    memory_limit_bytes: int | None
    available_bytes: int
    notes: tuple[str, ...]

    def total_bytes(self, *, device: str = "CPU") -> int:
        """Sum of the parts on one device, margins included."""
        return sum(part.bytes for part in self.parts if part.device == device)

    def part_bytes(self, name: str) -> int:
        """Sum of the parts of one name over all devices."""
        return sum(part.bytes for part in self.parts if part.name == name)
