"""Which device each layer and each tensor lies on, by llama.cpp's own rules.

Source: llama.cpp b11434, `llama_model::load_tensors` in `src/llama-model.cpp` (layers), `common/arg.cpp`
(`--n-cpu-moe`, `--override-tensor`), layer kinds of tensors in `src/llama-arch.cpp` (LLM_TENSOR_INFOS).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from bringup.errors import WrongUse
from bringup.plan.request import CPU, SplitMode
from bringup.records import dataclass

ALL_LAYERS: Final = 999
"""More layers than any model has: `--n-gpu-layers` for all."""

_INPUTS: Final = ("token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.")
_OF_FIRST_LAYER: Final = ("per_layer_model_proj.", "per_layer_proj_norm.")
"""Of no layer by their names; for llama.cpp they belong to the first."""
_EXPERTS: Final = tuple(
    f"ffn_{which}_{kind}." for which in ("up", "down", "gate", "gate_up") for kind in ("exps", "chexps")
)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model lies.

    Attributes:
        layers: device of each layer, drafting ones included.
        output: device of the output layer.
        n_cpu_moe: so many first layers keep their experts in main memory.
        overrides: `(pattern, device)`, the first that is found in a tensor's name decides.
        cards: names of the cards that are used, in order.
        mode: what they share; where all is shared, layers lie on the first by name and on all in truth.
        shares: of the cards, as `--tensor-split`; empty where the engine chooses.
        may_pipeline: there is room for the copies of inputs that several cards at work at once need.
    """

    layers: tuple[str, ...]
    output: str
    n_cpu_moe: int = 0
    overrides: tuple[tuple[re.Pattern[str], str], ...] = ()
    cards: tuple[str, ...] = ()
    mode: SplitMode = SplitMode.LAYER
    shares: tuple[float, ...] = ()
    may_pipeline: bool = True

    @property
    def n_layers_on_cards(self) -> int:
        """Layers on any card, the output layer counted as one."""
        return sum(device != CPU for device in (*self.layers, self.output))

    @property
    def is_overridden(self) -> bool:
        """Whether any rule names tensors; it turns pipeline parallelism off."""
        return bool(self.n_cpu_moe or self.overrides)

    def device_in_layer(self, index: int, suffix: str) -> str:
        """Device of a tensor of a layer by its name behind `blk.N.`."""
        if self.overrides:
            given = self._overridden(f"blk.{index}.{suffix}")
            if given is not None:
                return given
        if index < self.n_cpu_moe and is_expert(suffix):
            return CPU
        return self.layers[index]

    def device_of_whole(self, name: str) -> str:
        """Device of a tensor that belongs to no layer: inputs stay in main memory, all others are output."""
        given = self._overridden(name)
        if given is not None:
            return given
        if name.startswith(_OF_FIRST_LAYER):
            return self.layers[0] if self.layers else CPU
        return CPU if is_input(name) else self.output

    def _overridden(self, name: str) -> str | None:
        return next((device for pattern, device in self.overrides if pattern.search(name)), None)


def is_input(name: str) -> bool:
    """Whether a tensor of no layer is an input, which stays in main memory."""
    return name.startswith(_INPUTS)


def is_expert(suffix: str) -> bool:
    """Whether a tensor of a layer, by its name behind `blk.N.`, holds experts."""
    return suffix.startswith(_EXPERTS)


def place_layers(
    n_layer: int, *, n_gpu_layers: int, cards: Sequence[str], shares: Sequence[float]
) -> tuple[tuple[str, ...], str]:
    """Device of each layer and of the output layer.

    The last `n_gpu_layers` of `n_layer + 1` go to the cards, in one run for each card by its share.

    Args:
        n_layer: layers of the file.
        n_gpu_layers: layers on cards; a negative number means all.
        cards: names, in order.
        shares: of the cards, in any unit.
    """
    if not cards or not n_gpu_layers or not any(shares):
        return (CPU,) * n_layer, CPU
    wanted = n_layer + 1 if n_gpu_layers < 0 else n_gpu_layers
    first = max(n_layer + 1 - wanted, 0)
    count = min(wanted, n_layer + 1)
    total = sum(shares)
    bounds = [part / total for part in accumulate(shares)]

    def device(index: int) -> str:
        if index < first:
            return CPU
        return cards[min(bisect_right(bounds, (index - first) / count), len(cards) - 1)]

    return tuple(device(index) for index in range(n_layer)), device(n_layer)


_HOST: Final = "_Host"
"""Ending of the names of main memory that a card can read (`CUDA_Host`)."""


def compile_overrides(overrides: Sequence[tuple[str, str]]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns of `--override-tensor`, ready to be matched.

    Raises:
        WrongUse: one is no regular expression.
    """
    compiled = []
    for pattern, device in overrides:
        try:
            compiled.append((re.compile(pattern), CPU if device.endswith(_HOST) else device))
        except re.error as error:
            raise WrongUse(
                f"--override-tensor: {pattern!r} is no regular expression: {error}",
                hint=r"An example: --override-tensor 'ffn_.*_exps\.=CPU'",
            ) from error
    return tuple(compiled)
