"""CUDA's error 999, "unknown error", at the start of a program, in the words of many programs."""

from __future__ import annotations

from typing import Final

from bringup.faults._scene import Scene
from bringup.patterns import regex
from bringup.stack.lines import Line

SLEEP_WORDS: Final = (
    "suspend",
    "after resum",
    "upon resum",
    "after sleep",
    "from sleep",
    "systemd-sleep",
    "hibernat",
    "waking",
    "wake up",
    "woke up",
    "after wake",
)
"""Anchors of a machine that slept."""

_ERRORS: Final = (
    (regex(r"(?:init|cuInit)\w*.{0,40}[:= (]999\\b".replace("\\\\", "\\")), "999"),
    (regex(r"cuda driver library .{0,60}\b999\b"), "cuda driver library"),
    (regex(r"cudaGetDeviceCount returned (?:999|30)\b"), "cudagetdevicecount returned"),
    (regex(r"CUDA unknown error - this may be due"), "cuda unknown error"),
    (regex(r"CUDA_ERROR_UNKNOWN"), "cuda_error_unknown"),
    (
        regex(r"(?i)(?:initiali[sz]e cuda|getdevicecount|cuda init|cuinit).{0,60}unknown error(?! ?\(303)"),
        "unknown error",
    ),
)


def find_unknown_error(scene: Scene) -> Line | None:
    """The first line that says so; `None` when no program did."""
    for pattern, anchor in _ERRORS:
        for line in scene.lines.with_anchor(anchor):
            if pattern.search(line.text):
                return line
    return None
