"""From a model's header to the figures that the first plan wants."""

from __future__ import annotations

from typing import Final

from bringup.model.architecture import Architecture
from bringup.model.gguf import Tensor
from bringup.model.quants import TensorType
from bringup.model.shards import Model
from bringup.model.sizes import TensorKind, classify
from bringup.plan.kv_cache import LayerCache
from bringup.plan.simple import ModelNeeds

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


def needs_of(model: Model) -> ModelNeeds:
    """What a model needs, from the headers of all its files.

    Raises:
        GgufError: a figure of the architecture is missing or cannot be.
    """
    architecture = model.architecture
    recurrent = architecture.recurrent
    return ModelNeeds(
        name=architecture.display_name or model.name.rsplit("/", 1)[-1],
        weights_bytes=model.weights_bytes,
        repacked_bytes=sum(tensor.size_bytes for tensor in model.tensors if _may_be_repacked(tensor)),
        layers=tuple(
            LayerCache(layer.n_embd_k, layer.n_embd_v, layer.is_swa) for layer in architecture.cache_layers
        ),
        n_swa=architecture.n_swa,
        n_embd=architecture.n_embd,
        n_ff_active=_active_feed_forward(architecture),
        n_vocab=architecture.n_vocab or 0,
        n_ctx_train=architecture.n_ctx_train,
        recurrent=(0, 0, 0)
        if recurrent is None
        else (recurrent.n_layer, recurrent.n_embd_r, recurrent.n_embd_s),
        is_cache_known=architecture.is_cache_known,
    )


def _may_be_repacked(tensor: Tensor) -> bool:
    return tensor.type in _REPACKED_TYPES and classify(tensor.name) is not TensorKind.EMBEDDING


def _active_feed_forward(architecture: Architecture) -> int:
    """Elements of the widest feed-forward part that one token passes."""
    dense = max(architecture.n_ff or (0,))
    experts = max(architecture.n_ff_exp or (0,)) * architecture.n_expert_used + architecture.n_ff_shexp
    return max(dense, experts)
