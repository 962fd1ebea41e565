"""Changes to the tiny llama's metadata, each with what pre-flight must say of it. All files are made."""

from __future__ import annotations

import math
from typing import Any

from tests.model.writing import ARRAY, BOOL, F32, STRING, TOKENS, U32, Array

from bringup.model.values import ValueType

INT32, UINT8, UINT16, UINT64 = ValueType.INT32, ValueType.UINT8, ValueType.UINT16, ValueType.UINT64
TYPES = [2, 3, 3, *[6] * 256, *[1] * 26]
T, L = "tokenizer.ggml.", "llama."
MERGES = {T + "merges": (ARRAY, Array(STRING, ["a b"]))}
GPT2 = {T + "model": (STRING, "gpt2"), **MERGES}
GEMMA4 = {T + "model": (STRING, "gemma4"), **MERGES}

Changes = dict[str, Any]


def tokens(**at: str) -> Changes:
    """The vocabulary with some tokens changed: `_10="x"`."""
    changed = list(TOKENS)
    for number, text in at.items():
        changed[int(number[1:])] = text
    return {T + "tokens": (ARRAY, Array(STRING, changed))}


def array(key: str, kind: ValueType, values: list[Any]) -> Changes:
    return {key: (ARRAY, Array(kind, values))}


SOUND: dict[str, Changes] = {
    "as it is": {},
    "no bos id": {T + "bos_token_id": None},
    "no name": {"general.name": None},
    "no scores": {T + "scores": None},
    "no token types": {T + "token_type": None},
    "scores as int32": array(T + "scores", INT32, [0] * 285),
    "token types that nobody knows": array(T + "token_type", INT32, [99] * 285),
    "one empty token": tokens(_270=""),
    "two empty tokens": tokens(_270="", _271=""),
    "byte-level BPE": GPT2,
    "merges without a space": {**GPT2, **array(T + "merges", STRING, ["ab", "", " ", "x"])},
    "SentencePiece-like BPE": GEMMA4,
    "heads that divide": {L + "attention.head_count_kv": (ARRAY, Array(U32, [2, 2]))},
    "heads as int32 by layer": {L + "attention.head_count_kv": (ARRAY, Array(INT32, [2, 2]))},
    "longest context": {L + "context_length": (U32, 2**31 - 1)},
    "no rope width": {L + "rope.dimension_count": None},
    "epsilon zero": {L + "attention.layer_norm_rms_epsilon": (F32, 0.0)},
    "yarn": {L + "rope.scaling.type": (STRING, "yarn"), L + "rope.scaling.factor": (F32, 4.0)},
    "a template": {"tokenizer.chat_template": (STRING, "{% for m in messages %}{{ m.content }}{% endfor %}")},
    "suppressed tokens": array(T + "suppress_tokens", INT32, [1, -5, 99_999]),
    "a wrong vocab_size": {L + "vocab_size": (U32, 1000)},
    "an original context of 0": {L + "rope.scaling.original_context_length": (U32, 0)},
    "keys that nobody knows": {"made.up": (STRING, "x"), L + "made.up": (F32, math.nan)},
}
"""Pre-flight finds nothing to refuse, and the engine loads them."""

WARNED: dict[str, Changes] = {
    "bos beyond the vocabulary": {T + "bos_token_id": (U32, 10**6)},
    "rope base 0": {L + "rope.freq_base": (F32, 0.0)},
    "rope base NaN": {L + "rope.freq_base": (F32, math.nan)},
    "rope factor -1": {L + "rope.scaling.factor": (F32, -1.0)},
}
"""The engine loads them and behaves other than expected."""

REFUSED: dict[str, Changes] = {
    "scores as bytes": array(T + "scores", UINT8, [0] * 285),
    "too few scores": array(T + "scores", F32, [0.0] * 280),
    "token types as bytes": array(T + "token_type", UINT8, TYPES),
    "token types as uint32": array(T + "token_type", U32, TYPES),
    "too few token types": array(T + "token_type", INT32, TYPES[:-1]),
    "a token twice": tokens(_270="a"),
    "tokens as bytes": array(T + "tokens", UINT8, [1] * 285),
    "no tokens": {T + "tokens": None},
    "fewer tokens than rows": array(T + "tokens", STRING, list(TOKENS[:-5])),
    "no tokenizer": {T + "model": None},
    "a tokenizer that nobody knows": {T + "model": (STRING, "zzz")},
    "BPE without merges": {T + "model": (STRING, "gpt2")},
    "merges as bytes": {**GPT2, **array(T + "merges", UINT8, [1])},
    "bos to add and none": {**GEMMA4, T + "bos_token_id": None},
    "byte tokens in a bert vocabulary": {T + "model": (STRING, "bert")},
    "no vocabulary": {T + "model": (STRING, "none"), L + "vocab_size": (U32, 285)},
    "add_bos as a number": {T + "add_bos_token": (U32, 1)},
    "add_space as a number": {T + "add_space_prefix": (UINT8, 1)},
    "pre-tokenizer as a number": {T + "pre": (U32, 1)},
    "suppressed tokens as bytes": array(T + "suppress_tokens", UINT8, [1]),
    "no layers": {L + "block_count": (U32, 0)},
    "one layer of two": {L + "block_count": (U32, 1)},
    "three layers of two": {L + "block_count": (U32, 3)},
    "512 layers of two": {L + "block_count": (U32, 512)},
    "513 layers": {L + "block_count": (U32, 513)},
    "a million layers": {L + "block_count": (U32, 10**6)},
    "layers as int32": {L + "block_count": (INT32, 2)},
    "layers as uint64": {L + "block_count": (UINT64, 2)},
    "no heads": {L + "attention.head_count": (U32, 0)},
    "3 heads on 2": {L + "attention.head_count": (U32, 3)},
    "no KV heads": {L + "attention.head_count_kv": (U32, 0)},
    "3 KV heads of 4": {L + "attention.head_count_kv": (U32, 3)},
    "8 KV heads of 4": {L + "attention.head_count_kv": (U32, 8)},
    "heads as uint64 by layer": {L + "attention.head_count_kv": (ARRAY, Array(UINT64, [2, 2]))},
    "heads of three layers": {L + "attention.head_count_kv": (ARRAY, Array(U32, [2, 2, 2]))},
    "context 0": {L + "context_length": (U32, 0)},
    "context 2^31": {L + "context_length": (U32, 2**31)},
    "no context": {L + "context_length": None},
    "width 0": {L + "embedding_length": (U32, 0)},
    "width 65": {L + "embedding_length": (U32, 65)},
    "rope width odd": {L + "rope.dimension_count": (U32, 15)},
    "rope width 0": {L + "rope.dimension_count": (U32, 0)},
    "rope wider than a head": {L + "rope.dimension_count": (U32, 32)},
    "epsilon below 0": {L + "attention.layer_norm_rms_epsilon": (F32, -1.0)},
    "epsilon NaN": {L + "attention.layer_norm_rms_epsilon": (F32, math.nan)},
    "a rope scaling that nobody knows": {L + "rope.scaling.type": (STRING, "zzz")},
    "more experts used than there are": {L + "expert_count": (U32, 1), L + "expert_used_count": (U32, 2)},
    "experts and none used": {L + "expert_count": (U32, 4)},
    "2,000 experts": {L + "expert_count": (U32, 2000), L + "expert_used_count": (U32, 2)},
    "experts used and none there": {L + "expert_used_count": (U32, 2)},
    "groups of no experts": {L + "expert_group_count": (U32, 2)},
    "more drafting layers than layers": {L + "nextn_predict_layers": (U32, 5)},
    "no architecture": {"general.architecture": None},
    "an empty architecture": {"general.architecture": (STRING, "")},
    "the architecture as a number": {"general.architecture": (U32, 1)},
    "the name as a number": {"general.name": (U32, 1)},
    "an array of arrays": {"x.y": (ARRAY, Array(ARRAY, [Array(U32, [1])]))},
    "the file type as uint64": {"general.file_type": (UINT64, 3)},
    "the split as uint32": {"split.count": (U32, 1)},
    "causal as a number": {L + "attention.causal": (U32, 1)},
    "bos id as text": {T + "bos_token_id": (STRING, "1")},
    "eos to add and none": {
        **GEMMA4,
        T + "eos_token_id": None,
        T + "add_eos_token": (BOOL, True),
    },
}
"""The engine refuses them or ends with them."""

REFUSED_THOUGH_LOADED: dict[str, Changes] = {
    # This engine reads over them; older builds read before a buffer (llama.cpp pull requests 25969, 26690).
    "a byte token that is none": tokens(_10="<0x-1>"),
    "a byte token that is a word": tokens(_10="hello"),
    # Taken for absent by the engine; a template that silently is none would mislead.
    "the template as a number": {"tokenizer.chat_template": (U32, 1)},
}
"""Refused by decision, although the engine at hand loads them."""
