"""Whether the cards can share a model in the way that was asked for: what the engine refuses is said here."""

from __future__ import annotations

from typing import Final

from bringup.actions.planning.place import Place
from bringup.errors import WrongUse
from bringup.plan.anatomy import Anatomy
from bringup.plan.request import ROWS_GONE_BUILD, TENSOR_BUILD, Request, SplitMode

_REFERENCE: Final = "split-mode-unsupported"
_LAYER: Final = "Take --split-mode layer, which is also the engine's own choice."

_NO_TENSOR_SPLIT: Final = frozenset(
    {
        *("grok", "mpt", "plamo2", "minicpm3", "gemma3n", "mamba", "mamba2", "jamba", "falcon-h1", "olmo2"),
        *("olmoe", "deepseek2", "deepseek32", "hy_v4", "dots3note", "glm-dsa", "bitnet", "t5", "nemotron_h"),
        *("nemotron_h_moe", "granitehybrid", "minimax-01", "minimax-m2", "minimax-m3", "mistral4"),
        *("kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next", "qwen3tts"),
    }
)
"""Families that the engine refuses (llama.cpp b11434, `llm_arch_supports_sm_tensor`)."""

_OTHER_RULES: Final = frozenset({"deepseek4", "dflash", "hrm-text", "qwen4exp", "clef"})
"""Families with rules of their own that are not followed here."""


def split_mode_of(wanted: str | None, request: Request, anatomy: Anatomy, place: Place) -> SplitMode:
    """The mode by its word; `none` and nothing at all are those of layers.

    Raises:
        WrongUse: this build or family does not do it, or it goes by rules that are not followed here.
    """
    if wanted == "row":
        _check_rows(request)
    elif wanted == "tensor":
        _check_tensor(request, anatomy)
    if wanted not in ("row", "tensor") or not place.cards:
        return SplitMode.LAYER
    return SplitMode(wanted)


def _check_rows(request: Request) -> None:
    if request.build >= ROWS_GONE_BUILD:
        raise WrongUse(
            f"--split-mode row is gone from llama.cpp's CUDA backend since about b{ROWS_GONE_BUILD}: "
            "'device CUDA0 does not support split buffers'",
            context=("An older build has them: --engine-build names yours.",),
            hint="Take --split-mode layer, the engine's own choice, or tensor, which took its place.",
            reference=_REFERENCE,
        )


def _check_tensor(request: Request, anatomy: Anatomy) -> None:
    figures = anatomy.architecture
    if request.build < TENSOR_BUILD:
        raise WrongUse(
            f"--split-mode tensor: b{request.build} does not have it, it came with about b{TENSOR_BUILD}",
            hint=_LAYER,
            reference=_REFERENCE,
        )
    if request.flash_attention is False:
        raise WrongUse(
            "--split-mode tensor needs flash attention, and --flash-attn off takes it away",
            hint="Leave --flash-attn out.",
            reference=_REFERENCE,
        )
    if figures.name in _NO_TENSOR_SPLIT:
        raise WrongUse(
            f"--split-mode tensor: llama.cpp does not split the family {figures.name} so (b11434)",
            hint=_LAYER,
            reference=_REFERENCE,
        )
    if figures.recurrent is not None or figures.is_mla or figures.name in _OTHER_RULES:
        raise WrongUse(
            f"--split-mode tensor cannot be planned for the family {figures.name}: the engine shares its "
            "recurrent or compressed layers by rules that are not followed here",
            hint="Take --split-mode layer, or try it with the engine itself.",
            reference=_REFERENCE,
        )
