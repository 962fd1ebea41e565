"""The drafting layers of a file (MTP) as a model of their own.

Source: llama.cpp b11434, `graph_mtp` in `src/models/qwen35.cpp` and its kin: a context with its own cache
over the window of the model, which shares embeddings and output matrix with it. Its graph begins with the
joined states of model and token, which takes less than what follows.
"""

from __future__ import annotations

from bringup.errors import WrongUse
from bringup.model.architecture import CacheLayer
from bringup.plan.anatomy import Anatomy
from bringup.records import replace


def own_draft(anatomy: Anatomy) -> Anatomy:
    """What the engine loads more to draft with the file's own layers.

    Raises:
        WrongUse: the file has none.
    """
    figures = anatomy.architecture
    first, count = figures.n_layer, figures.n_layer_nextn
    if not count:
        raise WrongUse(
            f"{anatomy.name} has no drafting layers",
            hint="--spec-type draft-mtp is for files that have some; --model-draft names another model.",
        )
    behind = slice(first, first + count)
    caches = _caches(anatomy)
    own = replace(
        figures,
        n_layer=count,
        n_layer_nextn=0,
        n_head=figures.n_head[behind] or figures.n_head[-1:] * count,
        n_head_kv=figures.n_head_kv[behind] or figures.n_head_kv[-1:] * count,
        n_swa=0,
        swa_layers=(False,) * count,
        recurrent_layers=(False,) * count,
        recurrent=None,
        cache_layers=caches,
        index_layers=(),
        compressed_layers=(),
        n_embd_history=0,
    )
    return Anatomy(anatomy.name, own, anatomy.layers[behind], {}, {layer.index: layer for layer in caches})


def _caches(anatomy: Anatomy) -> tuple[CacheLayer, ...]:
    """What each drafting layer keeps: as wide as a full layer of the model."""
    figures = anatomy.architecture
    full = next((layer for layer in reversed(figures.cache_layers) if not layer.is_swa), None)
    if full is None:
        return ()
    return tuple(replace(full, index=index) for index in range(figures.n_layer_nextn))
