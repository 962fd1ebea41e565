"""A model of one small layer that carries another model's tokenizer and chat template.

An engine loads it in a moment and then answers for the real one what a prompt looks like and which tokens
it is. Its weights are zeros: it can count and it cannot talk.
"""

from __future__ import annotations

from typing import Final

from bringup.errors import ModelFileError
from bringup.model.quants import TensorType
from bringup.model.tokenizer import TOKENS
from bringup.model.values import ArrayValue, Metadata, ValueType
from bringup.model.window import ByteOrder
from bringup.model.writer import NewTensor, write_header, write_raw_array, write_scalar

N_EMBD: Final = 32
N_CTX: Final = 256
_PREFIX: Final = "tokenizer."


def copy_tokenizer(metadata: Metadata, *, order: ByteOrder, name: str) -> tuple[bytes, int]:
    """The small model: its header, and how many zero bytes follow.

    Args:
        metadata: of the real model; of a split one, that of its first file.
        order: of the numbers in the real model's file.
        name: of the real model, for messages.

    Raises:
        ModelFileError: it has no vocabulary, or numbers in an order that this copy does not write.
        GgufError: the file no longer holds what its header says.
    """
    tokens = metadata.array(TOKENS)
    if tokens is None or not len(tokens):
        raise ModelFileError(
            f"{name}: there is no vocabulary in this file",
            hint="Of a split model the first file has it. Without one no engine can read a text for it.",
            reference="no-vocabulary",
        )
    if order is not ByteOrder.LITTLE:
        raise ModelFileError(
            f"{name}: a big-endian file",
            hint="An engine on this machine would not load it either.",
            reference="gguf-byte-order",
        )
    tensors = _tensors(len(tokens))
    pairs = [*_figures(len(tokens)), *(_copied(metadata, key) for key in metadata if key.startswith(_PREFIX))]
    return write_header(pairs, tensors), sum(tensor.padded_bytes for tensor in tensors)


def _figures(n_vocab: int) -> list[bytes]:
    """Of a llama: every engine that reads GGUF knows one."""
    u32 = ValueType.UINT32
    numbers = {
        "llama.block_count": 1,
        "llama.context_length": N_CTX,
        "llama.embedding_length": N_EMBD,
        "llama.feed_forward_length": N_EMBD,
        "llama.attention.head_count": 1,
        "llama.attention.head_count_kv": 1,
        "llama.vocab_size": n_vocab,
    }
    return [
        write_scalar("general.architecture", ValueType.STRING, "llama"),
        *(write_scalar(key, u32, value) for key, value in numbers.items()),
        write_scalar("llama.attention.layer_norm_rms_epsilon", ValueType.FLOAT32, 1e-5),
    ]


def _copied(metadata: Metadata, key: str) -> bytes:
    value = metadata[key]
    if isinstance(value, ArrayValue):
        return write_raw_array(key, value.element_type, value.count, value.raw())
    entry = metadata.entry(key)
    assert entry is not None, "a key that was listed"
    return write_scalar(key, entry.type, value)


def _tensors(n_vocab: int) -> tuple[NewTensor, ...]:
    square, row = (N_EMBD, N_EMBD), (N_EMBD,)
    layer = {
        "attn_norm": row,
        "attn_q": square,
        "attn_k": square,
        "attn_v": square,
        "attn_output": square,
        "ffn_norm": row,
        "ffn_gate": square,
        "ffn_up": square,
        "ffn_down": square,
    }
    return (
        NewTensor("token_embd.weight", (N_EMBD, n_vocab), TensorType.Q8_0),
        *(NewTensor(f"blk.0.{name}.weight", shape) for name, shape in layer.items()),
        NewTensor("output_norm.weight", row),
    )
