"""Figures by family, as llama.cpp b11434 works them out; the source of a row is its file in `src/models`."""

from __future__ import annotations

from typing import Any

import pytest
from tests.model.writing import (
    ARRAY,
    BOOL,
    F32,
    STRING,
    U32,
    Array,
    Pair,
    TensorSpec,
    build,
    gpt_oss_20b,
    llama_pairs,
    tiny_llama,
)

from bringup.errors import GgufError
from bringup.model import families
from bringup.model.architecture import MAX_LAYERS, Architecture, RopeScaling, read_architecture
from bringup.model.gguf import read_header
from bringup.model.source import BufferSource
from bringup.model.values import ValueType


def figures(name: str, **keys: Any) -> Architecture:
    """A model of a family with these keys; `attention__head_count` stands for `attention.head_count`.

    A list becomes an array, of flags where it holds booleans. Layers 8, width 512, 8 heads unless said.
    """
    given = {
        "block_count": 8,
        "embedding_length": 512,
        "context_length": 4096,
        "attention__head_count": 8,
        **keys,
    }
    pairs: list[Pair] = [("general.architecture", STRING, name)]
    for suffix, value in given.items():
        key = f"{name}.{suffix.replace('__', '.')}"
        if isinstance(value, list):
            kind = BOOL if isinstance(value[0], bool) else U32
            pairs.append((key, ARRAY, Array(kind, value)))
        elif value is not None:
            pairs.append((key, U32, value))
    return read_architecture(read_header(BufferSource(build(pairs).data, name="made.gguf")))


def sliding(given: Architecture) -> list[int]:
    return [index for index, flag in enumerate(given.swa_layers) if flag]


WINDOW = {"attention__sliding_window": 1024}

WINDOWS = (
    # family, keys, window in tokens, layers that see the window only
    ("llama", WINDOW, 0, []),
    ("qwen2", WINDOW, 0, []),
    ("phi3", WINDOW, 0, []),
    ("gpt-oss", WINDOW, 1024, [0, 2, 4, 6]),
    ("gemma2", {}, 4096, [0, 2, 4, 6]),
    ("gemma2", WINDOW, 1024, [0, 2, 4, 6]),
    ("gemma3", WINDOW, 1024, [0, 1, 2, 3, 4, 6, 7]),
    ("gemma3", {}, 0, []),
    ("gemma3", {"attention__sliding_window": 0}, 0, []),
    ("gemma3n", WINDOW, 1024, [0, 1, 2, 3, 5, 6, 7]),
    ("gemma4", {**WINDOW, "attention__sliding_window_pattern": [True] * 5 + [False] + [True] * 2}, 1024,
     [0, 1, 2, 3, 4, 6, 7]),
    ("cohere2", WINDOW, 1024, [0, 1, 2, 4, 5, 6]),
    ("cohere2moe", WINDOW, 1024, [1, 2, 3, 5, 6, 7]),
    ("llama4", {}, 8192, [0, 1, 2, 4, 5, 6]),
    ("llama4", {"attention__sliding_window": 0}, 0, []),
    ("olmo2", WINDOW, 1024, [0, 1, 2, 4, 5, 6]),
    ("exaone4", WINDOW, 0, []),
    ("exaone4", {"block_count": 64}, 4096, [n for n in range(64) if n % 4 < 3]),
    ("smallthinker", WINDOW, 4096, [1, 2, 3, 5, 6, 7]),
    ("gpt-oss", {**WINDOW, "attention__sliding_window_pattern": 4}, 1024, [0, 1, 2, 4, 5, 6]),
    ("gpt-oss", {**WINDOW, "attention__sliding_window_pattern": [0, 1]}, 1024, [1]),
    ("lfm2", {**WINDOW, "attention__head_count_kv": [0, 8] * 4}, 1024, [1, 3, 5, 7]),
    ("deepseek4", WINDOW, 1024, list(range(8))),
)  # fmt: skip


@pytest.mark.parametrize(("name", "keys", "n_swa", "layers"), WINDOWS)
def test_sliding_windows(name: str, keys: dict[str, Any], n_swa: int, layers: list[int]) -> None:
    given = figures(name, **keys)
    assert (given.n_swa, sliding(given)) == (n_swa, layers)
    assert all(layer.is_swa == (layer.index in layers) for layer in given.cache_layers)


def test_the_files_own_rope_scaling() -> None:
    assert figures("llama").rope_scaling is None
    read = read_architecture(read_header(BufferSource(gpt_oss_20b().data))).rope_scaling
    assert read == RopeScaling("yarn", 32.0, None)


def test_a_family_that_needs_its_flags_says_so() -> None:
    with pytest.raises(GgufError) as missing:
        figures("gemma4", **WINDOW)
    assert missing.value.reference == "gguf-missing-key"
    with pytest.raises(GgufError, match="not a sound"):
        figures("gemma4", **WINDOW, attention__sliding_window_pattern=6)


NO_HEADS = {"attention__head_count": 0}
SSM = {"ssm__conv_kernel": 4, "ssm__inner_size": 64, "ssm__state_size": 8, "ssm__group_count": 1}
SSM_STATE = (3 * (64 + 2 * 8), 8 * 64)


def kv_heads(*heads: int) -> dict[str, list[int]]:
    return {"attention__head_count_kv": list(heads) * (8 // len(heads))}


RECURRENT = (
    # family, keys, recurrent layers, layers with a KV cache, (n_embd_r, n_embd_s)
    ("mamba", {**NO_HEADS, **SSM, "ssm__group_count": None}, 8, 0, (3 * 64, 8 * 64)),
    ("mamba2", {**NO_HEADS, **SSM, "ssm__group_count": 2}, 8, 0, (3 * (64 + 4 * 8), 8 * 64)),
    ("rwkv6", {**NO_HEADS, "wkv__head_size": 64}, 8, 0, (2 * 512, 512 * 64)),
    ("rwkv7", {**NO_HEADS, "wkv__head_size": 64, "token_shift_count": 1}, 8, 0, (512, 512 * 64)),
    ("qwen3next", SSM, 6, 2, SSM_STATE),
    ("qwen35moe", {**SSM, "full_attention_interval": 2}, 4, 4, SSM_STATE),
    ("qwen35", {**SSM, "attention__recurrent_layers": [1] * 7 + [0]}, 7, 1, SSM_STATE),
    ("nemotron_h", {**SSM, **kv_heads(0, 0, 2, 0), "feed_forward_length": [0, 9, 0, 0] * 2}, 4, 2, SSM_STATE),
    ("granitehybrid", {**SSM, **kv_heads(0, 0, 0, 4)}, 6, 2, SSM_STATE),
    ("lfm2", {**kv_heads(0, 8), "shortconv__l_cache": 3}, 4, 4, (512 * 2, 0)),
    ("falcon-h1", SSM, 8, 8, SSM_STATE),
    ("kimi-linear", {**kv_heads(0, 0, 0, 1), "kda__head_dim": 16, "ssm__conv_kernel": 4}, 6, 2,
     (3 * 3 * 8 * 16, 16 * 8 * 16)),
)  # fmt: skip


@pytest.mark.parametrize(("name", "keys", "n_recurrent", "n_cached", "widths"), RECURRENT)
def test_recurrent_layers_and_their_state(
    name: str, keys: dict[str, Any], n_recurrent: int, n_cached: int, widths: tuple[int, int]
) -> None:
    given = figures(name, **keys)
    assert sum(given.recurrent_layers) == n_recurrent
    assert len(given.cache_layers) == n_cached
    assert given.recurrent is not None
    assert (given.recurrent.n_layer, given.recurrent.n_embd_r, given.recurrent.n_embd_s) == (
        n_recurrent,
        *widths,
    )


def heads(n_head_kv: int | None = None, k: int | None = None, v: int | None = None) -> dict[str, Any]:
    return {"attention__head_count_kv": n_head_kv, "attention__key_length": k, "attention__value_length": v}


MLA = {"attention__key_length_mla": 192, "attention__value_length_mla": 128}
ALL_SLIDING = {"attention__sliding_window": 128, "attention__sliding_window_pattern": [1] * 8}

HEADS = (
    # family, keys, cache width of keys and of values in each layer
    ("llama", {}, 512, 512),
    ("llama", heads(2), 128, 128),
    ("qwen3", heads(2, 128, 128), 256, 256),
    ("gemma2", heads(4, 256, 256), 1024, 1024),
    ("mimo2", {**heads(4, 192, 128), **ALL_SLIDING}, 768, 512),
    ("deepseek2", {**heads(1, 576, 512), **MLA}, 576, 0),
    ("deepseek2", heads(None, 192, 128), 1536, 1024),
    ("glm4moe", heads(2), 128, 128),
    ("command-r", heads(8), 512, 512),
    ("granite", heads(4), 256, 256),
    ("phi3", heads(8), 512, 512),
    ("mistral3", heads(2, 128, 128), 256, 256),
)


@pytest.mark.parametrize(("name", "keys", "k", "v"), HEADS)
def test_widths_of_keys_and_values(name: str, keys: dict[str, Any], k: int, v: int) -> None:
    given = figures(name, **keys)
    assert {(layer.n_embd_k, layer.n_embd_v) for layer in given.cache_layers} == {(k, v)}
    assert len(given.cache_layers) == 8
    assert given.is_cache_known


def test_sliding_layers_may_have_heads_of_their_own_size() -> None:
    given = figures(
        "gemma4",
        **WINDOW,
        attention__sliding_window_pattern=[True, False] * 4,
        attention__head_count_kv=2,
        attention__key_length=512,
        attention__value_length=512,
        attention__key_length_swa=256,
        attention__value_length_swa=128,
        attention__shared_kv_layers=2,
    )
    widths = [(layer.n_embd_k, layer.n_embd_v) for layer in given.cache_layers]
    assert widths == [(512, 256), (1024, 1024)] * 3  # the last two layers share those of earlier ones


def test_heads_by_layer_and_drafting_layers() -> None:
    given = figures(
        "glm4moe",
        attention__head_count=[8, 8, 4, 4, 2, 2, 1, 1],
        attention__head_count_kv=[4, 4, 2, 2, 1, 1, 1, 1],
        nextn_predict_layers=1,
    )
    assert (given.n_layer, given.n_layer_nextn) == (7, 1)
    assert given.n_head_kv[:3] == (4, 4, 2)
    assert [layer.n_embd_k for layer in given.cache_layers] == [256, 256, 128, 128, 64, 64, 64]


def test_encoders_keep_nothing_and_strange_families_say_that_they_are() -> None:
    assert figures("bert").cache_layers == ()
    strange = figures("never-heard-of")
    assert (strange.is_known, strange.is_cache_known) == (False, False)
    assert len(strange.cache_layers) == 8
    assert figures("eagle3").is_known
    assert not figures("eagle3").is_cache_known
    once, twice = figures("nanbeige"), figures("nanbeige", num_loops=2)
    assert twice.cache_layers[0].n_embd_k == 2 * once.cache_layers[0].n_embd_k
    router = figures("graniteswitch")
    assert router.is_cache_known and len(router.cache_layers) == 8 + 1


def test_experts_and_words_of_the_file() -> None:
    given = figures("qwen3moe", expert_count=128, expert_used_count=8, expert_feed_forward_length=768)
    assert (given.n_expert, given.n_expert_used, given.n_ff_exp) == (128, 8, (768,) * 8)
    by_layer = figures("nemotron_h_moe", expert_count=8, expert_used_count=[0, 2, 4, 0] * 2)
    assert by_layer.n_expert_used == 4
    built = build(
        [
            *llama_pairs(),
            ("general.file_type", U32, 15),
        ]
    )
    named = read_architecture(read_header(BufferSource(built.data)))
    assert (named.display_name, named.file_type) == ("tiny", "Q4_K_M")
    assert named.n_vocab == 285
    assert named.tokenizer.special == (("bos", 1), ("eos", 2), ("unknown", 0))


def test_a_vocabulary_without_tokens_is_counted_by_the_embedding() -> None:
    pairs = [pair for pair in llama_pairs() if not pair[0].startswith("tokenizer.")]
    built = build(pairs, [TensorSpec("token_embd.weight", (64, 1000))])
    given = read_architecture(read_header(BufferSource(built.data)))
    assert (given.n_vocab, given.n_parameters) == (1000, 64_000)


NUMERIC = (
    "llama.block_count",
    "llama.embedding_length",
    "llama.context_length",
    "llama.feed_forward_length",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.expert_count",
    "llama.expert_used_count",
    "llama.attention.sliding_window",
    "llama.vocab_size",
)


@pytest.mark.parametrize("key", NUMERIC)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (U32, 0),
        (ValueType.INT32, -1),
        (U32, 2**31),
        (ValueType.UINT64, 2**64 - 1),
        (F32, float("nan")),
        (STRING, "8"),
        (ARRAY, Array(U32, [])),
        (ARRAY, Array(U32, [1] * 70_000)),
        (ARRAY, Array(STRING, ["1", "1"])),
    ],
    ids=lambda value: str(getattr(value, "name", value))[:20],
)
def test_a_figure_that_cannot_be_is_named_never_divided_by(key: str, kind: ValueType, value: Any) -> None:
    data = tiny_llama(**{key: (kind, value)}).data
    try:
        read_architecture(read_header(BufferSource(data, name="made.gguf")))
    except GgufError as problem:
        assert key in problem.expected
        assert problem.found
    else:  # zero is a sound answer to some of these, and some are not looked at for a llama
        assert value == 0 or key in ("llama.attention.sliding_window", "llama.vocab_size")


@pytest.mark.parametrize("key", ["llama.block_count", "llama.embedding_length", "general.architecture"])
def test_a_missing_figure_is_named(key: str) -> None:
    with pytest.raises(GgufError) as told:
        read_architecture(read_header(BufferSource(tiny_llama(**{key: None}).data)))
    assert told.value.reference == "gguf-missing-key"
    assert key in told.value.expected


@pytest.mark.parametrize(("layers", "fits"), [(MAX_LAYERS, True), (MAX_LAYERS + 1, False), (10**6, False)])
def test_the_engines_table_of_layers_bounds_the_number_of_layers(layers: int, fits: bool) -> None:
    data = tiny_llama(**{"llama.block_count": (U32, layers)}).data
    if fits:
        assert read_architecture(read_header(BufferSource(data))).n_layer == layers
        return
    with pytest.raises(GgufError) as told:
        read_architecture(read_header(BufferSource(data)))
    assert "512" in told.value.expected


def test_every_rule_is_about_a_family_that_is_known() -> None:
    ruled = {
        *families.WINDOW_RULES,
        *families.RECURRENCE,
        *families.WITHOUT_CACHE,
        *families.WITH_FURTHER_CACHES,
        *families.INDEXED,
        *families.WITH_ROUTER,
        *(families.INDEXED_WITH_VALUES, families.WITH_HISTORY, families.COMPRESSED, families.LOOPED),
    }
    assert ruled <= families.KNOWN
