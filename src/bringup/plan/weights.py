"""Bytes of the weights on each device.

A device's buffer is the sum of its tensors; CUDA rounds quantised rows up. In main memory a mapped file
costs the pages of its tensors; what the engine prints there is the range from the first to the last one,
which includes tensors that were copied to a card: those pages are never read again.
Source: llama.cpp b11434, `src/llama-model.cpp`, `src/llama-model-loader.cpp`
(`get_mapping_range`), `ggml/src/ggml-cuda/ggml-cuda.cu` (`MATRIX_ROW_PADDING`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Final

from bringup.model.gguf import Tensor
from bringup.plan.anatomy import Anatomy, alike_layers
from bringup.plan.place import Placement
from bringup.plan.request import CPU
from bringup.records import dataclass

ROW_PADDING_ELEMENTS: Final = 512
"""MATRIX_ROW_PADDING of the CUDA backend."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Tensors on one device: how many, and their bytes there."""

    n_tensors: int
    bytes: int


@dataclass(slots=True)
class WeightSums:
    """Weights of one model by device; what was summed once, a layer or all of them, is kept.

    Attributes:
        anatomy: the model.
    """

    anatomy: Anatomy
    _layers: dict[Hashable, dict[str, Sum]] = field(default_factory=dict)
    _placed: dict[Hashable, dict[str, Sum]] = field(default_factory=dict)
    _alike: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._alike = alike_layers(self.anatomy.layers)

    def by_device(self, placement: Placement) -> Mapping[str, Sum]:
        """Sums of each device that has any."""
        if placement.overrides:
            return _summed(tensors_with_devices(self.anatomy, placement))
        key = (placement.layers, placement.output, placement.n_cpu_moe)
        if key not in self._placed:
            self._placed[key] = self._of_all_layers(placement)
        return self._placed[key]

    def _of_all_layers(self, placement: Placement) -> dict[str, Sum]:
        found = [_summed(_whole_with_devices(self.anatomy, placement))]
        for index in range(self.anatomy.architecture.n_layer):
            # Without rules by name a layer lies by its device and by whether its experts are kept apart.
            key = (self._alike[index], placement.layers[index], index < placement.n_cpu_moe)
            if key not in self._layers:
                self._layers[key] = _summed(_layer_with_devices(self.anatomy, placement, index))
            found.append(self._layers[key])
        counts: dict[str, int] = defaultdict(int)
        sizes: dict[str, int] = defaultdict(int)
        for sums in found:
            for device, one in sums.items():
                counts[device] += one.n_tensors
                sizes[device] += one.bytes
        return {device: Sum(counts[device], sizes[device]) for device in sizes}


def _summed(tensors: Iterable[tuple[Tensor, str]]) -> dict[str, Sum]:
    counts: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    for tensor, device in tensors:
        counts[device] += 1
        sizes[device] += tensor.size_bytes if device == CPU else size_on_card(tensor)
    return {device: Sum(counts[device], sizes[device]) for device in sizes}


def tensors_with_devices(anatomy: Anatomy, placement: Placement) -> Iterator[tuple[Tensor, str]]:
    """Every tensor that is loaded and where; a tied output matrix on a card comes twice.

    Drafting layers stay in the file unless drafting is asked for, which is not planned here.
    """
    yield from _whole_with_devices(anatomy, placement)
    for index in range(anatomy.architecture.n_layer):
        yield from _layer_with_devices(anatomy, placement, index)


def _layer_with_devices(anatomy: Anatomy, placement: Placement, index: int) -> Iterator[tuple[Tensor, str]]:
    for suffix, tensor in anatomy.layers[index].items():
        yield tensor, placement.device_in_layer(index, suffix)


def _whole_with_devices(anatomy: Anatomy, placement: Placement) -> Iterator[tuple[Tensor, str]]:
    for name, tensor in anatomy.whole.items():
        yield tensor, placement.device_of_whole(name)
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
