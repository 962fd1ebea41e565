"""Pre-flight of the tokenizer: llama.cpp trusts its arrays, and ends when they are not as it expects.

Rules: llama.cpp b11434, `llama_vocab::impl::load` and the tokenizers in `src/llama-vocab.cpp`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bringup.model.problem import Gravity, Problem, wrong_value
from bringup.model.tokenizer import SPECIAL_KEYS, TOKENS
from bringup.model.values import ArrayValue, Metadata, ValueType, describe

_MODEL: Final = "tokenizer.ggml.model"
_PRE: Final = "tokenizer.ggml.pre"
_MERGES: Final = "tokenizer.ggml.merges"
_TYPES: Final = "tokenizer.ggml.token_type"
_SCORES: Final = "tokenizer.ggml.scores"
_NO_VOCABULARY: Final = frozenset({"none", "no_vocab"})
_WITH_MERGES: Final = frozenset({"gpt2", "hybriddna", "whitespace", "gemma4"})
# Special tokens that each kind has by default: (bos, eos, separator); `None` is none.
_DEFAULTS: Final[dict[str, tuple[int | None, int | None, int | None]]] = {
    "llama": (1, 2, None),
    "bert": (101, None, 102),
    "gpt2": (11, 11, None),
    "hybriddna": (11, 11, None),
    "whitespace": (11, 11, None),
    "gemma4": (None, None, None),
    "t5": (None, 1, None),
    "rwkv": (None, None, None),
    "plamo2": (1, 2, None),
}
_ELEMENT_TYPES: Final[dict[str, frozenset[ValueType]]] = {
    TOKENS: frozenset({ValueType.STRING}),
    _MERGES: frozenset({ValueType.STRING}),
    _TYPES: frozenset({ValueType.INT32}),
    _SCORES: frozenset({ValueType.FLOAT32, ValueType.INT32}),
    "tokenizer.ggml.precompiled_charsmap": frozenset({ValueType.INT8, ValueType.UINT8}),
    "tokenizer.ggml.suppress_tokens": frozenset({ValueType.INT32}),
}
_SCALAR_TYPES: Final[dict[str, ValueType]] = {
    _MODEL: ValueType.STRING,
    _PRE: ValueType.STRING,
    "tokenizer.chat_template": ValueType.STRING,
    "tokenizer.ggml.token_type_count": ValueType.UINT32,
    "tokenizer.ggml.add_bos_token": ValueType.BOOL,
    "tokenizer.ggml.add_eos_token": ValueType.BOOL,
    "tokenizer.ggml.add_sep_token": ValueType.BOOL,
    "tokenizer.ggml.add_space_prefix": ValueType.BOOL,
    "tokenizer.ggml.remove_extra_whitespaces": ValueType.BOOL,
    **dict.fromkeys(SPECIAL_KEYS.values(), ValueType.UINT32),
}
_BYTE_TYPE: Final = 6  # LLAMA_TOKEN_TYPE_BYTE
_BYTE_TOKEN: Final = re.compile(rb"<0x[0-9A-Fa-f]{2}>")


def check_tokenizer(metadata: Metadata) -> Iterator[Problem]:
    """Problems of the tokenizer.

    Raises:
        GgufError: the vocabulary cannot be read from the source.
    """
    wrong = list(_check_types(metadata))
    yield from wrong
    if wrong:
        return
    model = metadata.text(_MODEL)
    if model is None:
        yield _missing(_MODEL)
    elif model not in _DEFAULTS and model not in _NO_VOCABULARY:
        yield wrong_value(metadata, _MODEL, "one of " + ", ".join(sorted(_DEFAULTS)), repr(model[:40]))
    elif model in _NO_VOCABULARY:
        yield wrong_value(metadata, _MODEL, "a vocabulary", f"{model!r}: no text can be made into tokens")
    else:
        yield from _check_vocabulary(metadata, model)


def _check_types(metadata: Metadata) -> Iterator[Problem]:
    """Every known key with exactly the type that llama.cpp takes it for."""
    for key, wanted in _SCALAR_TYPES.items():
        entry = metadata.entry(key)
        if entry is not None and entry.type is not wanted:
            yield wrong_value(metadata, key, f"a value of type {wanted.name.lower()}", describe(entry))
    for key, elements in _ELEMENT_TYPES.items():
        entry = metadata.entry(key)
        if entry is None or (entry.type is ValueType.ARRAY and entry.element_type in elements):
            continue
        names = " or ".join(sorted(element.name.lower() for element in elements))
        yield wrong_value(metadata, key, f"an array of {names}", describe(entry))


def _check_vocabulary(metadata: Metadata, model: str) -> Iterator[Problem]:
    tokens = metadata.get(TOKENS)
    if not isinstance(tokens, ArrayValue):
        yield _missing(TOKENS)
        return
    if model in _WITH_MERGES and _MERGES not in metadata and metadata.text(_PRE) != "kimi-k2":
        yield _missing(_MERGES)
    for key in (_SCORES, _TYPES):
        array = metadata.get(key)
        if isinstance(array, ArrayValue) and len(array) < len(tokens):
            yield wrong_value(
                metadata, key, f"one element for each of {len(tokens):,} tokens", f"{len(array):,}"
            )
            return
    yield from _check_tokens(metadata, tokens, model)
    yield from _check_special(metadata, model, len(tokens))


def _check_tokens(metadata: Metadata, tokens: ArrayValue, model: str) -> Iterator[Problem]:
    """Each text once (an assertion), and byte tokens that name a byte (else a read outside of the text)."""
    texts = [text or b"[EMPTY_%d]" % number for number, text in enumerate(tokens.string_bytes())]
    unique = set(texts)
    if len(unique) < len(texts):
        number = _first_repeated(texts)
        yield wrong_value(
            metadata, TOKENS, "each token once", f"token {number:,} is {_shown(texts[number])} again"
        )
    byte_tokens = _byte_tokens(metadata, texts, model)
    if byte_tokens and model == "bert":  # it aborts when it is asked for their byte
        yield wrong_value(
            metadata, _TYPES, "no byte tokens in a bert vocabulary", f"{len(byte_tokens):,} of them"
        )
    for number in byte_tokens:
        if _BYTE_TOKEN.fullmatch(texts[number]) is None:
            found = f"token {number:,} is {_shown(texts[number])}"
            yield wrong_value(metadata, TOKENS, "byte tokens such as <0x0A>", found)
            return
    if model == "plamo2" and not {b"<0x%02X>" % byte for byte in range(256)} <= unique:
        yield wrong_value(metadata, TOKENS, "a byte token for each of 256 bytes", "some are missing")


def _first_repeated(texts: list[bytes]) -> int:
    seen: set[bytes] = set()
    for number, text in enumerate(texts):
        if text in seen:
            return number
        seen.add(text)
    return 0


def _byte_tokens(metadata: Metadata, texts: list[bytes], model: str) -> list[int]:
    """Numbers of the tokens that llama.cpp takes for bytes."""
    if model == "plamo2":
        return [n for n, text in enumerate(texts) if len(text) == 6 and text.startswith(b"<0x")]
    types = metadata.get(_TYPES)
    kinds = types.numbers() if isinstance(types, ArrayValue) else ()
    if _BYTE_TYPE not in kinds:
        return []
    return [n for n, kind in enumerate(kinds[: len(texts)]) if kind == _BYTE_TYPE]


def _shown(text: bytes) -> str:
    return repr(text[:40].decode("utf-8", "replace"))


def _check_special(metadata: Metadata, model: str, n_tokens: int) -> Iterator[Problem]:
    """Ids within the vocabulary, and a token wherever one is to be added (an assertion at the first text)."""
    for key in SPECIAL_KEYS.values():
        token_id = metadata.integer(key)
        if token_id is not None and token_id >= n_tokens:
            yield Problem(
                "special-token-out-of-range",
                Gravity.WARNING,
                f"{key!r} names a token that does not exist; llama.cpp takes its default",
                f"an id below {n_tokens:,}",
                f"{token_id:,}",
            )
    for role, default in zip(("bos", "eos", "separator"), _DEFAULTS[model], strict=True):
        flag = f"tokenizer.ggml.add_{'sep' if role == 'separator' else role}_token"
        wanted = metadata.get(flag) is True or (model == "gemma4" and role == "bos")
        given = metadata.integer(SPECIAL_KEYS[role])
        usable = any(token_id is not None and token_id < n_tokens for token_id in (given, default))
        if wanted and not usable:
            yield wrong_value(metadata, flag, f"a {role} token to add", "no such token")


def _missing(key: str) -> Problem:
    return Problem(
        "gguf-missing-key",
        Gravity.REFUSED,
        f"{key!r} is missing, without it there is no tokenizer",
        key,
        "no such key",
    )
