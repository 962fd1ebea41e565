"""Pasted text that tells of a failure and not of its cause: nobody may call that healthy.

A table of lines that only ever stand where something failed and that many causes share; each with the look
that tells the causes apart. They count only where no fault was found.
"""

from __future__ import annotations

from typing import Final

from bringup.actions.diagnosis.unseen import Unseen
from bringup.stack.lines import Lines

_WHY: Final = "the text tells that it failed, and not why"
_SYMPTOMS: Final = (
    (
        ("communicate with the nvidia driver. make sure",),
        ("kernel", "what keeps nvidia-smi from the driver", "sudo modprobe nvidia"),
    ),
    (
        ("failed to initialize nvml", "nvmlinit", "rminitadapter failed"),
        ("kernel", "what keeps the driver from its card", "sudo dmesg"),
    ),
    (
        ("cuda error", "cuda driver initialization failed", "cudagetdevicecount", "cuinit failed"),
        ("nvml", "what the CUDA error comes from", "nvidia-smi"),
    ),
    (
        ("failed to load model", "exiting due to model loading error", "error loading model"),
        ("model", "what keeps the model from loading", "llama-server --verbose -m MODEL.gguf"),
    ),
    (
        ("segmentation fault", "core dumped", "ggml_assert(", "signal: aborted", "terminate called after"),
        ("runtime", "what ended the program", "sudo dmesg"),
    ),
    (
        ("make: *** ", "cmake error", "error! bad return status for module build"),
        ("build", "what stopped the build", ""),
    ),
    (("traceback (most recent call last)",), ("runtime", "what the Python program failed of", "")),
)


def find_open_questions(lines: Lines) -> tuple[Unseen, ...]:
    """A failure of each kind that the lines tell of, at its first line."""
    found = []
    for anchors, (layer, what, decides) in _SYMPTOMS:
        line = next((hit[0] for anchor in anchors if (hit := lines.with_anchor(anchor))), None)
        if line is not None:
            found.append(Unseen(layer, what, f"{line.source}, line {line.number}", _WHY, decides))
    return tuple(found)
