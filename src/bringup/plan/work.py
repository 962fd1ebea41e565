"""What one token costs on each device: the words that the speed model is written in."""

from __future__ import annotations

from enum import Enum

from bringup.plan.cards import Family
from bringup.records import dataclass


class Kind(Enum):
    """Storage types by the kernels that read them."""

    F16 = "f16"
    BF16 = "bf16"
    Q8 = "q8"
    Q6 = "q6"
    Q5 = "q5"
    Q4 = "q4"
    Q4_0 = "q4_0"
    MXFP4 = "mxfp4"
    Q3 = "q3"
    Q2 = "q2"
    IQ = "iq"
    IQ4 = "iq4"

    # Sums are kept by kind and role. Each member is one object; `Enum` would hash its name, in Python.
    __hash__ = object.__hash__


class Role(Enum):
    """Which tokens are multiplied with a matrix."""

    LAYER = "layer"
    """Every token."""
    EXPERT = "expert"
    """Those tokens that chose it."""
    OUTPUT = "output"
    """Tokens whose successor is asked for: each generated one, of a prompt the last."""

    __hash__ = object.__hash__


class Age(Enum):
    """How old an engine is; the figures of older ones only serve to read older measurements."""

    NEW = "new"
    LATE = "late"
    """Of December 2025 and before, back to November."""
    MID = "mid"
    """Of 2025 up to November: experts were not yet fused, nor MXFP4 tuned."""
    OLD = "old"
    """Of before July 2024: matrix products of quantised weights did not use the matrix units for integers."""


class Backend(Enum):
    """Which of llama.cpp's backends drives the device."""

    CUDA = "cuda"
    ROCM = "rocm"
    VULKAN = "vulkan"
    METAL = "metal"
    SYCL = "sycl"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class SpeedDevice:
    """Rates of one device, as its sheet or a probe says.

    Attributes:
        name: `CUDA0`, `CPU`, ...
        family: see `Family`.
        backend: see `Backend`.
        bandwidth_bytes_per_s: to its memory.
        flops: of its matrix units, see `gpus.toml`; for the CPU of its vector units.
        link_bytes_per_s: to main memory, one way; 0 where they share one memory.
        source: where the rates come from, for people.
        card: name in the list of cards, for figures of its own where it was measured; empty for main memory.
        watts: what the board may draw; 0 where not known.
    """

    name: str
    family: Family
    backend: Backend
    bandwidth_bytes_per_s: float
    flops: float
    link_bytes_per_s: float = 0.0
    source: str = ""
    card: str = ""
    watts: float = 0.0


@dataclass(frozen=True, slots=True)
class Matrices:
    """Weights of one kind on one device.

    Attributes:
        kind: how they are stored.
        role: which tokens use them.
        total_bytes: all of them.
        read_bytes: what one token reads.
        active_parameters: weights that one token is multiplied with.
        used_share: experts used of all, 1 for what every token uses.
        edge_elements: numbers that one token brings into these matrices and gets out of them.
    """

    kind: Kind
    role: Role
    total_bytes: float
    read_bytes: float
    active_parameters: float
    used_share: float = 1.0
    edge_elements: float = 0.0

    @property
    def is_expert(self) -> bool:
        """Routed experts, of which a token uses some."""
        return self.role is Role.EXPERT


@dataclass(frozen=True, slots=True)
class Attention:
    """Layers with one length of cache on one device.

    Attributes:
        cache_bytes_per_token: keys and values of one token of context, all these layers together.
        flops_per_token: operations of one new token with one cached one, all these layers together.
        window_tokens: sliding window; `None` for the whole context.
        head_size: numbers in the key of one head.
    """

    cache_bytes_per_token: float
    flops_per_token: float
    window_tokens: int | None = None
    head_size: int = 128

    def seen(self, tokens: float) -> float:
        """Of so many tokens, those that a new one looks at."""
        return tokens if self.window_tokens is None else min(tokens, self.window_tokens)

    def kept(self, tokens: float, batch: float) -> float:
        """Of so many tokens, those in the cache: beside a window it has room for a micro-batch."""
        return tokens if self.window_tokens is None else min(tokens, self.window_tokens + batch)


@dataclass(frozen=True, slots=True)
class DeviceWork:
    """What one token costs on one device.

    Attributes:
        device: where.
        matrices: weights by kind.
        attention: layers with a KV cache.
        n_layer: layers that run here; the output layer counts as one, one that either mixes tokens or has
            a feed-forward part as a half.
        n_layer_experts: of them, those whose routed experts run here.
        n_layer_recurrent: of them, those with a recurrent state, which are many small kernels.
        state_bytes: recurrent state of one sequence, read and written for each generated token.
        is_scanned: a prompt's tokens pass the state one after the other (Mamba), not in chunks (delta nets).
        keeps_attention: attention stays here whatever the size of a batch (`--no-kv-offload`).
    """

    device: SpeedDevice
    matrices: tuple[Matrices, ...]
    attention: tuple[Attention, ...]
    n_layer: float
    n_layer_experts: float = 0.0
    n_layer_recurrent: float = 0.0
    state_bytes: float = 0.0
    is_scanned: bool = False
    keeps_attention: bool = False

    @property
    def is_idle(self) -> bool:
        """A card without any layer: it only works where large batches are sent to it."""
        return not (self.matrices or self.attention or self.state_bytes)


@dataclass(frozen=True, slots=True)
class RunTraits:
    """How the engine runs, as far as it changes the speed.

    Attributes:
        n_ubatch: micro-batch in tokens.
        is_flash: fused attention.
        age: see `Age`.
        n_batch: logical batch in tokens, which cards that follow each other work through in turns.
        offloads_ops: prompts are computed on a card with weights of main memory.
        is_mapped: weights in main memory lie in the mapped file, not in memory that cards can read.
        has_native_mxfp4: the engine uses the matrix units for 4-bit floats where the card has them.
        is_repetitive: the prompt repeats itself, so that all of its tokens choose the same experts; no plan
            assumes it, it serves to read measurements.
        repacks: the engine stores Q4_0 anew for processors, several rows at once.
        fuses_deltas: the engine computes a delta net's state in one kernel for each layer.
        multiplies_states: on CUDA and ROCm it reads a prompt of Mamba-2 by matrix products, chunk by chunk.
        n_embd_exchanged: numbers of a token that cards which share every matrix exchange; 0 where they share
            layers.
    """

    n_ubatch: int = 512
    is_flash: bool = True
    age: Age = Age.NEW
    n_batch: int = 2048
    offloads_ops: bool = True
    is_mapped: bool = True
    has_native_mxfp4: bool = True
    repacks: bool = True
    fuses_deltas: bool = True
    multiplies_states: bool = True
    is_repetitive: bool = False
    n_embd_exchanged: int = 0
