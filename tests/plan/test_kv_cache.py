"""KV cache sizes against what llama.cpp printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.errors import WrongUse
from bringup.plan.kv_cache import LayerCache, layer_bytes, pad_cells, recurrent_bytes, swa_cells
from bringup.units import MIB

# gpt-oss-20b: 24 layers, every other one with a window of 128 tokens, 8 KV heads of 64.
GPT_OSS_LAYER = LayerCache(n_embd_k=512, n_embd_v=512)


def cache_mib(layers: int, layer: LayerCache, cells: int, type_k: str = "f16", type_v: str = "f16") -> float:
    return layers * layer_bytes(layer, cells=cells, type_k=type_k, type_v=type_v) / MIB


def test_a_window_shared_by_four_slots() -> None:
    assert swa_cells(n_ctx_seq=8192, n_swa=128, n_ubatch=512, n_seq_unified=4) == 1024


def test_a_window_is_never_longer_than_the_context() -> None:
    assert swa_cells(n_ctx_seq=512, n_swa=4096, n_ubatch=512) == 512


def test_smollm2_as_its_engine_printed_it() -> None:
    """30 layers, 3 KV heads of 64: `CPU KV buffer size = 180.00 MiB` at 8,192 tokens (xllamacpp 2026.10)."""
    assert cache_mib(30, LayerCache(n_embd_k=192, n_embd_v=192), 8192) == 180


def test_quantised_caches() -> None:
    assert cache_mib(1, LayerCache(1024, 1024), 1024, "q8_0", "q4_0") == (34 + 18) / 32


def test_a_recurrent_state_does_not_know_the_context() -> None:
    assert recurrent_bytes(n_embd_r=24576, n_embd_s=524288, n_layer=30, n_seq=1) == pytest.approx(
        62.81 * MIB, rel=1e-3
    )


def test_an_unknown_type_lists_those_that_exist() -> None:
    with pytest.raises(WrongUse) as caught:
        layer_bytes(GPT_OSS_LAYER, cells=256, type_k="q3_k", type_v="f16")
    assert "q8_0" in caught.value.hint


@given(st.integers(1, 10**7))
def test_padding_adds_less_than_one_block(tokens: int) -> None:
    assert tokens <= pad_cells(tokens) < tokens + 256
    assert pad_cells(tokens) % 256 == 0
