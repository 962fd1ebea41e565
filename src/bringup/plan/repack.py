"""Weights that the CPU backend copies into another layout: private memory instead of pages of the file."""

from __future__ import annotations

from typing import Final

from bringup.model.gguf import Tensor
from bringup.model.quants import TensorType
from bringup.model.sizes import TensorKind, classify
from bringup.plan.anatomy import Anatomy
from bringup.plan.place import Placement
from bringup.plan.request import CPU
from bringup.plan.weights import tensors_with_devices

_REPACKED_TYPES: Final = frozenset(
    {
        TensorType.Q1_0,
        TensorType.Q2_K,
        TensorType.Q4_0,
        TensorType.Q4_K,
        TensorType.Q5_K,
        TensorType.Q6_K,
        TensorType.Q8_0,
        TensorType.IQ4_NL,
        TensorType.MXFP4,
    }
)
"""Types that the CPU backend copies into another layout on some processor: which of them depends on its
instructions, so this is an upper bound (llama.cpp b11434, `ggml/src/ggml-cpu/repack.cpp`)."""


def repacked_bytes(anatomy: Anatomy, placement: Placement) -> int:
    """Bytes of the tensors in main memory that may be repacked; none beside a card.

    With a card the engine puts what stays in main memory where the card can fetch it, before it thinks of
    another layout (llama.cpp b11434, `make_cpu_buft_list` in `src/llama-model.cpp`).
    """
    if placement.cards:
        return 0
    return sum(
        tensor.size_bytes
        for tensor, device in tensors_with_devices(anatomy, placement)
        if device == CPU and _may_be_repacked(tensor)
    )


def _may_be_repacked(tensor: Tensor) -> bool:
    return tensor.type in _REPACKED_TYPES and classify(tensor.name) is not TensorKind.EMBEDDING
