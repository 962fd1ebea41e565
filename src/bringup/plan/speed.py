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
from enum import Enum
from typing import Final

from bringup.plan.cards import Family
from bringup.plan.work import (
    Age,
    Attention,
    Backend,
    DeviceWork,
    Kind,
    Matrices,
    Role,
    RunTraits,
    SpeedDevice,
)
from bringup.records import dataclass

Shares = Mapping[str, float]
"""The measured figures by name, see `speed_calibration`."""

_BEFORE_AMPERE: Final = frozenset({Family.PASCAL, Family.VOLTA, Family.GTX16, Family.TURING, Family.GCN})
"""Families whose integer units lag behind their memory when they unpack MXFP4."""

_USUAL_FLOPS: Final = 1e14
_USUAL_ENOUGH_WATTS: Final = 2.5
_ENOUGH_WATTS: Final = {Family.ADA: 1.4, Family.BLACKWELL: 1.4, Family.A100: 1.0, Family.HOPPER: 0.75}
"""For each teraflops: what keeps the matrix units at their clock, by the largest card of a family. An RTX
3090 may draw 2.5 for each; chips of 4 nm need about half (an RTX 4090 1.4, an H100 0.75)."""

_ALL_KINDS: Final = frozenset(Kind)
_PLAIN_ON: Final = {
    Backend.CPU: frozenset({Kind.F16, Kind.BF16}),
    Backend.METAL: frozenset({Kind.F16, Kind.BF16, Kind.MXFP4}),
}
"""What needs no unpacking to speak of, on processors with little arithmetic for their memory's rate."""

_FP4_UNITS: Final = frozenset({Family.BLACKWELL, Family.GB10})
"""Families with matrix units for 4-bit floats, which multiply MXFP4 as it is stored."""

_PLAIN: Final = frozenset({Kind.F16, Kind.BF16})
_BEFORE_ROCM_7: Final = frozenset({Age.OLD, Age.MID})

_LIBRARY_TOKENS: Final = 64
_UNPACKED_BYTES: Final = 4
"""Of a weight as F16, written and read."""
_LIBRARY_ON_ROCM: Final = frozenset({Family.RDNA3, Family.RDNA4, Family.STRIX})

_USUAL_HEAD: Final = 128
_LARGEST_HEAD: Final = 512
"""Beyond lies what MLA keeps of a token, which one key for all heads."""

_EDGE_BYTES: Final = 4
"""Activations are f32."""

_NEVER: Final[frozenset[Age]] = frozenset()
_PASSES_MASKED: Final = {
    Backend.CPU: frozenset(Age),
    Backend.METAL: frozenset({Age.NEW, Age.LATE}),
    Backend.VULKAN: frozenset({Age.NEW}),
}
"""Where the kernels of attention leave out cached tokens that no token of their tile may look at."""
_LIKE_CUDA: Final = frozenset({Backend.CUDA, Backend.ROCM})
"""Backends of the same kernels."""
_ENDS_EARLY_TOKENS: Final = 1024
"""From this micro-batch on they leave out what lies behind the last that a tile looks at
(llama.cpp b11434, `flash_attn_mask_to_KV_max`)."""

OFFLOAD_TOKENS: Final = 32
"""From this many tokens on weights in main memory are copied to the card for a batch
(llama.cpp b11434, GGML_OP_OFFLOAD_MIN_BATCH)."""


class CostKind(Enum):
    """What a device spends its time on."""

    WEIGHTS = "reading weights"
    CACHE = "reading the KV cache"
    STARTS = "starting kernels"
    COPY = "copying weights over the link"
    COMPUTE = "arithmetic"
    ATTENTION = "attention"
    EXCHANGE = "exchanging results"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a device spends on one thing."""

    device: str
    kind: CostKind
    seconds: float


def generation_costs(
    works: tuple[DeviceWork, ...], depth_tokens: float, run: RunTraits, shares: Shares
) -> tuple[Cost, ...]:
    """What one generated token after `depth_tokens` of context costs: devices work one after the other."""
    costs = []
    for place, work in enumerate(work for work in works if not work.is_idle):
        name = work.device.name
        costs.append(Cost(name, CostKind.WEIGHTS, _weights_s(work, run.age, shares)))
        costs.append(Cost(name, CostKind.CACHE, _cache_s(work, depth_tokens, run, shares)))
        starts_s = _starts_s(work, run, shares) + (shares["hop"] if place else 0.0)
        if not place and work.device.family is not Family.CPU:
            starts_s += shares["token"]
        costs.append(Cost(name, CostKind.STARTS, starts_s))
    return tuple(costs)


def _starts_s(work: DeviceWork, run: RunTraits, shares: Shares) -> float:
    backend, age = work.device.backend.value, run.age.value
    layers_s = work.n_layer * shares[f"layer/{backend}"] * shares[f"layer/{age}"]
    experts_s = work.n_layer_experts * shares[f"layer_experts/{backend}"] * shares[f"layer_experts/{age}"]
    recurrent_s = work.n_layer_recurrent * shares[f"layer_recurrent/{backend}"]
    if not (run.fuses_deltas or work.is_scanned):
        recurrent_s *= shares["layer_recurrent/unfused"]
    return layers_s + experts_s + recurrent_s


def _weights_s(work: DeviceWork, age: Age, shares: Shares) -> float:
    device = work.device
    family, backend = device.family.value, device.backend.value
    reached = device.bandwidth_bytes_per_s * shares[f"read/{family}"]
    reached *= shares.get(f"read/card/{device.card}", 1.0)
    seconds = 2 * work.state_bytes / reached
    for part in work.matrices:
        share = shares[f"read/{'cpu' if device.family is Family.CPU else 'kind'}/{part.kind.value}"]
        if part.is_expert:
            share *= shares["read/experts"] * shares[f"read/experts/{backend}"]
        if part.kind is Kind.MXFP4:
            share *= shares[f"read/mxfp4/{backend}"]
            share *= shares["read/mxfp4/before_ampere"] if device.family in _BEFORE_AMPERE else 1.0
        read_s = part.read_bytes / (reached * share)
        if part.kind not in _PLAIN_ON.get(device.backend, _ALL_KINDS):
            # Cores that unpack weights may be slower than the memory that brings them.
            unpacking = shares[f"unpack/{backend}"]
            if device.backend is Backend.METAL and age is Age.OLD:
                unpacking *= shares["unpack/metal/old"]
            unpacked_s = 2 * part.active_parameters / (device.flops * unpacking)
            read_s = (read_s**2 + unpacked_s**2) ** 0.5
        seconds += read_s
    return seconds


def _cache_s(work: DeviceWork, depth_tokens: float, run: RunTraits, shares: Shares) -> float:
    """Each cached key and value is read once, and taken by several heads of the query.

    Most kernels read all that the cache holds, also what its window hides from the token.
    """
    device = work.device
    backend, family = device.backend.value, device.family.value
    is_flash = 1.0 if run.is_flash else shares["cache/no_flash"]
    read = flops = 0.0
    for part in work.attention:
        passes = device.backend in (Backend.CPU, Backend.METAL)
        cells = part.seen(depth_tokens) if passes else part.kept(depth_tokens, run.n_ubatch)
        read += part.cache_bytes_per_token * cells
        flops += part.flops_per_token * cells
    share = is_flash * shares[f"cache/family/{family}"]
    read_s = read / (device.bandwidth_bytes_per_s * shares[f"cache/{backend}"] * share)
    if device.family is Family.VOLTA and run.age is not Age.NEW:  # not yet on the matrix units
        share *= shares["heads/volta"]
    return read_s + flops / (device.flops * shares[f"heads/{backend}"] * share)


def prompt_s(
    works: tuple[DeviceWork, ...], *, n_prompt: int, depth_tokens: float, run: RunTraits, shares: Shares
) -> float:
    """Seconds to read a prompt of `n_prompt` tokens behind `depth_tokens` of context."""
    costs = prompt_costs(works, n_prompt=n_prompt, depth_tokens=depth_tokens, run=run, shares=shares)
    return sum(cost.seconds for cost in costs)


def prompt_costs(
    works: tuple[DeviceWork, ...], *, n_prompt: int, depth_tokens: float, run: RunTraits, shares: Shares
) -> tuple[Cost, ...]:
    """What a prompt of `n_prompt` tokens behind `depth_tokens` of context costs, all of its micro-batches."""
    prompt = _Prompt(n_prompt, max(1, min(n_prompt, run.n_ubatch)), depth_tokens)
    card = card_for_batches(works, prompt.batch, run)
    gain = _pipelining(works, prompt, run, shares)
    costs: list[Cost] = []
    for work in works:
        if work.is_idle:
            continue
        if card is None or work.device.family is not Family.CPU:
            costs += _own_prompt(work, prompt, run, shares)
        else:
            costs += _copied_prompt(work, card, prompt, run, shares)
    return tuple(Cost(cost.device, cost.kind, cost.seconds / gain) for cost in costs)


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A prompt in micro-batches.

    Attributes:
        n_tokens: of it.
        batch: of a micro-batch.
        before_tokens: of context before it.
    """

    n_tokens: int
    batch: int
    before_tokens: float

    @property
    def n_batches(self) -> float:
        return self.n_tokens / self.batch

    @property
    def middle_tokens(self) -> float:
        """What its tokens look at, on average."""
        return self.before_tokens + self.n_tokens / 2


def card_for_batches(works: tuple[DeviceWork, ...], batch: int, run: RunTraits) -> SpeedDevice | None:
    """The card that multiplies a large batch with weights of main memory: the first one."""
    cards = (work.device for work in works if work.device.family is not Family.CPU)
    return next(cards, None) if run.offloads_ops and batch >= OFFLOAD_TOKENS else None


def _own_prompt(work: DeviceWork, prompt: _Prompt, run: RunTraits, shares: Shares) -> list[Cost]:
    """A prompt where the weights lie."""
    device, n_batches = work.device, prompt.n_batches
    read = n_batches * _touched_bytes(work, prompt.batch, shares) + _output_bytes(work)
    return [
        Cost(device.name, CostKind.WEIGHTS, read / _memory_rate(device, shares)),
        *_computing(work, device, prompt, run, shares),
    ]


def _copied_prompt(
    work: DeviceWork, card: SpeedDevice, prompt: _Prompt, run: RunTraits, shares: Shares
) -> list[Cost]:
    """A prompt whose weights, keys and values go from main memory to a card, for each micro-batch anew.

    Only the output matrix stays, which the last token alone is multiplied with.
    """
    copied = prompt.n_batches * _touched_bytes(work, prompt.batch, shares)
    if not work.keeps_attention:
        for part in work.attention:
            cells = part.kept(prompt.middle_tokens + prompt.batch / 2, prompt.batch)
            copied += prompt.n_batches * part.cache_bytes_per_token * cells
    return [
        Cost(card.name, CostKind.COPY, copied / _link_rate(work, card, run, shares)),
        Cost(work.device.name, CostKind.WEIGHTS, _output_bytes(work) / _memory_rate(work.device, shares)),
        *_computing(work, card, prompt, run, shares),
    ]


def _computing(
    work: DeviceWork, device: SpeedDevice, prompt: _Prompt, run: RunTraits, shares: Shares
) -> list[Cost]:
    compute_s = _compute_s(work, device, prompt.batch, run, shares)
    starts_s = work.n_layer * shares[f"prompt_layer/{device.backend.value}"]
    looking = work.device if work.keeps_attention else device
    attention_s = _attention_s(work, looking, prompt, run, shares)
    return [
        Cost(device.name, CostKind.COMPUTE, prompt.n_batches * compute_s),
        Cost(device.name, CostKind.STARTS, prompt.n_batches * starts_s),
        Cost(looking.name, CostKind.ATTENTION, prompt.n_tokens * attention_s),
    ]


def _memory_rate(device: SpeedDevice, shares: Shares) -> float:
    return device.bandwidth_bytes_per_s * shares[f"read/{device.family.value}"]


def _link_rate(work: DeviceWork, card: SpeedDevice, run: RunTraits, shares: Shares) -> float:
    """At which weights in main memory are copied to a card; in a shared memory each is read and written.

    A card cannot read a mapped file by itself: the processor brings it into a buffer of the driver's first,
    so that each byte is read, written and read again.
    """
    memory = work.device.bandwidth_bytes_per_s
    own = memory * shares["link/mapped"] if run.is_mapped else memory
    return min(card.link_bytes_per_s * shares["link"] or memory / 2, own)


def _touched_bytes(work: DeviceWork, batch: int, shares: Shares) -> float:
    """Bytes that a micro-batch touches: of the experts those that any of its tokens chose.

    Some experts are chosen much more often than others, and a text keeps to its subject: their parts of the
    choices are taken as gamma distributed, with a shape far below one.
    """
    shape = shares["experts/evenness"]
    read = 0.0
    for part in work.matrices:
        if part.role is not Role.OUTPUT:
            is_whole = part.used_share >= 1
            untouched = 0.0 if is_whole else (1.0 + batch * part.used_share / shape) ** -shape
            read += part.total_bytes * (1.0 - untouched)
    return read


def _output_bytes(work: DeviceWork) -> float:
    """The output matrix, which is touched once for all of a prompt."""
    return sum(part.total_bytes for part in work.matrices if part.role is Role.OUTPUT)


def _prompt_rate(device: SpeedDevice, shares: Shares) -> float:
    """Operations a second that matrix products reach on a device."""
    rate = device.flops * shares[f"prompt/{device.family.value}"]
    rate *= shares.get(f"prompt/card/{device.card}", 1.0)
    of_size: float = (_USUAL_FLOPS / device.flops) ** shares["prompt/size"]
    rate *= of_size
    if device.watts:  # a card that may draw little for its units lowers its clock
        enough = _ENOUGH_WATTS.get(device.family, _USUAL_ENOUGH_WATTS)
        share = device.watts / (enough * device.flops / 1e12)
        of_power: float = min(1.0, share) ** shares["prompt/power"]
        rate *= of_power
    return rate * shares[f"prompt/backend/{device.backend.value}"]


def _compute_s(work: DeviceWork, device: SpeedDevice, batch: int, run: RunTraits, shares: Shares) -> float:
    """One micro-batch; only the last token of a prompt is multiplied with the output matrix."""
    rate = _prompt_rate(device, shares)
    passing = shares[f"recurrent/{_passing(work, device, run)}/{device.backend.value}"]
    seconds = 2 * work.state_bytes * batch / (device.bandwidth_bytes_per_s * passing)
    used = [part for part in work.matrices if part.role is not Role.OUTPUT]
    edges = sum(part.edge_elements for part in used)
    seconds += (
        _EDGE_BYTES * edges * batch / (device.bandwidth_bytes_per_s * shares[f"edges/{device.backend.value}"])
    )
    for part in used:
        share = _kind_share(part, device, run, shares) * _age_share(part, device, run.age, shares)
        if part.is_expert:
            share *= shares["prompt/experts"] * shares[f"prompt/experts/{device.family.value}"]
            share *= shares[f"prompt/experts/backend/{device.backend.value}"]
        if part.is_expert and device.family is not Family.CPU:
            share *= shares[f"prompt/experts/kind/{part.kind.value}"]  # grouped kernels are others
        if device.family is not Family.CPU:
            rows = batch * (1.0 if run.is_repetitive else part.used_share)
            growth: float = (device.flops / _USUAL_FLOPS) ** shares["half_tokens/growth"]
            half = shares[f"half_tokens/{device.backend.value}"] * growth
            share *= rows / (rows + half)  # larger cards want more rows at once
        seconds += 2 * part.active_parameters * batch / (rate * share)
        if _is_unpacked_first(part, device, batch, run.age):
            written = _UNPACKED_BYTES * part.active_parameters
            seconds += written / (device.bandwidth_bytes_per_s * shares["prompt/unpacked"])
    return seconds


def _passing(work: DeviceWork, device: SpeedDevice, run: RunTraits) -> str:
    """How a prompt's tokens pass a recurrent state."""
    if not work.is_scanned:
        return "chunked"
    return "multiplied" if run.multiplies_states and device.backend in _LIKE_CUDA else "scanned"


def _is_unpacked_first(part: Matrices, device: SpeedDevice, batch: int, age: Age) -> bool:
    """Whether a matrix is written out as F16 for the maker's library, once for each micro-batch.

    Newer kernels multiply packed weights as they are; cards without units for small integers still go the
    long way (llama.cpp b11434, `ggml_cuda_should_use_mmq`), as do their older engines.
    """
    if part.kind in _PLAIN or part.is_expert or batch < _LIBRARY_TOKENS:
        return False
    if device.backend is Backend.CUDA:
        return device.family is Family.VOLTA or (age is Age.OLD and device.family is not Family.PASCAL)
    if device.backend is Backend.ROCM:
        return age is not Age.NEW and device.family in _LIBRARY_ON_ROCM
    return device.backend is Backend.SYCL


def _kind_share(part: Matrices, device: SpeedDevice, run: RunTraits, shares: Shares) -> float:
    """What storage makes of the rate."""
    is_cpu = device.family is Family.CPU
    share = shares[f"prompt/{'cpu' if is_cpu else 'kind'}/{part.kind.value}"]
    if is_cpu and part.kind is Kind.Q4_0 and run.repacks:
        share *= shares["prompt/cpu/repacked"]
    if part.kind is Kind.F16:
        share *= shares[f"prompt/f16/{device.family.value}"]
    if part.kind is Kind.BF16:
        share *= shares[f"prompt/bf16/{device.backend.value}"]
    if part.kind is Kind.MXFP4 and device.family in _FP4_UNITS and run.has_native_mxfp4:
        share *= shares["prompt/mxfp4/native"]
    return share


def _age_share(part: Matrices, device: SpeedDevice, age: Age, shares: Shares) -> float:
    """What an older engine makes of the rate."""
    if device.backend is Backend.CPU:
        return 1.0
    experts = "/experts" if part.is_expert else ""
    if device.backend is not Backend.CUDA:
        share = shares[f"prompt/{age.value}{experts}/{device.backend.value}"]
        # Its matrix library knew the chip from ROCm 7 on; quantised experts never go there.
        is_library = not part.is_expert or part.kind in _PLAIN
        is_untuned = device.backend is Backend.ROCM and device.family is Family.STRIX and is_library
        return share * (shares["prompt/untuned"] if is_untuned and age in _BEFORE_ROCM_7 else 1.0)
    plain = "/f16" if part.kind in _PLAIN and not part.is_expert else ""
    return shares[f"prompt/{age.value}{experts}{plain}"]


def _head_share(part: Attention, device: SpeedDevice, shares: Shares) -> float:
    """Large heads fill the registers that the kernels for attention work in."""
    is_wide = _USUAL_HEAD < part.head_size <= _LARGEST_HEAD
    return shares[f"attention/wide/{device.backend.value}"] if is_wide else 1.0


def _looked_at(part: Attention, prompt: _Prompt, device: SpeedDevice, run: RunTraits) -> float:
    """Cached tokens that one of a prompt is compared with, on average.

    A micro-batch is compared with all that the cache holds behind it, and what a token may not look at is
    masked, where the kernel does not pass over it.
    """
    if run.age in _PASSES_MASKED.get(device.backend, _NEVER) and (
        run.is_flash or device.backend is Backend.CPU
    ):
        return part.seen(prompt.middle_tokens)
    half = prompt.batch / 2
    if run.is_flash and device.backend in _LIKE_CUDA and prompt.batch >= _ENDS_EARLY_TOKENS:
        return part.kept(prompt.middle_tokens, half)
    return part.kept(prompt.middle_tokens + half, prompt.batch)


def _attention_s(
    work: DeviceWork, device: SpeedDevice, prompt: _Prompt, run: RunTraits, shares: Shares
) -> float:
    share = shares[f"attention/{device.backend.value}"]
    if run.is_flash or device.family is Family.CPU:  # a processor's caches hold scores that are written out
        share *= shares[f"attention/family/{device.family.value}"]
    else:
        share *= shares["attention/no_flash"]
    if device.backend not in (Backend.CUDA, Backend.CPU):  # the others had their kernels for it tuned later
        share *= shares[f"attention/{run.age.value}/{device.backend.value}"]
    rate = _prompt_rate(device, shares) * share
    return sum(
        part.flops_per_token
        * _looked_at(part, prompt, device, run)
        / (rate * _head_share(part, device, shares))
        for part in work.attention
    )


def _pipelining(works: tuple[DeviceWork, ...], prompt: _Prompt, run: RunTraits, shares: Shares) -> float:
    """How much several cards gain by working on different micro-batches at the same time.

    The engine lets them only where nothing of the model is in main memory.
    """
    n_cards = len(works)
    if n_cards < 2 or any(work.device.family is Family.CPU for work in works):
        return 1.0
    in_flight = min(math.ceil(prompt.n_batches), math.ceil(run.n_batch / prompt.batch))
    ideal = in_flight * n_cards / (in_flight + n_cards - 1)
    return 1.0 + (ideal - 1.0) * shares["pipelining"]


def band_name(works: tuple[DeviceWork, ...], *, n_prompt: int, run: RunTraits) -> str:
    """Which error band a prediction has: by where the weights lie, kind of model, and phase.

    Args:
        works: of each device.
        n_prompt: tokens of the prompt; 0 for generation.
        run: its micro-batch.
    """
    phase = "prompt" if n_prompt else "generation"
    if not card_for_batches(works, min(n_prompt, run.n_ubatch), run):
        works = tuple(work for work in works if not work.is_idle)
    on_cpu = [work for work in works if work.device.family is Family.CPU]
    if len(on_cpu) == len(works):
        return f"cpu/{phase}"
    if on_cpu:
        return f"partial/{phase}"
    is_moe = any(part.is_expert for work in works for part in work.matrices)
    return f"{'experts' if is_moe else 'dense'}/{phase}"
