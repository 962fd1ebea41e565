"""The sizes of one run: what llama.cpp makes of the flags before it builds anything.

Source: llama.cpp b11434, constructor of `llama_context` in `src/llama-context.cpp` and `sched_reserve`.
"""

from __future__ import annotations

from typing import Final

from bringup.plan.kv_cache import (
    CELL_PADDING_TOKENS,
    OLD_PADDING_TOKENS,
    is_quantised,
    pad_cells,
    swa_cells,
)
from bringup.plan.request import Request
from bringup.records import dataclass

MIXED_BATCH_BUILD: Final = 11_260
"""Builds from about here on reserve inputs for batches that mix tokens and embeddings: not in a log of
b11258, in one of 8 October 2026 and in the source of b11434."""


EMBEDDINGS_BUILD: Final = 7_800
"""Builds from about here on have an input for batches that are embeddings beside the one for tokens: not in
logs of December 2025 (b7217), in those of January 2026."""


SET_ROWS_BUILD: Final = 6_100
"""Builds before about this one wrote the cache without lists of cells, and kept one stream for all slots."""


PADDED_BUILD: Final = 6_950
"""Builds before about this one rounded caches up to 32 cells where attention was not fused."""


ROLLBACK_BUILD: Final = 9_500
"""Builds from about here on keep a recurrent state for each drafted token: not in a log of May 2026 (b9190),
in those of b9849."""


ROTATION_BUILD: Final = 8_600
"""Builds from about here on keep what goes into a quantised cache turned by a matrix: of April 2026."""


METAL_COPIES_BUILD: Final = 10_500
"""Builds from about here on keep room on Apple's devices for f16 copies of a cache of any type, f16 too: in
the source of b11434, and in a log of September 2026."""


LIMITED_OUTPUTS_BUILD: Final = 9_480
"""Builds before about this one reserve logits for every token of a micro-batch and f32 masks, and take f16
copies of a quantised cache from CUDA's pool: seen in logs of b9272, no longer in one of b9496."""


@dataclass(frozen=True, slots=True)
class Run:
    """Sizes that follow from a request for one model.

    Attributes:
        n_ctx: tokens of all slots.
        n_ctx_seq: tokens of one sequence.
        n_seq: slots.
        n_stream: caches beside each other.
        n_ubatch: tokens that are computed at once.
        n_outputs: rows of logits in the largest batch.
        swa_cells: cells of a sliding layer in one stream.
        type_k: element type of the keys.
        type_v: element type of the values.
        flash_attention: fused kernels.
        offloads_ops: see `Request`.
        has_mixed_batches: further inputs of newer builds.
        casts_mask: older builds fill an f32 mask and cast it for the fused kernels.
        reserves_copies: newer builds reserve f16 copies of a quantised cache behind the result of attention.
        has_late_outputs: newer builds compute the last layer of some families for every token.
        takes_embeddings: newer builds have an input for batches that are embeddings.
        lists_cells: newer builds are told which cells a batch is written to.
        n_rollback: see `Request`.
        turns_cache: newer builds turn what goes into a quantised cache.
        copies_any_cache: newer builds keep room for f16 copies of a cache of any type on Apple's devices.
    """

    n_ctx: int
    n_ctx_seq: int
    n_seq: int
    n_stream: int
    n_ubatch: int
    n_outputs: int
    swa_cells: int
    type_k: str
    type_v: str
    flash_attention: bool
    offloads_ops: bool
    has_mixed_batches: bool
    casts_mask: bool = False
    reserves_copies: bool = True
    has_late_outputs: bool = True
    takes_embeddings: bool = True
    lists_cells: bool = True
    n_rollback: int = 0
    turns_cache: bool = True
    copies_any_cache: bool = True

    def is_rotated(self, cache_type: str, n_head_size: int) -> bool:
        """Whether keys or values of such a head are rotated before they are kept."""
        return self.turns_cache and is_quantised(cache_type) and n_head_size % 64 == 0

    @property
    def cells(self) -> int:
        """Cells of a full layer in one stream."""
        return self.n_ctx_seq

    @property
    def mask_element_bytes(self) -> int:
        """The mask is f16 for the fused kernels, f32 for the others, and where it is cast before its use."""
        return 2 if self.flash_attention and not self.casts_mask else 4


def make_run(
    request: Request, *, n_ctx: int, n_swa: int, flash_attention: bool, is_per_slot: bool = False
) -> Run:
    """Sizes of a run with a window of `n_ctx` tokens in all slots together.

    Args:
        request: what is asked for.
        n_ctx: tokens of all slots together.
        n_swa: sliding window in tokens, 0 for none.
        flash_attention: fused kernels.
        is_per_slot: each slot has caches of its own for the whole window, even where the slots share it.
    """
    n_seq = request.n_parallel
    is_unified = request.is_unified or request.build < SET_ROWS_BUILD
    is_shared = is_unified and not is_per_slot
    padding = CELL_PADDING_TOKENS
    if request.build < PADDED_BUILD and not flash_attention:
        padding = OLD_PADDING_TOKENS
    padded = pad_cells(n_ctx, padding)
    n_ctx_seq = padded if is_unified else pad_cells(padded // n_seq, padding)
    total = padded if is_unified else n_ctx_seq * n_seq
    n_batch = min(total, request.n_batch)
    n_ubatch = min(n_batch, request.n_ubatch or 512)
    is_older = request.build < LIMITED_OUTPUTS_BUILD
    n_tokens = -(-n_ubatch // n_seq) * n_seq
    cells = swa_cells(
        n_ctx_seq=n_ctx_seq,
        n_swa=n_swa,
        n_ubatch=n_ubatch,
        n_seq_unified=n_seq if is_shared else 1,
        padding=padding,
    )
    return Run(
        n_ctx=total,
        n_ctx_seq=n_ctx_seq,
        n_seq=n_seq,
        n_stream=1 if is_shared else n_seq,
        n_ubatch=n_tokens,
        n_outputs=n_tokens if is_older else min(n_tokens, request.n_outputs or n_seq),
        swa_cells=n_ctx_seq if request.has_full_swa else cells,
        type_k=request.cache_type_k or "f16",
        type_v=request.cache_type_v or "f16",
        flash_attention=flash_attention,
        offloads_ops=request.offloads_ops,
        has_mixed_batches=request.build >= MIXED_BATCH_BUILD,
        casts_mask=is_older and flash_attention,
        reserves_copies=not is_older,
        has_late_outputs=not is_older,
        takes_embeddings=request.build >= EMBEDDINGS_BUILD,
        lists_cells=request.build >= SET_ROWS_BUILD,
        n_rollback=request.n_rollback,
        turns_cache=request.build >= ROTATION_BUILD,
        copies_any_cache=request.build >= METAL_COPIES_BUILD,
    )
