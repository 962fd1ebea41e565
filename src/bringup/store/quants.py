"""Model files by their names: quantisation, shards, which one is meant when none is named.

The choice without a name follows llama.cpp's `-hf` (common/download.cpp at b11434): Q4_K_M, else Q8_0,
else the first model file; companions (projectors, importance matrices, draft heads) are never chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bringup.records import dataclass

_PREFERRED: Final = ("Q4_K_M", "Q8_0")
_COMPANIONS: Final = ("mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-")
# Compiled where they are used: that takes long without regard to case, and most commands ask for neither.
_SHARD: Final = r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf"
_QUANT: Final = (
    r"(?:^|[-._/])"
    r"((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|BF16|F16|F32|FP16|FP32|MXFP4(?:_MOE)?|NVFP4))"
    r"(?=[-._/]|$)"
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One model among the files of a repository or folder: a single file, or all shards in order.

    `quant` is upper case as in the file name, empty where the name tells none. `missing` names shards
    that are not there.
    """

    quant: str
    files: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What a person types after the colon to get it."""
        return self.quant or basename(self.files[0])


def basename(name: str) -> str:
    """Last component of a hub's or our own file name (always `/`)."""
    return name.rsplit("/", 1)[-1]


def is_model_file(name: str) -> bool:
    """Whether a file name is that of a model to load: `.gguf` and not a companion of one."""
    last = basename(name).lower()
    return last.endswith(".gguf") and not any(word in last for word in _COMPANIONS)


def quant_of(name: str) -> str:
    """Quantisation that a file name tells (`Q4_K_M`, `UD-Q4_K_XL`, `MXFP4`), empty when it tells none."""
    found = re.findall(_QUANT, re.sub(r"\.gguf$", "", name, flags=re.IGNORECASE), re.IGNORECASE)
    return str(found[-1]).upper() if found else ""


def shard_of(name: str) -> tuple[str, int, int] | None:
    """`(stem, index from 1, count)` of a split file's name, `None` for a whole file."""
    match = re.fullmatch(_SHARD, name, re.IGNORECASE)
    if match is None:
        return None
    return match["stem"], int(match["index"]), int(match["count"])


def shard_files(name: str) -> tuple[str, ...]:
    """All names of the split model that one shard's name belongs to; a whole file's name alone."""
    shard = shard_of(name)
    if shard is None or not 0 < shard[1] <= shard[2] <= 1000:
        return (name,)
    stem, _, count = shard
    return tuple(f"{stem}-{index:05}-of-{count:05}.gguf" for index in range(1, count + 1))


def variants_of(names: Iterable[str]) -> tuple[Variant, ...]:
    """Models among file names, in the order of their names; shards put together."""
    there = sorted(name for name in set(names) if is_model_file(name))
    variants: dict[tuple[str, ...], Variant] = {}
    for name in there:
        files = shard_files(name)
        missing = tuple(file for file in files if file not in there)
        variants.setdefault(files, Variant(quant_of(name), files, missing))
    return tuple(variants.values())


def choose_variant(variants: tuple[Variant, ...], quant: str | None) -> Variant | None:
    """The variant meant by a quantisation, or the default one; `None` when there is no such."""
    if quant is not None:
        wanted = quant.upper()
        exact = [variant for variant in variants if variant.quant == wanted]
        named = [variant for variant in variants if _has_token(variant.files[0], quant)]
        return next(iter(exact + named), None)
    for preferred in _PREFERRED:
        for variant in variants:
            if variant.quant == preferred:
                return variant
    return variants[0] if variants else None


def _has_token(name: str, token: str) -> bool:
    pattern = rf"(?:^|[-._/]){re.escape(token)}(?=[-./]|$)"
    return re.search(pattern, name, re.IGNORECASE) is not None
