"""GGUF files that are sound and hold something else than a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bringup.errors import BringupError, GgufError
from bringup.model.gguf import GgufHeader

_ADAPTER: Final = (
    "a LoRA adapter",
    "Name the model that it was made for; llama-server takes the adapter beside it: --lora FILE.",
)
_BY_TYPE: Final[Mapping[str, tuple[str, str]]] = {
    "adapter": _ADAPTER,
    "imatrix": (
        "an importance matrix",
        "llama-quantize reads it (--imatrix); the model is another file of the repository.",
    ),
}
"""By `general.type`: what it is, and what to do."""

_PICTURES: Final = (
    "a model that makes pictures or films",
    "llama.cpp does not run these; stable-diffusion.cpp and ComfyUI do.",
)
_BY_ARCHITECTURE: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(
        (
            *("flux", "sd1", "sd3", "sdxl", "aura", "hidream", "cosmos", "hyvid", "wan", "ltxv", "chroma"),
            *("lumina2", "qwen_image", "pig", "z_image"),
        ),
        _PICTURES,
    ),
    "controlvector": (
        "a control vector",
        "Name its model; llama-server takes the vector beside it: --control-vector FILE.",
    ),
    "whisper": ("a model that writes down speech", "whisper.cpp runs it."),
}


class NotALanguageModel(GgufError):
    """The file is sound, and no language model."""

    default_reference = "not-a-language-model"

    def __init__(self, source: str, *, what: str, seen: str, hint: str) -> None:
        super().__init__(source=source, offset_bytes=0, expected="a language model", found=seen)
        BringupError.__init__(self, f"{source}: {what}, not a language model", context=(seen,), hint=hint)


def refuse_other_kinds(header: GgufHeader) -> None:
    """Name what a file is that can be no language model.

    Raises:
        NotALanguageModel: an adapter, a matrix for quantising, a model of pictures or of speech.
    """
    for key, known in (("general.type", _BY_TYPE), ("general.architecture", _BY_ARCHITECTURE)):
        name = header.metadata.text(key)
        found = known.get(name) if name else None
        if found is not None:
            what, hint = found
            raise NotALanguageModel(header.name, what=what, seen=f"{key}: {name}", hint=hint)
