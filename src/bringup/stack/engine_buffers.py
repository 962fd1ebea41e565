"""The buffers that an engine says it took: weights, KV cache, compute, by device, from its own log.

llama.cpp prints a line for each buffer while it loads, newer builds only from verbosity 4 on. Only a whole
line that begins as such a line does counts, and none that a string of the model could have put there: the
chat template is rendered on a trial once all has been taken, and what it prints then is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass
from bringup.units import MIB


class BufferUse(Enum):
    """What a buffer is for; the value is llama.cpp's word."""

    WEIGHTS = "model"
    KV_CACHE = "KV"
    STATE = "RS"
    OUTPUT = "output"
    COMPUTE = "compute"


@dataclass(frozen=True, slots=True)
class Buffer:
    """One use on one device (`CUDA0`, `CPU`, `CPU_Mapped`, `CUDA_Host`), all its buffers together."""

    use: BufferUse
    device: str
    size_bytes: int

    @property
    def is_on_card(self) -> bool:
        """Whether it lies in a card's own memory."""
        return re.fullmatch(r"(?:CUDA|ROCm|Vulkan|SYCL|MUSA|MTL)\d+", self.device) is not None


_LINE: Final = regex(
    r"(?:[\d.]+ [IWED] )?[a-z_:]{4,60}: +(?P<device>[A-Za-z_]{2,20}\d{0,3}) +"
    r"(?P<use>model|KV|RS|output|compute) buffer size = +(?P<mib>\d{1,9}\.\d\d) MiB"
)

_TAKEN: Final = regex(r"(?:[\d.]+ [IWED] )?srv +load_model: initializing, n_slots = \d+.*")


def lines_of_load(lines: Iterable[str], *, foreign: frozenset[str]) -> Iterator[str]:
    """The lines up to the one that says that the model is in memory; all where none says so.

    Raw line: `0.01.949.667 I srv    load_model: initializing, n_slots = 1, n_ctx_slot = 2048`.

    Args:
        lines: the log of one start, oldest first.
        foreign: lines that strings of the model could have made; they are passed over.
    """
    for raw in lines:
        line = raw.strip()
        if line in foreign:
            continue
        if "initializing, n_slots" in line and _TAKEN.fullmatch(line):
            return
        yield line


def read_buffers(lines: Iterable[str], *, foreign: frozenset[str] = frozenset()) -> tuple[Buffer, ...]:
    """The buffers of the last load that the lines show; empty where none says so.

    Raw line: `load_tensors:   CPU_Mapped model buffer size =    92.10 MiB`.

    Args:
        lines: the log, oldest first.
        foreign: lines that strings of the model could have made; they are passed over.
    """
    sizes: dict[tuple[BufferUse, str], int] = {}
    is_past_weights = False
    for line in lines_of_load(lines, foreign=foreign):
        found = _LINE.fullmatch(line) if "buffer size" in line else None
        if found is None:
            continue
        use = BufferUse(found["use"])
        if use is BufferUse.WEIGHTS and is_past_weights:
            sizes.clear()
        is_past_weights = use is not BufferUse.WEIGHTS
        key = use, found["device"]
        size = round(float(found["mib"]) * MIB)
        # A cache with and one without a sliding window are two; a compute buffer is told again when it grows.
        is_sum = use in (BufferUse.WEIGHTS, BufferUse.KV_CACHE, BufferUse.STATE)
        sizes[key] = sizes.get(key, 0) + size if is_sum else size
    return tuple(Buffer(use, device, size) for (use, device), size in sizes.items())
