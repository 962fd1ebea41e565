"""What a model's bytes are for: sums by kind of tensor and by storage type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache
from typing import Final, TypeVar

from bringup.model.gguf import Tensor
from bringup.model.quants import TensorType
from bringup.patterns import regex
from bringup.records import dataclass


class TensorKind(Enum):
    """What a tensor is for.

    `EXPERTS` are the routed ones with their router; a shared expert is always active and counts as
    `FEED_FORWARD`.
    """

    EMBEDDING = "embedding"
    ATTENTION = "attention"
    FEED_FORWARD = "feed-forward"
    EXPERTS = "experts"
    RECURRENT = "recurrent"
    NORM = "norm"
    OUTPUT = "output"
    OTHER = "other"


# Names: llama.cpp b11434, `src/llama-arch.cpp` (LLM_TENSOR_NAMES). The first pattern that is found decides.
_PATTERNS: Final = (
    (TensorKind.NORM, regex(r"(?:^|[._])(?:norm|layer_norm)(?:_\w+)?(?:\.|$)|_norm_\w+\.")),
    (TensorKind.EMBEDDING, regex(r"^(?:per_layer_)?token_embd|^token_types\.|^position_embd\.")),
    (TensorKind.OUTPUT, regex(r"^output(?:\.|_)|^cls(?:\.|_)|^dense_\d")),
    (
        TensorKind.EXPERTS,
        regex(r"\.ffn_\w*?(?:_exps|_chexps)\.|\.ffn_\w+\.\d+\.|\.ffn_gate_inp\.|exp_probs"),
    ),
    (TensorKind.FEED_FORWARD, regex(r"\.ffn_")),
    (TensorKind.RECURRENT, regex(r"\.(?:ssm_|time_mix_|channel_mix_|shortconv)")),
    (TensorKind.ATTENTION, regex(r"\.(?:attn_|cross_attn_|indexer)")),
)


_LAYER: Final = "blk."


@dataclass(frozen=True, slots=True)
class Share:
    """Tensors of one group: how many, their elements and bytes."""

    n_tensors: int
    n_elements: int
    size_bytes: int


def classify(name: str) -> TensorKind:
    """Kind of a tensor by its name; the layers' tensors of one name behind their number are of one kind."""
    if name.startswith(_LAYER):
        number, _, rest = name[len(_LAYER) :].partition(".")
        return _classify(_LAYER + rest if number.isdecimal() else name)
    return _classify(name)


@lru_cache(maxsize=1024)
def _classify(name: str) -> TensorKind:
    for kind, pattern in _PATTERNS:
        if pattern.search(name):
            return kind
    return TensorKind.OTHER


def by_kind(tensors: Iterable[Tensor]) -> dict[TensorKind, Share]:
    """Sums by kind, in the order of `TensorKind`; kinds without tensors are left out."""
    sums = _sum(tensors, lambda tensor: classify(tensor.name))
    return {kind: sums[kind] for kind in TensorKind if kind in sums}


def by_type(tensors: Iterable[Tensor]) -> dict[TensorType, Share]:
    """Sums by storage type, the one with the most bytes first."""
    sums = _sum(tensors, lambda tensor: tensor.type)
    return dict(sorted(sums.items(), key=lambda item: (-item[1].size_bytes, item[0])))


_Group = TypeVar("_Group")


def _sum(tensors: Iterable[Tensor], group: Callable[[Tensor], _Group]) -> dict[_Group, Share]:
    totals: dict[_Group, Share] = {}
    for tensor in tensors:
        key = group(tensor)
        old = totals.get(key, Share(0, 0, 0))
        totals[key] = Share(
            old.n_tensors + 1, old.n_elements + tensor.n_elements, old.size_bytes + tensor.size_bytes
        )
    return totals
