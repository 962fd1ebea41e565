"""KV cache and recurrent state, as llama.cpp sizes them.

Formulas: llama.cpp b11434, `src/llama-kv-cache.cpp`, `src/llama-kv-cache-iswa.cpp`, `src/llama-context.cpp`,
`src/llama-memory-recurrent.cpp`.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from bringup.errors import WrongUse
from bringup.records import dataclass

CELL_PADDING_TOKENS: Final = 256
"""llama.cpp rounds the cells of a cache up to a multiple of this."""

OLD_PADDING_TOKENS: Final = 32
"""What builds of before November 2025 rounded up to without fused attention."""

BYTES_PER_ELEMENT: Final = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
"""Bytes of one cached element: bytes of a block over its elements (`ggml/src/ggml-common.h`).

Thirty-seconds are exact in binary, and so are products with whole numbers up to 2^48: no byte is lost.
"""


@dataclass(frozen=True, slots=True)
class LayerCache:
    """What one layer keeps per token: widths in elements, `is_swa` when it sees a sliding window only."""

    n_embd_k: int
    n_embd_v: int
    is_swa: bool = False


def pad_cells(tokens: int, padding: int = CELL_PADDING_TOKENS) -> int:
    """Tokens rounded up to whole blocks of cells."""
    return -(-tokens // padding) * padding


def swa_cells(
    *,
    n_ctx_seq: int,
    n_swa: int,
    n_ubatch: int,
    n_seq_unified: int = 1,
    padding: int = CELL_PADDING_TOKENS,
) -> int:
    """Cells of a sliding-window layer: `pad256(min(n_ctx_seq, n_swa x sequences + n_ubatch))` -> tokens.

    `n_seq_unified` is the number of slots when they share one cache, else 1.
    """
    return pad_cells(min(n_ctx_seq, n_swa * n_seq_unified + n_ubatch), padding)


@cache
def layer_bytes(layer: LayerCache, *, cells: int, type_k: str, type_v: str) -> int:
    """`cells x (n_embd_k x bytes per K element + n_embd_v x bytes per V element)` -> bytes.

    Raises:
        WrongUse: a cache type that llama.cpp does not have.
    """
    width = layer.n_embd_k * element_bytes(type_k) + layer.n_embd_v * element_bytes(type_v)
    return int(cells * width)


def element_bytes(cache_type: str) -> float:
    """Bytes of one element of a cache type.

    Raises:
        WrongUse: unknown type; the message lists those that exist.
    """
    try:
        return BYTES_PER_ELEMENT[cache_type]
    except KeyError:
        raise WrongUse(
            f"no KV cache type {cache_type!r}", hint="Known: " + ", ".join(BYTES_PER_ELEMENT)
        ) from None


def row_bytes(cache_type: str, n_elements: int) -> int:
    """Bytes of one cell of so many elements."""
    return int(n_elements * element_bytes(cache_type))


def is_quantised(cache_type: str) -> bool:
    """Whether a cache of this type holds blocks instead of plain numbers."""
    return cache_type not in ("f32", "f16", "bf16")


def recurrent_bytes(*, n_embd_r: int, n_embd_s: int, n_layer: int, n_seq: int) -> int:
    """`layers x sequences x (n_embd_r + n_embd_s) x 4` -> bytes; the state is always f32."""
    return n_layer * max(1, n_seq) * (n_embd_r + n_embd_s) * 4
