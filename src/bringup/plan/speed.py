"""How fast a placed model will be: a roofline per device, from what one token reads and computes there.

Generation is bound by memory: every weight that a token uses is read once from the memory where it lies,
and so is every cached key and value. Reading a prompt is bound by arithmetic: a micro-batch reads each
weight once and multiplies it with all of its tokens. On top come costs per layer (kernel starts) and, where
weights lie in main memory beside a card, the link between them. What share of a device's rates the kernels
reach is measured, see `speed_calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bringup.plan.cards import Body, Family


class Kind(Enum):
    """Storage types by the kernels that read them."""

    F16 = "f16"
    Q8 = "q8"
    Q6 = "q6"
    Q5 = "q5"
    Q4 = "q4"
    Q4_0 = "q4_0"
    MXFP4 = "mxfp4"
    Q3 = "q3"
    Q2 = "q2"
    IQ = "iq"


class Age(Enum):
    """How old an engine is; the figures of older ones only serve to read older measurements."""

    NEW = "new"
    MID = "mid"
    """Of 2025 up to November: experts were not yet fused, nor MXFP4 tuned."""
    OLD = "old"
    """Of before 2025."""


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
        flops: of its matrix units, see `cards.toml`; for the CPU of its vector units.
        link_bytes_per_s: to main memory, one way; 0 where they share one memory.
        body: what its power allows, see `cards.Body`.
    """

    name: str
    family: Family
    backend: Backend
    bandwidth_bytes_per_s: float
    flops: float
    link_bytes_per_s: float = 0.0
    body: Body = Body.DESKTOP


@dataclass(frozen=True, slots=True)
class Matrices:
    """Weights of one kind on one device.

    Attributes:
        kind: how they are stored.
        is_expert: routed experts, of which a token uses some.
        total_bytes: all of them.
        read_bytes: what one token reads.
        active_parameters: weights that one token is multiplied with.
        used_share: experts used of all, 1 for what every token uses.
    """

    kind: Kind
    is_expert: bool
    total_bytes: float
    read_bytes: float
    active_parameters: float
    used_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Attention:
    """Layers with one length of cache on one device.

    Attributes:
        cache_bytes_per_token: keys and values of one token of context, all these layers together.
        flops_per_token: operations of one new token with one cached one, all these layers together.
        window_tokens: sliding window; `None` for the whole context.
    """

    cache_bytes_per_token: float
    flops_per_token: float
    window_tokens: int | None = None

    def depth(self, depth_tokens: float) -> float:
        """Cached tokens that a new one looks at."""
        return depth_tokens if self.window_tokens is None else min(depth_tokens, self.window_tokens)


@dataclass(frozen=True, slots=True)
class DeviceWork:
    """What one token costs on one device.

    Attributes:
        device: where.
        matrices: weights by kind.
        attention: layers with a KV cache.
        n_layer: layers that run here; the output layer counts as one.
        n_layer_experts: of them, those whose routed experts run here.
        state_bytes: recurrent state of one sequence, read and written for each token.
    """

    device: SpeedDevice
    matrices: tuple[Matrices, ...]
    attention: tuple[Attention, ...]
    n_layer: float
    n_layer_experts: float = 0.0
    state_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """How the engine runs, as far as it changes the speed.

    Attributes:
        n_ubatch: micro-batch in tokens.
        is_flash: fused attention.
        age: see `Age`.
        n_batch: logical batch in tokens, which cards that follow each other work through in turns.
    """

    n_ubatch: int = 512
    is_flash: bool = True
    age: Age = Age.NEW
    n_batch: int = 2048


Shares = Mapping[str, float]
"""The measured figures by name, see `speed_calibration`."""

_BEFORE_AMPERE: Final = frozenset({Family.PASCAL, Family.VOLTA, Family.GTX16, Family.TURING, Family.GCN})
"""Families whose integer units lag behind their memory when they unpack MXFP4."""

OFFLOAD_TOKENS: Final = 32
"""From this many tokens on weights in main memory are copied to the card for a batch
(llama.cpp b11434, GGML_OP_OFFLOAD_MIN_BATCH)."""


def generation_s(works: tuple[DeviceWork, ...], *, depth_tokens: float, run: Run, shares: Shares) -> float:
    """Seconds for one generated token after `depth_tokens` of context."""
    cards = sum(work.device.family is not Family.CPU for work in works)
    total = shares["token"] * min(cards, 1) + shares["hop"] * (len(works) - 1)
    for work in works:
        total += _weights_s(work, shares) + _cache_s(work, depth_tokens, run, shares)
        layer_s = work.n_layer * shares[f"layer/{work.device.backend.value}"]
        experts_s = work.n_layer_experts * shares[f"layer_experts/{work.device.backend.value}"]
        total += layer_s * shares[f"layer/{run.age.value}"]
        total += experts_s * shares[f"layer_experts/{run.age.value}"]
    return total


def _weights_s(work: DeviceWork, shares: Shares) -> float:
    device = work.device
    family, backend = device.family.value, device.backend.value
    reached = device.bandwidth_bytes_per_s * shares[f"read/{family}"] * shares[f"read/backend/{backend}"]
    reached *= shares[f"read/{device.body.value}"]
    seconds = 2 * work.state_bytes / reached
    for part in work.matrices:
        share = shares[f"read/{'cpu' if device.family is Family.CPU else 'kind'}/{part.kind.value}"]
        if part.is_expert:
            share *= shares["read/experts"] * shares[f"read/experts/{backend}"]
        if part.kind is Kind.MXFP4:
            share *= shares[f"read/mxfp4/{backend}"]
            share *= shares["read/mxfp4/before_ampere"] if device.family in _BEFORE_AMPERE else 1.0
        seconds += part.read_bytes / (reached * share)
    return seconds


def _cache_s(work: DeviceWork, depth_tokens: float, run: Run, shares: Shares) -> float:
    device = work.device
    share = shares[f"cache/{device.backend.value}"] * (1.0 if run.is_flash else shares["cache/no_flash"])
    read = sum(part.cache_bytes_per_token * part.depth(depth_tokens) for part in work.attention)
    return read / (device.bandwidth_bytes_per_s * share)


def prompt_s(
    works: tuple[DeviceWork, ...], *, n_prompt: int, depth_tokens: float, run: Run, shares: Shares
) -> float:
    """Seconds to read a prompt of `n_prompt` tokens behind `depth_tokens` of context."""
    batch = max(1, min(n_prompt, run.n_ubatch))
    n_batches = n_prompt / batch
    cards = tuple(work for work in works if work.device.family is not Family.CPU)
    middle = depth_tokens + n_prompt / 2
    seconds = 0.0
    for work in works:
        is_copied = work.device.family is Family.CPU and bool(cards) and batch >= OFFLOAD_TOKENS
        device = cards[0].device if is_copied else work.device
        read_s = _copied_s(work, device, batch, shares) if is_copied else _read_s(work, batch, shares)
        per_batch = read_s + _compute_s(work, device, batch, run, shares)
        seconds += n_batches * (per_batch + work.n_layer * shares[f"prompt_layer/{device.backend.value}"])
        seconds += n_prompt * _attention_s(work, middle, run, shares)
    return seconds / _pipelining(len(cards), n_prompt, batch, run, shares)


def _read_s(work: DeviceWork, batch: int, shares: Shares) -> float:
    """One micro-batch reads the weights from the memory where they lie."""
    device = work.device
    read = sum(_read_once(part, batch) for part in work.matrices)
    return read / (device.bandwidth_bytes_per_s * shares[f"read/{device.family.value}"])


def _copied_s(work: DeviceWork, card: SpeedDevice, batch: int, shares: Shares) -> float:
    """One micro-batch copies the weights that lie in main memory to a card."""
    link = min(card.link_bytes_per_s or math.inf, work.device.bandwidth_bytes_per_s)
    return sum(_read_once(part, batch) for part in work.matrices) / (link * shares["link"])


def _read_once(part: Matrices, batch: int) -> float:
    """Bytes that a micro-batch touches: of the experts those that any of its tokens chose."""
    touched = 1.0 if part.used_share >= 1 else 1.0 - (1.0 - part.used_share) ** batch
    return part.total_bytes * touched


def _prompt_rate(device: SpeedDevice, shares: Shares) -> float:
    """Operations a second that matrix products reach on a device."""
    rate = device.flops * shares[f"prompt/{device.family.value}"]
    return rate * shares[f"prompt/{device.body.value}"] * shares[f"prompt/backend/{device.backend.value}"]


def _compute_s(work: DeviceWork, device: SpeedDevice, batch: int, run: Run, shares: Shares) -> float:
    rate = _prompt_rate(device, shares)
    is_cpu = device.family is Family.CPU
    seconds = 2 * work.state_bytes * batch / (device.bandwidth_bytes_per_s * shares["recurrent/prompt"])
    for part in work.matrices:
        share = shares[f"prompt/{'cpu' if is_cpu else 'kind'}/{part.kind.value}"]
        if part.kind is Kind.F16:
            share *= shares[f"prompt/f16/{device.family.value}"]
        if part.is_expert:
            share *= shares["prompt/experts"] * shares[f"prompt/experts/{device.family.value}"]
        share *= shares[f"prompt/{run.age.value}{_age_group(part)}"]
        if not is_cpu:
            rows = batch * part.used_share
            share *= rows / (rows + shares["batch_half_tokens"])
        seconds += 2 * part.active_parameters * batch / (rate * share)
    return seconds


def _age_group(part: Matrices) -> str:
    return "/experts" if part.is_expert else "/f16" if part.kind is Kind.F16 else ""


def _attention_s(work: DeviceWork, middle_tokens: float, run: Run, shares: Shares) -> float:
    device = work.device
    share = shares[f"attention/{device.backend.value}"] * shares[f"attention/family/{device.family.value}"]
    share *= 1.0 if run.is_flash else shares["attention/no_flash"]
    flops = sum(part.flops_per_token * part.depth(middle_tokens) for part in work.attention)
    return flops / (_prompt_rate(device, shares) * share)


def _pipelining(n_cards: int, n_prompt: int, batch: int, run: Run, shares: Shares) -> float:
    """How much several cards gain by working on different micro-batches at the same time."""
    if n_cards < 2:
        return 1.0
    in_flight = min(math.ceil(n_prompt / batch), max(1, run.n_batch // batch))
    ideal = in_flight * n_cards / (in_flight + n_cards - 1)
    return 1.0 + (ideal - 1.0) * shares["pipelining"]


def band_name(works: tuple[DeviceWork, ...], *, is_prompt: bool) -> str:
    """Which error band a prediction has: by where the weights lie, kind of model, and phase."""
    phase = "prompt" if is_prompt else "generation"
    on_cpu = [work for work in works if work.device.family is Family.CPU]
    if len(on_cpu) == len(works):
        return f"cpu/{phase}"
    if on_cpu:
        return f"partial/{phase}"
    is_moe = any(part.is_expert for work in works for part in work.matrices)
    return f"{'experts' if is_moe else 'dense'}/{phase}"
