"""What is planned for: the devices that there are and what the user wants."""

from __future__ import annotations

from enum import Enum
from typing import Final

from bringup.errors import WrongUse
from bringup.records import dataclass

CPU: Final = "CPU"
"""Name of main memory as a device."""

NEWEST_BUILD: Final = 11434
"""The llama.cpp build whose rules these are, where no other is named."""

CARD_BUILD: Final = 10_950
"""The newest build of which logs of real cards are known: what a card that is not here is planned for."""


ROWS_GONE_BUILD: Final = 9_500
"""From about here on the CUDA backend has no split buffers: `--split-mode row` ends the start."""


VULKAN_EVENTS_BUILD: Final = 7_500
"""Builds from about here on let several Vulkan devices work in a pipeline: not in logs of November 2025, in
one of June 2026."""


TENSOR_BUILD: Final = 8_763
"""The first build that is known to have `--split-mode tensor`."""


class SplitMode(Enum):
    """How several cards share a model, by `--split-mode`'s own words; one card alone is `Request.cards`."""

    LAYER = "layer"
    ROW = "row"
    TENSOR = "tensor"


class DeviceKind(Enum):
    """Which backend drives a device."""

    CPU = "CPU"
    CUDA = "CUDA"
    ROCM = "ROCm"
    METAL = "Metal"
    VULKAN = "Vulkan"


@dataclass(frozen=True, slots=True)
class Device:
    """Memory that parts of a model can lie in.

    Attributes:
        name: as llama.cpp calls it: `CUDA0`, `Vulkan1`; `CPU` for main memory.
        kind: its backend.
        total_bytes: all of its memory.
        free_bytes: what nobody else holds now.
        title: for people: `NVIDIA GeForce RTX 3060`.
        compute_capability: of an NVIDIA card, such as `(8, 6)`; `None` where not known or not one.
    """

    name: str
    kind: DeviceKind
    total_bytes: int
    free_bytes: int
    title: str = ""
    compute_capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What the user wants. `None` leaves the choice to the planner; anything else is kept as given.

    Attributes:
        n_ctx: window in tokens, all slots together; 0 for the trained one.
        n_parallel: slots.
        n_threads: threads of the engine.
        n_batch: tokens of a logical batch.
        n_ubatch: tokens that are computed at once.
        n_gpu_layers: layers on cards, counted from the end, the output layer being the last.
        n_cpu_moe: so many first layers keep their experts in main memory.
        overrides: `(pattern, device)` for tensors, as `--override-tensor`.
        tensor_split: shares of the cards; empty splits by free memory.
        split_mode: what the cards share: layers, rows of matrices, or all of them.
        cache_type_k: element type of the keys.
        cache_type_v: element type of the values.
        flash_attention: whether the fused kernels are used; `None` uses them where the device has one.
        is_unified: one cache for all slots.
        has_full_swa: sliding-window layers keep the whole window.
        offloads_cache: the cache lies where its layer does; else all of it in main memory.
        offloads_ops: prompts are computed on the card with weights of main memory.
        is_mapped: the file is mapped, not read.
        n_checkpoints: copies of what cannot be rolled back that a slot may keep, as `--ctx-checkpoints`.
        cards: names of the cards to use, as `--device`; `None` for all.
        cache_ram_bytes: bound of the prompt cache in main memory.
        margin_bytes: of each card, left free on purpose; `None` for our own choice.
        n_outputs: rows of logits that a batch may ask for; `None` for what llama-server needs.
        build: number of the llama.cpp build.
        n_rollback: further recurrent states that a slot keeps, to go back where a draft was wrong.
    """

    n_ctx: int | None = None
    n_parallel: int = 1
    n_threads: int = 1
    n_batch: int = 2048
    n_ubatch: int | None = None
    n_gpu_layers: int | None = None
    n_cpu_moe: int | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    tensor_split: tuple[float, ...] = ()
    split_mode: SplitMode = SplitMode.LAYER
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    flash_attention: bool | None = None
    is_unified: bool = False
    has_full_swa: bool = False
    offloads_cache: bool = True
    offloads_ops: bool = True
    is_mapped: bool = True
    n_checkpoints: int = 32
    cards: tuple[str, ...] | None = None
    cache_ram_bytes: int | None = None
    margin_bytes: int | None = None
    n_outputs: int | None = None
    build: int = NEWEST_BUILD
    n_rollback: int = 0


def check_request(request: Request) -> None:
    """Refuse numbers that cannot be.

    Raises:
        WrongUse: says which and what would do.
    """
    if request.n_ctx is not None and request.n_ctx < 0:
        raise WrongUse(
            f"a context of {request.n_ctx} tokens cannot be",
            hint="Give a positive number of tokens, or 0 for the model's trained context.",
        )
    for value, flag in (
        (request.n_parallel, "--parallel"),
        (request.n_batch, "--batch-size"),
        (1 if request.n_ubatch is None else request.n_ubatch, "--ubatch-size"),
    ):
        if value < 1:
            raise WrongUse(f"{flag} {value} cannot be", hint=f"Give {flag} 1 or more.")
    if request.n_cpu_moe is not None and request.n_cpu_moe < 0:
        raise WrongUse(f"--n-cpu-moe {request.n_cpu_moe} cannot be", hint="Give 0 or more layers.")
    if any(share < 0 for share in request.tensor_split):
        raise WrongUse("a share of --tensor-split is negative", hint="Shares are proportions, such as 3,1.")
