"""Allocations that failed in an engine's log: for what, where, how large, and whether the engine lived on.

The line that says "out of memory" is the same for weights, KV cache and compute buffers; the lines just after
it name the consumer, and where those are missing the last step before it does.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass
from bringup.stack.engine_log import MIB
from bringup.stack.lines import Line, Lines


class Consumer(Enum):
    """What the memory was for."""

    WEIGHTS = "weights"
    KV_CACHE = "KV cache"
    COMPUTE = "compute buffer"
    SCRATCH = "scratch pool of a running request"
    UNKNOWN = "something that the log does not name"


class Place(Enum):
    """Where the memory was asked for."""

    GPU = "GPU"
    RAM = "main memory"


@dataclass(frozen=True, slots=True)
class FailedAllocation:
    """One failed allocation; `named` is whether a line after it named the consumer."""

    line: Line
    consumer: Consumer
    place: Place
    size_bytes: int | None
    named: bool
    survived: bool


_WINDOW_LINES: Final = 14
_STARTS: Final = (
    (
        Place.GPU,
        regex(r"allocating \S+ MiB on device \d+: (?:cuda|hip|musa)Malloc failed: out of memory"),
    ),
    (Place.GPU, regex(r"(?:CUDA|HIP|ROCm|CUBLAS) error(?: \d+)?(?: at \S+)?: out of memory")),
    (Place.GPU, regex(r"failed to allocate (?:CUDA|ROCm|Vulkan|SYCL|MUSA|Metal|MTL)\d* ?buffer")),
    (Place.GPU, regex(r"unable to allocate (?:CUDA|ROCm|Vulkan|SYCL|MUSA|Metal|MTL)\d* ?buffer")),
    (Place.GPU, regex(r"unable to allocate backend buffer")),
    (
        Place.GPU,
        regex(r"Device memory allocation of size \d+ failed|vk::Device::allocateMemory: ErrorOutOfDevice"),
    ),
    (
        Place.RAM,
        regex(r"(?:failed|unable) to allocate (?:CPU|CUDA_Host|ROCm_Host|Vulkan_Host)\w* buffer"),
    ),
    (Place.RAM, regex(r"cpu_buffer_type_alloc_buffer: failed to allocate buffer of size")),
    (Place.RAM, regex(r"insufficient memory \(attempted to allocate")),
    (Place.GPU, regex(r"\b(?:cuda|hip|musa)Malloc failed: out of memory|ErrorOutOfDeviceMemory")),
    (Place.GPU, regex(r"failed to allocate compute (?:pp |tg )?buffers")),
)
_FIRST_LINES: Final = 2
"""So many of `_STARTS` begin a failure anew; the others may only repeat the failure of a line just before."""

_CONSUMERS: Final = (
    (Consumer.SCRATCH, regex(r"in function alloc\b|look_ahead_size|cuMemCreate|ggml_cuda_pool")),
    (
        Consumer.COMPUTE,
        regex(r"gallocr|graph_reserve|sched_reserve|compute (?:\w+ )?buffers?|reserve graph"),
    ),
    (
        Consumer.KV_CACHE,
        regex(r"for (?:kv|rs) cache|kv_cache|self-attention cache|memory_recurrent|kv buffer"),
    ),
    (
        Consumer.WEIGHTS,
        regex(
            r"unable to allocate \S+ buffer|error loading model|load_tensors|"
            r"failed to load model|unable to load model"
        ),
    ),
)
_ANCHORS: Final = (
    "out of memory",
    "to allocate",
    "memory allocation",
    "erroroutofdevice",
    "insufficient memory",
)


def find_failed_allocations(lines: Lines) -> tuple[FailedAllocation, ...]:
    """Every failed allocation of an engine in the lines, in their order; lines of one failure count once."""
    if not lines.has_any(*_ANCHORS):
        return ()
    result: list[FailedAllocation] = []
    quiet_until = -1
    for index, (line, folded) in enumerate(zip(lines.lines, lines.folded, strict=True)):
        if not any(anchor in folded for anchor in _ANCHORS):
            continue
        start = next(
            (number for number, (_, pattern) in enumerate(_STARTS) if pattern.search(line.text)), None
        )
        if start is None or (index <= quiet_until and start >= _FIRST_LINES):
            continue
        place = _STARTS[start][0]
        result.append(_judge(lines.lines, index, place))
        quiet_until = index + _WINDOW_LINES // 2
    return tuple(result)


def _judge(lines: tuple[Line, ...], index: int, place: Place) -> FailedAllocation:
    line = lines[index]
    after = lines[index : index + _WINDOW_LINES]
    until = next((n for n, near in enumerate(after[1:], 1) if _AGAIN.search(near.text)), len(after))
    after = after[:until]
    consumer = next((found for near in after if (found := _consumer_of(near.text))), None)
    named = consumer is not None
    if consumer is None:
        before = reversed(lines[max(0, index - 40) : index])
        consumer = next((found for near in before if (found := _step_before(near.text))), Consumer.UNKNOWN)
    return FailedAllocation(line, consumer, place, _size(after), named, _survived(lines[index + 1 :]))


def _consumer_of(text: str) -> Consumer | None:
    return next((consumer for consumer, pattern in _CONSUMERS if pattern.search(text)), None)


def _step_before(text: str) -> Consumer | None:
    """What a step that was under way would have allocated next."""
    if re.search(
        r"sched_reserve|compute buffer size|resolve_fused_ops|output buffer size|KV self size", text
    ):
        return Consumer.COMPUTE
    if re.search(r"update_slots|prompt eval time|print_timing|/v1/|/completion", text):
        return Consumer.SCRATCH
    if re.search(r"constructing llama_context|new_context_with_model: n_ctx|llama_context: n_", text):
        return Consumer.KV_CACHE
    if re.search(r"load_tensors|llama_model_loader|memory\.weights\.total|print_info|load_print_meta", text):
        return Consumer.WEIGHTS
    return None


def _size(after: tuple[Line, ...]) -> int | None:
    """`allocating 14656.12 MiB on device 0`, `buffer of size 9925767168`."""
    for line in after[:3]:
        mib = re.search(r"allocating (\d{1,9}(?:\.\d{1,6})?) MiB", line.text)
        if mib is not None:
            return int(float(mib[1]) * MIB)
        plain = re.search(r"of size (\d{4,15})(?!\d)", line.text)
        if plain is not None:
            return int(plain[1])
    return None


_AGAIN = regex(r"retrying without pipeline parallelism|(?:cuda|hip|musa)Malloc failed: out of memory")
_LIVED = regex(
    r"retrying without pipeline parallelism|initializing(?: slots)?, n_slots|server is listening on|"
    r"all slots are idle|llama runner started in|llama_server: model loaded|main: model loaded"
)
_DIED = regex(r"failed to load model|unable to load model|exiting due to model loading|GGML_ASSERT|\bpanic:")


def _survived(after: tuple[Line, ...]) -> bool:
    """Whether the engine went on: the first line that says either decides."""
    for line in after[:400]:
        if _LIVED.search(line.text):
            return True
        if _DIED.search(line.text):
            return False
    return False
