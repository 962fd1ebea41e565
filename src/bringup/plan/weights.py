"""Bytes of the weights on each device.

A device's buffer is the sum of its tensors; CUDA rounds quantised rows up. In main memory a mapped file
costs the pages of its tensors; what the engine prints there is the range from the first to the last one,
which includes tensors that were copied to a card: those pages are never read again.
Source: llama.cpp b11434, `src/llama-model.cpp`, `src/llama-model-loader.cpp`
(`get_mapping_range`), `ggml/src/ggml-cuda/ggml-cuda.cu` (`MATRIX_ROW_PADDING`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from bringup.model.gguf import Tensor
from bringup.plan.anatomy import Anatomy
from bringup.plan.place import Placement
from bringup.plan.request import CPU

ROW_PADDING_ELEMENTS: Final = 512
"""MATRIX_ROW_PADDING of the CUDA backend."""


def weights_by_device(anatomy: Anatomy, placement: Placement) -> dict[str, int]:
    """Bytes of the tensors on each device; devices without any are left out."""
    totals: dict[str, int] = defaultdict(int)
    for tensor, device in tensors_with_devices(anatomy, placement):
        totals[device] += tensor.size_bytes if device == CPU else size_on_card(tensor)
    return dict(totals)


def tensors_with_devices(anatomy: Anatomy, placement: Placement) -> Iterator[tuple[Tensor, str]]:
    """Every tensor that is loaded and where; a tied output matrix on a card comes twice.

    Drafting layers stay in the file unless drafting is asked for, which is not planned here.
    """
    for name, tensor in anatomy.whole.items():
        yield tensor, placement.device_of_whole(name)
    for index, layer in enumerate(anatomy.layers[: anatomy.architecture.n_layer]):
        for suffix, tensor in layer.items():
            yield tensor, placement.device_in_layer(index, suffix)
    if anatomy.is_tied and placement.output != CPU:
        yield anatomy.whole["token_embd.weight"], placement.output


def size_on_card(tensor: Tensor) -> int:
    """Bytes of a tensor in a CUDA buffer: the last row of a quantised one is rounded up, then the whole."""
    size = tensor.size_bytes
    rest = tensor.shape[0] % ROW_PADDING_ELEMENTS
    if tensor.type.block_elements > 1 and rest:
        padding = ROW_PADDING_ELEMENTS - rest
        size += padding // tensor.type.block_elements * tensor.type.block_bytes
    return -(-size // 128) * 128


def mapped_range_bytes(anatomy: Anatomy, placement: Placement) -> int:
    """Bytes from the first to the last tensor of main memory in each file, all files together."""
    on_cpu = {tensor.name for tensor, device in tensors_with_devices(anatomy, placement) if device == CPU}
    total = 0
    for ranges in anatomy.files:
        kept = [(first, behind) for name, first, behind in ranges if name in on_cpu]
        if kept:
            total += max(behind for _, behind in kept) - min(first for first, _ in kept)
    return total
