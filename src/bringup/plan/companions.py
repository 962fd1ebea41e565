"""What runs beside a model and takes memory of its own: a drafting model, a projector for pictures or sound.

Source: llama.cpp b11434, `common_base_params_to_speculative` in `common/speculative.cpp` (the draft has the
window, slots and micro-batch of the model, cache types and layers of its own, and logits of one token a
slot), `tools/mtmd/clip.cpp` (a projector lies on one device whole, and lays out the graph of its largest
picture when it is loaded).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bringup.model.shards import Model
from bringup.plan.anatomy import Anatomy
from bringup.plan.plan import Part
from bringup.plan.request import CPU, Device, Request
from bringup.records import dataclass, replace

DRAFTED_TOKENS: Final = 3
"""`common_params_speculative_draft::n_max`: tokens that are drafted at once unless told otherwise."""

_OWN_PARTS: Final = frozenset(
    {"weights", "kv_cache", "kv_cache_swa", "kv_cache_index", "recurrent_state", "compute", "output"}
)
"""Parts of a drafting model that come on top; the process, its CUDA context and the margin are shared."""

_READERS_OF_STATES: Final = frozenset({"eagle3", "dflash"})
"""Drafting models beside which the model keeps states to go back to (`need_n_rs_seq`, `common/common.h`)."""

_F32_BYTES: Final = 4

_TOKENS_A_SIDE: Final = {
    **dict.fromkeys(("phi4", "pixtral", "lightonocr", "kimivl", "gemma4v", "gemma4uv", "minimax_m3"), 16),
    **dict.fromkeys(("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "ling3vl", "mimovl"), 46),
    **dict.fromkeys(("dots_ocr", "dots3note_v", "glm4v", "glm5v", "exaone4_5"), 46),
    **dict.fromkeys(("muse-glimmer", "hunyuanvl"), 32),
    "paddleocr": 28,
    "youtuvl": 16,
}
"""For pictures of any size: tokens on a side of the one that is laid out (`set_warmup_n_tokens`)."""

_MERGES: Final = {"phi4": 1, "pixtral": 1, "lightonocr": 1, "gemma4uv": 1, "gemma4v": 3}
"""Patches on a side of a token where the file does not say; 2 for all others."""

_SOUND_FRAMES: Final = 1500
"""Rows of half a minute of sound behind the two convolutions of Whisper's encoder."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafting model.

    Attributes:
        anatomy: it.
        n_gpu_layers: of its layers on the card; `None` for all.
        cache_type_k: of its keys; `None` for f16.
        cache_type_v: of its values, likewise.
        n_max: tokens that it drafts at once.
        is_own: it is the drafting layers of the model's own file, see `own_draft`.
    """

    anatomy: Anatomy
    n_gpu_layers: int | None = None
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    n_max: int = DRAFTED_TOKENS
    is_own: bool = False

    def request(self, settled: Request) -> Request:
        """What it is planned with; `settled` is the model's own request with every choice filled in."""
        lies_with_rest = self.is_own and not settled.n_gpu_layers
        return replace(
            settled,
            n_gpu_layers=0 if lies_with_rest else self.n_gpu_layers,
            n_rollback=0,
            n_cpu_moe=None,
            overrides=(),
            cache_type_k=self.cache_type_k,
            cache_type_v=self.cache_type_v,
            n_outputs=settled.n_parallel,
        )


def draft_parts(planned: Iterable[Part]) -> Iterator[Part]:
    """What a drafting model takes on top, of the parts of its own plan."""
    for part in planned:
        if part.name in _OWN_PARTS:
            yield replace(part, name=f"draft_{part.name}")


@dataclass(frozen=True, slots=True)
class Projector:
    """A projector: it makes tokens of pictures or sound.

    Attributes:
        name: of its file.
        weights_bytes: of all its tensors.
        n_tensors: how many.
        compute_bytes: of the graph of its largest picture, an estimate.
        formula: of that.
        scores_bytes: what it takes more without fused attention.
        is_offloaded: it lies on the first card, where there is one.
    """

    name: str
    weights_bytes: int
    n_tensors: int
    compute_bytes: int
    formula: str
    scores_bytes: int = 0
    is_offloaded: bool = True


@dataclass(frozen=True, slots=True)
class Companions:
    """What runs beside a model.

    Attributes:
        draft: a drafting model.
        projector: a projector.
    """

    draft: Draft | None = None
    projector: Projector | None = None

    def outputs(self, request: Request, *, can_roll_back: bool) -> Request:
        """The request of the model itself: it judges all that was drafted at once, and may have to go back.

        Args:
            request: without what drafting adds.
            can_roll_back: the engine keeps states of this family to go back to.
        """
        draft = self.draft
        if draft is None:
            return request
        keeps = draft.is_own or draft.anatomy.architecture.name in _READERS_OF_STATES
        return replace(
            request,
            n_outputs=request.n_outputs or request.n_parallel * (1 + draft.n_max),
            n_rollback=draft.n_max if keeps and can_roll_back else 0,
        )


def projector_parts(projector: Projector, settled: Request, devices: tuple[Device, ...]) -> Iterator[Part]:
    """Parts of a projector; `settled` is the model's own request with every choice filled in."""
    cards = [one.name for one in devices if one.name != CPU]
    used = [name for name in cards if settled.cards is None or name in settled.cards]
    device = used[0] if used and projector.is_offloaded else CPU
    source = "llama.cpp b11434, tools/mtmd/clip.cpp"
    told = f"sum of {projector.n_tensors:,} tensors of {projector.name}"
    yield Part("projector_weights", projector.weights_bytes, device, told, source)
    size, formula = projector.compute_bytes, projector.formula
    if settled.flash_attention is False:
        size, formula = size + projector.scores_bytes, f"{formula}, and the scores of one layer"
    yield Part("projector_compute", size, device, formula, source)


def read_projector(model: Model, *, is_offloaded: bool = True) -> Projector:
    """A projector from its file's header: weights to the byte, the buffer of its graph as an estimate.

    Rows of f32 for each patch at the graph's widest: `3 x width + inner` of a plain layer, `8 x width + 2 x
    inner` of a gated one, `1.5 x width + 2 x outer` of a matrix behind the layers that is applied to every
    patch; and a mask where attention is windowed. Held against llama.cpp b11434's own count
    (`mtmd_get_memory_usage`) for the projectors of Gemma 3, Qwen 2.5 VL, LLaVA 1.5 and Pixtral: within 3 %.
    """
    told = model.metadata
    kind = "vision" if told.integer("clip.vision.embedding_length") else "audio"

    def figure(name: str, otherwise: int) -> int:
        return told.integer(f"clip.{kind}.{name}") or otherwise

    n_patches, what = _SOUND_FRAMES, "half a minute of sound"
    if kind == "vision":
        side = _pixels(model, figure("image_size", 224), figure("patch_size", 14))
        n_patches = (side // figure("patch_size", 14)) ** 2
        what = f"a picture of {side:,} x {side:,}"
    width = figure("embedding_length", 1024)
    row = _row(model, width, figure("feed_forward_length", 4 * width))
    mask = 2 * n_patches**2 if told.integer("clip.vision.n_wa_pattern") else 0
    formula = f"4 x {n_patches:,} patches x {row:,}{' + mask' if mask else ''}, estimated for {what}"
    return Projector(
        name=model.name.rsplit("/", 1)[-1],
        weights_bytes=model.weights_bytes,
        n_tensors=len(model.tensors),
        compute_bytes=_F32_BYTES * n_patches * row + mask,
        formula=formula,
        scores_bytes=_F32_BYTES * n_patches**2 * figure("attention.head_count", 16),
        is_offloaded=is_offloaded,
    )


def _row(model: Model, width: int, inner: int) -> int:
    """Elements for each patch at the graph's widest."""
    names = {tensor.name: tensor for tensor in model.tensors}
    if any(".ffn_gate." in name for name in names):
        return 8 * width + 2 * inner
    behind = names.get("mm.0.weight")
    is_each = behind is not None and len(behind.shape) == 2 and behind.shape[0] == width
    outer = behind.shape[1] if behind is not None and is_each else 0
    return max(3 * width + inner, 3 * width // 2 + 2 * outer)


def _pixels(model: Model, image_size: int, patch_size: int) -> int:
    """Side of the picture that is laid out."""
    told = model.metadata
    kind = told.text("clip.projector_type") or told.text("clip.vision.projector_type") or ""
    tokens = _TOKENS_A_SIDE.get(kind)
    if tokens is None:
        return image_size
    return tokens * patch_size * (told.integer("clip.vision.spatial_merge_size") or _MERGES.get(kind, 2))
