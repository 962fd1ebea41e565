"""From a placed model to what one token costs on each device.

Works on the tensors of the file: their bytes and elements, where the placement puts them, and whether a token
is multiplied with all of a tensor (weights), with some of it (experts) or looks up one row (embeddings).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import field
from typing import Final, TypeAlias

from bringup.errors import CannotTell
from bringup.model.architecture import Architecture, CacheLayer
from bringup.model.gguf import Tensor
from bringup.model.quants import TensorType
from bringup.model.sizes import TensorKind, classify
from bringup.plan.anatomy import Anatomy, alike_layers
from bringup.plan.kv_cache import element_bytes
from bringup.plan.place import Placement
from bringup.plan.request import CPU
from bringup.plan.run import Run
from bringup.plan.work import Attention, DeviceWork, Kind, Matrices, Role, SpeedDevice
from bringup.records import dataclass, replace

_KINDS: Final = {
    TensorType.F32: Kind.F16,
    TensorType.F16: Kind.F16,
    TensorType.BF16: Kind.BF16,
    TensorType.Q8_0: Kind.Q8,
    TensorType.Q6_K: Kind.Q6,
    TensorType.Q5_0: Kind.Q5,
    TensorType.Q5_1: Kind.Q5,
    TensorType.Q5_K: Kind.Q5,
    TensorType.Q4_0: Kind.Q4_0,
    TensorType.Q4_1: Kind.Q4,
    TensorType.Q4_K: Kind.Q4,
    TensorType.Q3_K: Kind.Q3,
    TensorType.Q2_K: Kind.Q2,
    TensorType.IQ4_NL: Kind.IQ4,
    TensorType.IQ4_XS: Kind.IQ4,
    TensorType.MXFP4: Kind.MXFP4,
    TensorType.NVFP4: Kind.MXFP4,
}
"""Types that have been measured; all others are packed by tables or by fewer bits, and count as `Kind.IQ`."""


_CHUNKED: Final = frozenset(
    ("qwen3next", "qwen35", "qwen35moe", "qwen4exp", "kimi-linear", "kimi-k3", "minimax-01")
)
"""Architectures whose recurrent layers read a prompt in chunks of tokens; all others scan it."""


_Cached: TypeAlias = tuple[int | None, int]
"""Window of a layer's cache and size of a head's key."""


_Figures: TypeAlias = tuple[float, float, float]
"""Bytes, elements, and rows and columns of all matrices."""

_NOTHING: Final = (0.0, 0.0, 0.0)


@dataclass(slots=True)
class _Sums:
    """What is gathered for one device."""

    matrices: dict[tuple[Kind, Role], _Figures] = field(default_factory=dict)
    cache_bytes: dict[_Cached, float] = field(default_factory=lambda: defaultdict(float))
    flops: dict[_Cached, float] = field(default_factory=lambda: defaultdict(float))
    n_layer: float = 0.0
    n_layer_experts: int = 0
    n_layer_recurrent: int = 0
    state_bytes: float = 0.0


def works_of(
    model: Anatomy | Reads,
    placement: Placement,
    run: Run,
    devices: Sequence[SpeedDevice],
    *,
    offloads_cache: bool = True,
) -> tuple[DeviceWork, ...]:
    """The work of each device that has any: cards in their order, main memory last.

    The first card is among them where main memory is, even with nothing of its own: large batches go to it.
    With `offloads_cache` the keys and values lie where their layer does, else all of them in main memory.
    Who asks often keeps the model's `Reads`.

    Raises:
        CannotTell: nothing is known of the speed of a device that is used.
    """
    reads = model if isinstance(model, Reads) else Reads(model)
    sums = _gather(reads, placement, run, offloads_cache=offloads_cache)
    known = {device.name: device for device in devices}
    if CPU in sums and placement.cards and placement.cards[0] in known:
        sums.setdefault(placement.cards[0], _Sums())
    names = sorted(sums, key=lambda name: (name == CPU, (*placement.cards, name).index(name)))
    missing = [name for name in names if name not in known]
    if missing:
        raise CannotTell(
            f"the memory bandwidth of {', '.join(missing)} is not known",
            hint="Memory is planned all the same; `bringup run` measures the speed.",
            reference="speed-unknown",
        )
    works = (_work(reads.anatomy.architecture, known[name], sums[name]) for name in names)
    return tuple(works) if offloads_cache else tuple(replace(work, keeps_attention=True) for work in works)


def _gather(reads: Reads, placement: Placement, run: Run, *, offloads_cache: bool) -> dict[str, _Sums]:
    sums: dict[str, _Sums] = defaultdict(_Sums)
    anatomy = reads.anatomy
    figures = anatomy.architecture
    recurrent = figures.recurrent
    sums_of_weights = [reads.whole(placement), *(reads.layer(i, placement) for i in range(figures.n_layer))]
    for by_place in sums_of_weights:
        for (device, kind, role), (size, elements, edges) in by_place.items():
            found, key = sums[device].matrices, (kind, role)
            before = found.get(key, _NOTHING)
            found[key] = (before[0] + size, before[1] + elements, before[2] + edges)
    for index, device in enumerate(placement.layers[: figures.n_layer]):
        place = sums[device]
        place.n_layer += reads.fullness(index)
        cache = anatomy.caches.get(index)
        if cache is not None:
            cached = (figures.n_swa if cache.is_swa else None, cache.n_embd_k // _n_kept(figures, cache))
            keeper = place if offloads_cache else sums[CPU]
            keeper.cache_bytes[cached] += cache.n_embd_k * element_bytes(run.type_k)
            keeper.cache_bytes[cached] += cache.n_embd_v * element_bytes(run.type_v)
            keeper.flops[cached] += _attention_flops(figures, cache)
        if recurrent is not None and figures.recurrent_layers[index]:
            place.n_layer_recurrent += 1
            place.state_bytes += 4 * (recurrent.n_embd_r + recurrent.n_embd_s)
        for where in {device for device, _, role in sums_of_weights[index + 1] if role is Role.EXPERT}:
            sums[where].n_layer_experts += 1
    sums[placement.output].n_layer += 1
    return sums


_Sum: TypeAlias = dict[tuple[str, Kind, Role], _Figures]
"""By device, storage and role."""


@dataclass(slots=True)
class Reads:
    """Matrices that a token is multiplied with, by device; a layer that was summed once is kept.

    Vectors (norms, biases) are left out: they are under a thousandth of the bytes; embeddings are looked up
    by row. A tied output matrix comes once, with the output's device.

    Attributes:
        anatomy: the model.
    """

    anatomy: Anatomy
    _known: dict[Hashable, _Sum] = field(default_factory=dict)
    _fullness: dict[int, float] = field(default_factory=dict)
    _alike: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._alike = alike_layers(self.anatomy.layers)

    def whole(self, placement: Placement) -> _Sum:
        """Matrices that belong to no layer."""
        anatomy = self.anatomy
        found = [
            (tensor, placement.device_of_whole(name))
            for name, tensor in anatomy.whole.items()
            if classify(tensor.name) is not TensorKind.EMBEDDING
        ]
        if anatomy.is_tied:
            found.append((anatomy.whole["token_embd.weight"], placement.output))
        return _summed(found)

    def fullness(self, index: int) -> float:
        """1 for a layer that mixes tokens and has a feed-forward part, a half for one that does either."""
        first = self._alike[index]
        kept = self._fullness.get(first)
        if kept is None:
            matrices = [name for name, one in self.anatomy.layers[first].items() if len(one.shape) > 1]
            kinds = {name.startswith("ffn_") for name in matrices}
            kept = self._fullness[first] = len(kinds) / 2
        return kept

    def layer(self, index: int, placement: Placement) -> _Sum:
        """Matrices of a layer; without rules by name it lies by its device and that of its experts."""
        key: Hashable = (self._alike[index], placement.layers[index], index < placement.n_cpu_moe)
        if placement.overrides:
            key = (index, placement)
        if key not in self._known:
            self._known[key] = _summed(
                (tensor, placement.device_in_layer(index, suffix))
                for suffix, tensor in self.anatomy.layers[index].items()
            )
        return self._known[key]


def _summed(tensors: Iterable[tuple[Tensor, str]]) -> _Sum:
    found: _Sum = {}
    for tensor, device in tensors:
        if len(tensor.shape) < 2:
            continue
        key = device, _kind(tensor), _role(tensor)
        n_rows, n_columns = tensor.shape[:2]
        edges = (n_rows + n_columns) * (tensor.n_elements // (n_rows * n_columns))
        size, elements, before = found.get(key, _NOTHING)
        found[key] = size + tensor.size_bytes, elements + tensor.n_elements, before + edges
    return found


def _kind(tensor: Tensor) -> Kind:
    return _KINDS.get(tensor.type, Kind.IQ)


def _role(tensor: Tensor) -> Role:
    """Routed experts apart (their router is read whole), and the output matrix, a tied embedding too."""
    kind = classify(tensor.name)
    if kind in (TensorKind.OUTPUT, TensorKind.EMBEDDING):
        return Role.OUTPUT
    is_router = "ffn_gate_inp" in tensor.name or "exp_probs" in tensor.name
    return Role.EXPERT if kind is TensorKind.EXPERTS and not is_router else Role.LAYER


def _n_kept(figures: Architecture, cache: CacheLayer) -> int:
    """Keys that a layer keeps of each token."""
    return 1 if figures.is_mla else max(1, figures.n_head_kv[cache.index])


def _attention_flops(figures: Architecture, cache: CacheLayer) -> float:
    """Operations of one new token with one cached one in a layer: each query head takes a key and a value.

    `2 x n_head x (head_k + head_v)`; MLA keeps one compressed key for all heads, which is its value too.
    """
    n_head = figures.n_head[cache.index]
    return 2 * n_head / _n_kept(figures, cache) * (cache.n_embd_k + (cache.n_embd_v or cache.n_embd_k))


def _work(figures: Architecture, device: SpeedDevice, sums: _Sums) -> DeviceWork:
    used_share = figures.n_expert_used / figures.n_expert if figures.n_expert else 1.0
    matrices = []
    for (kind, role), (size, elements, edges) in sums.matrices.items():
        share = used_share if role is Role.EXPERT else 1.0
        matrices.append(Matrices(kind, role, size, size * share, elements * share, share, edges * share))
    attention = tuple(
        Attention(size, sums.flops[cached], *cached) for cached, size in sums.cache_bytes.items()
    )
    return DeviceWork(
        device=device,
        matrices=tuple(matrices),
        attention=attention,
        n_layer=sums.n_layer,
        n_layer_experts=sums.n_layer_experts,
        n_layer_recurrent=sums.n_layer_recurrent,
        state_bytes=sums.state_bytes,
        is_scanned=figures.name not in _CHUNKED,
    )
