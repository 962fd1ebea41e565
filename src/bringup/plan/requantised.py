"""The same model in a smaller quantisation, worked out from its header: no file of it has to be there.

Which type each tensor gets follows llama.cpp's own mixtures (b11434, `llama_tensor_get_type_impl` and
`tensor_type_fallback` in `src/llama-quant.cpp`). Some makers mix them otherwise: some hundredths more
or less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bringup.model.gguf import Tensor
from bringup.model.quants import TensorType
from bringup.model.sizes import TensorKind, classify
from bringup.plan.anatomy import Anatomy
from bringup.records import dataclass, replace

MIXTURES: Final[Mapping[str, TensorType]] = {
    "Q8_0": TensorType.Q8_0,
    "Q6_K": TensorType.Q6_K,
    "Q5_K_M": TensorType.Q5_K,
    "Q4_K_M": TensorType.Q4_K,
    "Q4_K_S": TensorType.Q4_K,
    "IQ4_XS": TensorType.IQ4_XS,
    "Q3_K_M": TensorType.Q3_K,
    "Q3_K_S": TensorType.Q3_K,
    "Q2_K": TensorType.Q2_K,
}
"""Mixtures that most repositories have, the largest first, with the type of most of their tensors."""

_MEDIUM: Final = frozenset({"Q5_K_M", "Q4_K_M"})
"""Mixtures that give half of the layers more bits for values and the last matrix."""

_SMALLER: Final = 0.9
"""What saves less than a tenth is not worth another download."""

_FALLBACKS: Final = {
    TensorType.Q2_K: TensorType.Q4_0,
    TensorType.Q3_K: TensorType.Q4_0,
    TensorType.Q4_K: TensorType.Q5_0,
    TensorType.Q5_K: TensorType.Q5_1,
    TensorType.Q6_K: TensorType.Q8_0,
    TensorType.IQ4_XS: TensorType.IQ4_NL,
}
"""For rows that blocks of 256 do not divide."""

_NATIVE: Final = frozenset({TensorType.MXFP4, TensorType.NVFP4})
"""Types that models are trained in: nobody makes more of such weights than they are."""

_KEPT: Final = (
    *("_norm", "ffn_gate_inp", "altup", "laurel", "per_layer_model_proj", "position_embd", "token_types"),
    *("ssm_conv1d", "shortconv.conv", "indexer.", "time_mix_first", "time_mix_w", "time_mix_a", "time_mix_v"),
    *("time_mix_g", "time_mix_decay", "time_mix_lerp", "attn_rel_b", "rope_freqs"),
)
"""Names of weights that stay as they are: small, or of use to others than matrix products."""


@dataclass(frozen=True, slots=True)
class Requantised:
    """A model in another mixture: the same tensors in other types. `size_bytes` is that of all tensors."""

    label: str
    anatomy: Anatomy
    size_bytes: int


def smaller_mixtures(anatomy: Anatomy) -> Iterator[Requantised]:
    """The mixtures that are at least a tenth smaller than the model as it is, the largest first.

    None where its weights cannot be made smaller by them: types of four bits with rows that no block of
    256 divides (gpt-oss) stay as large as they are.
    """
    size = sum(tensor.size_bytes for tensor in _tensors(anatomy))
    if requantise(anatomy, "Q2_K").size_bytes > _SMALLER * size:
        return
    elements = sum(tensor.n_elements for tensor in _tensors(anatomy))
    for label, base in MIXTURES.items():
        if base.bits_per_element * elements / 8 > size:
            continue  # surely not smaller
        made = requantise(anatomy, label)
        if made.size_bytes <= _SMALLER * size:
            yield made


def requantise(anatomy: Anatomy, label: str) -> Requantised:
    """The model in a mixture of `MIXTURES`, made from the original, not from what is here."""
    n_layer = anatomy.architecture.n_layer
    known: dict[tuple[object, ...], TensorType | None] = {}

    def retyped(index: int, name: str, tensor: Tensor) -> Tensor:
        place = (
            index < 2,
            index < 4,
            index < n_layer // 16,
            index < n_layer // 8,
            _has_more_bits(index, n_layer),
        )
        key = (place, name, tensor.shape, tensor.type)
        if key not in known:
            known[key] = _wanted(anatomy, label, index, name, tensor)
        wanted = known[key]
        if wanted is None or wanted is tensor.type:
            return tensor
        size = tensor.n_elements // wanted.block_elements * wanted.block_bytes
        return Tensor(tensor.name, tensor.shape, wanted, tensor.offset_bytes, size)

    layers = tuple(
        {suffix: retyped(index, suffix, tensor) for suffix, tensor in layer.items()}
        for index, layer in enumerate(anatomy.layers)
    )
    whole = {name: retyped(0, name, tensor) for name, tensor in anatomy.whole.items()}
    made = replace(anatomy, layers=layers, whole=whole)
    return Requantised(label, made, sum(tensor.size_bytes for tensor in _tensors(made)))


def _tensors(anatomy: Anatomy) -> Iterator[Tensor]:
    yield from anatomy.whole.values()
    for layer in anatomy.layers:
        yield from layer.values()


def _wanted(anatomy: Anatomy, label: str, index: int, name: str, tensor: Tensor) -> TensorType | None:
    """The type that a tensor gets; `None` where it stays as it is."""
    if len(tensor.shape) < 2 or not name.endswith("weight") or any(word in name for word in _KEPT):
        return None
    wanted = _with_fallback(_mixed(anatomy, label, index, name), tensor.shape[0])
    is_larger = wanted.bits_per_element >= tensor.type.bits_per_element
    return None if tensor.type in _NATIVE and is_larger else wanted


def _with_fallback(wanted: TensorType, n_columns: int) -> TensorType:
    if n_columns % wanted.block_elements:
        wanted = _FALLBACKS.get(wanted, TensorType.F16)
    return TensorType.F16 if n_columns % wanted.block_elements else wanted


def _mixed(anatomy: Anatomy, label: str, index: int, name: str) -> TensorType:
    """The type that a mixture gives to a tensor, by what it is for and where it lies."""
    base = MIXTURES[label]
    kind = classify(name)
    if kind is TensorKind.OUTPUT or (kind is TensorKind.EMBEDDING and anatomy.is_tied):
        return TensorType.Q8_0 if base is TensorType.Q8_0 else TensorType.Q6_K
    if base in (TensorType.Q8_0, TensorType.Q6_K):
        return base
    if name.startswith(("attn_v.", "attn_kv_b.")):
        return _values(anatomy, label, index)
    if name.startswith("ffn_down"):
        return _down(anatomy, label, index)
    if name.startswith("attn_output."):
        return {"Q3_K_M": TensorType.Q4_K, "Q2_K": TensorType.Q3_K}.get(label, base)
    if name.startswith("attn_qkv."):
        mixed = {"Q3_K_M": TensorType.Q4_K, "Q4_K_M": TensorType.Q5_K, "Q5_K_M": TensorType.Q6_K}
        return mixed.get(label, base)
    return base


def _values(anatomy: Anatomy, label: str, index: int) -> TensorType:
    """Values of attention: small, and worth more bits."""
    figures = anatomy.architecture
    if figures.n_expert == 8:
        return TensorType.Q8_0
    grouped = figures.n_head[0] // max(1, figures.n_head_kv[0]) if figures.n_head else 1
    wanted = MIXTURES[label]
    if label == "Q2_K":
        wanted = TensorType.Q4_K if grouped >= 4 else TensorType.Q3_K
    elif label == "Q3_K_M":
        wanted = TensorType.Q5_K if index < 2 else TensorType.Q4_K
    elif label == "Q4_K_S":
        wanted = TensorType.Q5_K if index < 4 else TensorType.Q4_K
    elif label == "IQ4_XS":
        wanted = TensorType.Q5_K if grouped >= 4 else TensorType.IQ4_XS
    elif label in _MEDIUM and _has_more_bits(index, figures.n_layer):
        wanted = TensorType.Q6_K
    is_70b = figures.n_layer == 80 and wanted in (TensorType.Q3_K, TensorType.Q4_K)
    return TensorType.Q5_K if is_70b else wanted


def _down(anatomy: Anatomy, label: str, index: int) -> TensorType:
    """The last matrix of the feed-forward part."""
    n_layer = anatomy.architecture.n_layer
    if label == "Q2_K":
        return TensorType.Q3_K
    if label == "Q3_K_M":
        return TensorType.Q5_K if index < n_layer // 16 else TensorType.Q4_K
    if label == "Q4_K_S":
        return TensorType.Q5_K if index < n_layer // 8 else TensorType.Q4_K
    return TensorType.Q6_K if label in _MEDIUM and _has_more_bits(index, n_layer) else MIXTURES[label]


def _has_more_bits(index: int, n_layer: int) -> bool:
    """The first and the last eighth of the layers, and every third between."""
    first = n_layer // 8
    return index < first or index >= 7 * n_layer // 8 or (index - first) % 3 == 2
