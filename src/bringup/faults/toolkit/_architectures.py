"""The architecture that nvcc refused, by its number."""

from __future__ import annotations

import re
from typing import Final

from bringup.faults._scene import Scene
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
