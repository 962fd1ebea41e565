"""The architecture that nvcc refused, by its number."""

from __future__ import annotations

import re
from typing import Final

from bringup.faults._fault import Certainty, Evidence
from bringup.faults._scene import Scene
from bringup.faults.userspace._driver import card_capabilities, has_cuda_engine
from bringup.reading import Known
from bringup.stack.lines import Line

OLDEST_OF_CUDA_13: Final = 75
"""Compute capability times ten that CUDA 13's nvcc starts at: Maxwell, Pascal and Volta were dropped
(CUDA 13.0 release notes)."""

_REFUSALS: Final = (
    (r"(?i)unsupported gpu architecture '(?:compute|sm)_(\d{2,3})[af]?'", "unsupported gpu architecture"),
    (r"(?i)value '(?:compute|sm)_(\d{2,3})[af]?' is not defined for option", "is not defined for option"),
    (r"(?i)unsupported cuda gpu architecture:? '?sm_(\d{2,3})", "unsupported cuda gpu architecture"),
)


def refused_architecture(scene: Scene) -> tuple[Line, int] | None:
    """The first line in which a compiler refuses an architecture, and that as `86` for 8.6."""
    for pattern, anchor in _REFUSALS:
        hit = scene.lines.search(pattern, anchor=anchor)
        if hit is not None:
            line, match = hit
            return line, int(match.group(1))
    return None


def shown(architecture: int) -> str:
    """`86` as `8.6`, `120` as `12.0`."""
    return f"{architecture // 10}.{architecture % 10}"


def folded(text: str) -> str:
    """A line with its white space folded, cut to what fits a page."""
    return re.sub(r"\s+", " ", text).strip()[:300]


def card_beyond_compiler(scene: Scene, *, is_card_newer: bool) -> Evidence | None:
    """A card that the first nvcc cannot build for, where nothing with CUDA was built yet.

    A compiler that knows an older member of the card's generation is enough: its code runs on the newer one.
    """
    nvcc = scene.stack.toolkit.nvcc
    if (
        not isinstance(nvcc, Known)
        or not isinstance(nvcc.value.architectures, Known)
        or has_cuda_engine(scene)
    ):
        return None
    known = nvcc.value.architectures.value
    for name, lowest, highest in card_capabilities(scene):
        is_beyond = lowest // 10 > known[-1] // 10 if is_card_newer else highest < known[0]
        if is_beyond:
            figure = shown(lowest) if lowest == highest else f"{shown(lowest)} or more"
            span = f"{shown(known[0])} to {shown(known[-1])}"
            return Evidence(
                saw=f"{nvcc.value.file} builds for {span}; {name} is {figure}",
                expected=f"an nvcc that lists compute capability {shown(lowest)}",
                sources=(nvcc.value.architectures.source,),
                certainty=Certainty.LIKELY,
                decides="nvcc --list-gpu-arch; nvidia-smi --query-gpu=name,compute_cap --format=csv",
                strength=3,
            )
    return None
