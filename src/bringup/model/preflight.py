"""Pre-flight: what is known to end an engine, or to mislead it, looked for before the engine sees the file.

A model file is foreign input, and llama.cpp answers much of what is wrong in one with an assertion, which
ends the process, or with a read outside of an array. The rules follow what b11434 asserts or assumes:
`load_hparams` in `src/llama-model.cpp`, `get_key` in `src/llama-model-loader.cpp`, and `ggml/src/ggml.c`.
Those on tokenizers are in `preflight_tokenizer`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from bringup.errors import GgufError
from bringup.model import families
from bringup.model.architecture import Architecture, hyperparameters, read_architecture
from bringup.model.gguf import GgufHeader, Tensor
from bringup.model.hyperparameters import Hyperparameters
from bringup.model.preflight_tokenizer import check_tokenizer
from bringup.model.problem import Gravity, Problem, of_error, wrong_value
from bringup.model.shards import Model
from bringup.model.values import Metadata, ValueType, describe
from bringup.model.window import NATIVE_ORDER
from bringup.records import replace

# Suffixes of keys that llama.cpp reads with exactly this type: `get_key` compares types, it converts none.
_UINT32: Final = frozenset(
    {
        *("context_length", "embedding_length", "block_count", "feed_forward_length", "vocab_size"),
        *("expert_count", "expert_used_count", "expert_group_count", "expert_group_used_count"),
        *("expert_feed_forward_length", "expert_shared_feed_forward_length", "leading_dense_block_count"),
        *("nextn_predict_layers", "rope.dimension_count", "rope.scaling.original_context_length"),
        *(
            "attention.head_count",
            "attention.head_count_kv",
            "attention.key_length",
            "attention.value_length",
        ),
        *("attention.key_length_mla", "attention.value_length_mla", "attention.key_length_swa"),
        *("attention.value_length_swa", "attention.sliding_window", "attention.q_lora_rank"),
        *("attention.kv_lora_rank", "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size"),
        *("ssm.time_step_rank", "ssm.group_count", "wkv.head_size", "shortconv.l_cache"),
        "full_attention_interval",
    }
)
_FLOAT32: Final = frozenset(
    {
        *("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "rope.freq_base"),
        *("rope.freq_base_swa", "rope.scaling.factor", "rope.scaling.attn_factor", "rope.scale_linear"),
    }
)
_OTHERS: Final[dict[str, ValueType]] = {
    "general.name": ValueType.STRING,
    "general.file_type": ValueType.UINT32,
    "split.no": ValueType.UINT16,
    "split.count": ValueType.UINT16,
    "split.tensors.count": ValueType.INT32,
}
_BOOL: Final = frozenset({"attention.causal", "rope.scaling.finetuned", "expert_weights_norm"})
_ARRAY_TOO: Final = frozenset(
    {
        *("attention.head_count", "attention.head_count_kv", "feed_forward_length", "expert_used_count"),
        "expert_feed_forward_length",
    }
)
_ARRAY_TYPES: Final = frozenset({ValueType.UINT32, ValueType.INT32})
_POSITIVE: Final = frozenset({"rope.freq_base", "rope.freq_base_swa"})
_ROPE_SCALINGS: Final = ("none", "linear", "yarn", "longrope")
_WHOLE_ROPE: Final = frozenset({"llama", "deci", "falcon", "llama-embed"})
# Families whose attention layers may come with no KV heads although they have no recurrent ones.
_MAY_LACK_HEADS: Final = frozenset({"deci", "openelm", "wavtokenizer-dec", "t5", "t5encoder", "dflash"})
_BLOCK: Final = re.compile(r"blk\.(\d{1,9})\.")


def check_model(model: Model) -> tuple[Problem, ...]:
    """All problems of a whole model, the gravest first."""
    problems = [*check(model.header, tensors=model.tensors)]
    for header in model.headers[1:]:
        problems.extend(_check_file(header))
    return _sorted(problems)


def check(header: GgufHeader, *, tensors: tuple[Tensor, ...] | None = None) -> tuple[Problem, ...]:
    """All problems of a file, the gravest first; none means that no known killer of engines is in it.

    Args:
        header: of the file, or of the first of several.
        tensors: of all files, where there are several.
    """
    tensors = header.tensors if tensors is None else tensors
    problems = [*_check_file(header), *_check_nesting(header.metadata)]
    try:
        keys = hyperparameters(header)
    except GgufError as problem:
        return _sorted([*problems, of_error(problem)])
    if keys.name in families.NOT_LANGUAGE_MODELS:
        return _sorted([*problems, _not_a_language_model(keys.name)])
    problems.extend(_check_types(keys))
    try:
        problems.extend(_check_figures(keys, read_architecture(header, tensors=tensors), tensors))
        problems.extend(check_tokenizer(header.metadata))
    except GgufError as problem:
        problems.append(of_error(problem))
    return _sorted(problems)


def _sorted(problems: list[Problem]) -> tuple[Problem, ...]:
    """Each once, what is refused first."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda problem: problem.gravity is Gravity.WARNING))


def _check_file(header: GgufHeader) -> Iterator[Problem]:
    if header.missing_bytes:
        yield Problem(
            "gguf-cut-short",
            Gravity.REFUSED,
            f"cut short: {header.missing_bytes:,} bytes of weights are missing",
            f"{header.needed_bytes:,} bytes",
            f"{header.file_size_bytes:,} bytes",
            header.file_size_bytes,
        )
    if header.byte_order is not NATIVE_ORDER:
        yield Problem(
            "byte-swapped",
            Gravity.REFUSED,
            "written for machines of the other byte order",
            f"numbers in {NATIVE_ORDER.name.lower()}-endian order",
            f"{header.byte_order.name.lower()}-endian order",
            4,
        )
    for tensor in header.tensors:
        if 0 in tensor.shape:
            yield Problem(
                "empty-tensor",
                Gravity.REFUSED,
                f"the tensor {tensor.name!r} has no elements",
                "at least one element in each dimension",
                "x".join(str(length) for length in tensor.shape),
            )


def _check_nesting(metadata: Metadata) -> Iterator[Problem]:
    for key, entry in metadata.entries().items():
        if entry.type is ValueType.ARRAY and entry.element_type is ValueType.ARRAY:
            yield Problem(
                "nested-array",
                Gravity.REFUSED,
                f"{key!r} is an array of arrays, which llama.cpp does not read",
                "an array of plain values",
                describe(entry),
                entry.offset_bytes,
            )


def _not_a_language_model(name: str) -> Problem:
    return Problem(
        "not-a-language-model",
        Gravity.REFUSED,
        f"a {name!r} projector: it accompanies a language model and cannot be run alone",
        "a language model",
        f"general.architecture {name!r}",
    )


def _check_types(keys: Hyperparameters) -> Iterator[Problem]:
    """Types of the keys that llama.cpp reads, and sanity of the fractions among them."""
    prefix = f"{keys.name}."
    for key, entry in keys.metadata.entries().items():
        suffix = key.removeprefix(prefix)
        wanted = _OTHERS.get(key) if suffix == key else _wanted_type(suffix)
        if wanted is None:
            continue
        is_array = entry.type is ValueType.ARRAY
        fits = (
            (suffix in _ARRAY_TOO and entry.element_type in _ARRAY_TYPES)
            if is_array
            else entry.type is wanted
        )
        if not fits:
            yield wrong_value(keys.metadata, key, f"a value of type {wanted.name.lower()}", describe(entry))
        elif wanted is ValueType.FLOAT32:
            yield from _check_fraction(keys.metadata, key, suffix)


def _wanted_type(suffix: str) -> ValueType | None:
    if suffix in _UINT32:
        return ValueType.UINT32
    if suffix in _FLOAT32:
        return ValueType.FLOAT32
    return ValueType.BOOL if suffix in _BOOL else None


def _check_fraction(metadata: Metadata, key: str, suffix: str) -> Iterator[Problem]:
    value = metadata.number(key)
    if value is None:
        return
    if math.isfinite(value) and (value > 0 or (value == 0 and suffix not in _POSITIVE)):
        return
    wanted = "a finite number above 0" if suffix in _POSITIVE else "a finite number, not below 0"
    problem = wrong_value(metadata, key, wanted, f"{value}")
    # A negative or undefined epsilon fails an assertion; the others give answers without sense.
    yield problem if "norm" in suffix else replace(problem, gravity=Gravity.WARNING)


def _check_figures(
    keys: Hyperparameters, figures: Architecture, tensors: tuple[Tensor, ...]
) -> Iterator[Problem]:
    if not figures.is_known:
        yield Problem(
            "architecture-unknown",
            Gravity.WARNING,
            f"the architecture {figures.name!r} is not known to llama.cpp b11434; a newer one may know it",
            "an architecture that is known here",
            repr(figures.name),
        )
    keys.required("context_length")
    yield from _check_heads(keys, figures)
    yield from _check_rope(keys, figures)
    yield from _check_groups(keys, figures)
    if tensors:
        yield from _check_tensors(figures, tensors)


def _check_heads(keys: Hyperparameters, figures: Architecture) -> Iterator[Problem]:
    """Heads divide evenly, and attention has some: the compute graph asserts both."""
    may_lack = figures.name in families.RECURRENCE or figures.name in _MAY_LACK_HEADS
    for index, (n_head, n_head_kv) in enumerate(zip(figures.n_head, figures.n_head_kv, strict=True)):
        if (n_head == 0 or n_head_kv == 0) and may_lack:
            continue
        if n_head == 0 or n_head_kv == 0 or n_head % n_head_kv:
            yield Problem(
                "gguf-wrong-value",
                Gravity.REFUSED,
                f"layer {index} of {keys.name!r} has heads that do not divide",
                "heads above 0, a multiple of the KV heads",
                f"{n_head:,} heads, {n_head_kv:,} KV heads",
            )
            return


def _check_rope(keys: Hyperparameters, figures: Architecture) -> Iterator[Problem]:
    scaling = keys.metadata.text(keys.key("rope.scaling.type"))
    if scaling is not None and scaling not in _ROPE_SCALINGS:
        yield wrong_value(
            keys.metadata,
            keys.key("rope.scaling.type"),
            "one of " + ", ".join(_ROPE_SCALINGS),
            repr(scaling[:40]),
        )
    key = keys.key("rope.dimension_count")
    said = keys.optional("rope.dimension_count")
    if said is None or figures.n_embd_head_k == 0:
        return
    if figures.name in _WHOLE_ROPE and said != figures.n_embd_head_k:
        yield wrong_value(keys.metadata, key, f"{figures.n_embd_head_k:,}, the size of a head", f"{said:,}")
    elif said % 2 or said > figures.n_embd_head_k:
        expected = f"an even number up to {figures.n_embd_head_k:,}, the size of a head"
        yield wrong_value(keys.metadata, key, expected, f"{said:,}")


def _check_groups(keys: Hyperparameters, figures: Architecture) -> Iterator[Problem]:
    groups = keys.optional("expert_group_count") or 0
    used = keys.optional("expert_group_used_count") or 0
    if groups == 0:
        return
    fits = groups < figures.n_expert and (
        groups == 1 or (figures.n_expert % groups == 0 and 0 < used < groups)
    )
    if not fits:
        yield wrong_value(
            keys.metadata,
            keys.key("expert_group_count"),
            f"groups that divide {figures.n_expert:,} experts, fewer used than there are",
            f"{groups:,} groups, {used:,} used",
        )


def _check_tensors(figures: Architecture, tensors: tuple[Tensor, ...]) -> Iterator[Problem]:
    """The embedding fits the figures, and blocks are those of the layers."""
    n_all = figures.n_layer + figures.n_layer_nextn
    blocks = {int(match[1]) for tensor in tensors if (match := _BLOCK.match(tensor.name))}
    if blocks and max(blocks) >= n_all:
        yield Problem(
            "gguf-tensor-layer",
            Gravity.REFUSED,
            f"tensors of layer {max(blocks):,}, and the model has {n_all:,} layers",
            f"layers 0 to {n_all - 1:,}",
            f"'blk.{max(blocks)}.'",
        )
    missing = sorted(set(range(figures.n_layer)) - blocks)
    if blocks and missing:
        yield Problem(
            "gguf-tensor-layer",
            Gravity.REFUSED,
            f"{len(missing):,} of the {figures.n_layer:,} layers have no tensors",
            "tensors for each layer",
            f"none for layer {missing[0]:,}",
        )
    yield from _check_embedding(figures, tensors)


def _check_embedding(figures: Architecture, tensors: tuple[Tensor, ...]) -> Iterator[Problem]:
    embedding = next((tensor for tensor in tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None or figures.n_vocab is None:
        return
    if embedding.shape != (figures.n_embd, figures.n_vocab):
        yield Problem(
            "gguf-tensor-shape",
            Gravity.REFUSED,
            "the token embedding does not fit the vocabulary and the width",
            f"{figures.n_embd:,} x {figures.n_vocab:,}",
            " x ".join(f"{length:,}" for length in embedding.shape),
        )
