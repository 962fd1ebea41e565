"""What a file says about its tokenizer, without decoding the vocabulary."""

from __future__ import annotations

from typing import Final

from bringup.model.values import ArrayValue, Metadata
from bringup.records import dataclass

TOKENS: Final = "tokenizer.ggml.tokens"
SPECIAL_KEYS: Final[dict[str, str]] = {
    "bos": "tokenizer.ggml.bos_token_id",
    "eos": "tokenizer.ggml.eos_token_id",
    "eot": "tokenizer.ggml.eot_token_id",
    "eom": "tokenizer.ggml.eom_token_id",
    "unknown": "tokenizer.ggml.unknown_token_id",
    "separator": "tokenizer.ggml.seperator_token_id",  # spelled so in the format
    "padding": "tokenizer.ggml.padding_token_id",
    "mask": "tokenizer.ggml.mask_token_id",
    "fim_prefix": "tokenizer.ggml.fim_pre_token_id",
    "fim_suffix": "tokenizer.ggml.fim_suf_token_id",
    "fim_middle": "tokenizer.ggml.fim_mid_token_id",
}
"""Roles of special tokens and their keys (llama.cpp b11434, `src/llama-arch.cpp`)."""

CHAT_TEMPLATE: Final = "tokenizer.chat_template"
_SHOWN_TOKEN_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token with a role. `text` is `None` where the id lies outside of the vocabulary."""

    role: str
    id: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Figures of a tokenizer.

    Attributes:
        model: `gpt2` (byte-level BPE), `llama` (SentencePiece), `bert`, `t5`, ...; `None` when not said.
        pre: name of the pre-tokenizer, `None` when not said.
        n_tokens: entries of the vocabulary, `None` when the file has none.
        n_merges: merge rules, `None` when the file has none.
        special: ids by role: bos, eos, ...
        adds_bos: whether a text is begun with bos, `None` when left to the tokenizer's own default.
        adds_eos: likewise at the end.
    """

    model: str | None
    pre: str | None
    n_tokens: int | None
    n_merges: int | None
    special: tuple[tuple[str, int], ...]
    adds_bos: bool | None
    adds_eos: bool | None


def read_tokenizer(metadata: Metadata) -> Tokenizer:
    """The tokenizer's figures.

    Raises:
        GgufError: a key of the tokenizer is of a wrong type.
    """
    special = (
        (role, token_id)
        for role, key in SPECIAL_KEYS.items()
        if (token_id := metadata.integer(key)) is not None
    )
    return Tokenizer(
        model=metadata.text("tokenizer.ggml.model"),
        pre=metadata.text("tokenizer.ggml.pre"),
        n_tokens=_count(metadata, TOKENS),
        n_merges=_count(metadata, "tokenizer.ggml.merges"),
        special=tuple(special),
        adds_bos=_flag(metadata, "tokenizer.ggml.add_bos_token"),
        adds_eos=_flag(metadata, "tokenizer.ggml.add_eos_token"),
    )


def special_tokens(metadata: Metadata, tokenizer: Tokenizer) -> tuple[SpecialToken, ...]:
    """Special tokens with their texts; walks the vocabulary once.

    Raises:
        GgufError: the vocabulary is no array of strings, or no longer there.
    """
    wanted = {token_id for _, token_id in tokenizer.special}
    texts: dict[int, str] = {}
    tokens = metadata.get(TOKENS)
    if wanted and isinstance(tokens, ArrayValue):
        last = max(wanted)
        for number, text in enumerate(tokens.string_bytes()):
            if number in wanted:
                texts[number] = text[:_SHOWN_TOKEN_BYTES].decode("utf-8", "replace")
            if number == last:
                break
    return tuple(SpecialToken(role, token_id, texts.get(token_id)) for role, token_id in tokenizer.special)


def _count(metadata: Metadata, key: str) -> int | None:
    array = metadata.array(key)
    return None if array is None else len(array)


def _flag(metadata: Metadata, key: str) -> bool | None:
    value = metadata.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise metadata.wrong(key, "true or false")
