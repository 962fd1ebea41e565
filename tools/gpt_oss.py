"""Makes gpt-oss files without gpt-oss's weights: true metadata, true vocabulary, true shapes and types.

`python -m tools.gpt_oss MATERIALS OUT` writes gpt-oss-20b at full size with zero weights, sparse on the disk.
`--small` writes one of 2 layers and 64 columns with random weights instead. MATERIALS is the folder that
`tools.materials` fills. The figures of the metadata are those that llama.cpp prints for the published file;
merges are derived from the ranks as the `transformers` library derives them.
"""

from __future__ import annotations

import argparse
import base64
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from bringup.model.quants import TensorType
from bringup.model.values import ValueType
from bringup.model.writer import (
    NewTensor,
    write_header,
    write_numbers,
    write_scalar,
    write_strings,
)

TEMPLATE = "llama.cpp/models/templates/openai-gpt-oss-120b.jinja"
RANKS = "o200k_base.tiktoken"
N_VOCAB = 201_088
N_MERGES = 446_189
BOS, PADDING, EOS = 199_998, 199_999, 200_002
SPECIAL = {
    199_998: "<|startoftext|>",
    199_999: "<|endoftext|>",
    200_002: "<|return|>",
    200_003: "<|constrain|>",
    200_005: "<|channel|>",
    200_006: "<|start|>",
    200_007: "<|end|>",
    200_008: "<|message|>",
    200_012: "<|call|>",
    200_018: "<|endofprompt|>",
}
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3
MOSTLY_MXFP4 = 38
"""`general.file_type` of the published file."""


@dataclass(frozen=True)
class Shape:
    """Figures of one gpt-oss."""

    name: str
    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_expert: int

    @property
    def kv(self) -> int:
        """Columns of keys and of values."""
        return self.n_head_kv * HEAD


HEAD = 64
FULL = Shape("Gpt Oss 20b", 24, 2880, 64, 8, 32)
SMALL = Shape("Gpt Oss small (made: random weights)", 2, 64, 4, 2, 4)


def main(arguments: list[str]) -> int:
    """Write one file; 0."""
    parser = argparse.ArgumentParser(prog="gpt_oss", description=__doc__.partition("\n")[0])
    parser.add_argument("materials", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--small", action="store_true", help="2 layers, random weights")
    given = parser.parse_args(arguments)
    write_model(given.materials, given.out, SMALL if given.small else FULL)
    return 0


def write_model(materials: Path, out: Path, shape: Shape, says: Sequence[bytes] = ()) -> None:
    """Write a whole file beside its place and rename it; the full one is sparse.

    `says` makes one that answers with exactly these tokens, each of which may stand there once: the likeliest
    token after one is the next one, whatever came before. It begins behind the word `assistant`, with which
    the template ends.
    """
    chain = [token_id(materials, token) for token in (b"assistant", *says)] if says else []
    assert len(set(chain)) == len(chain), "a token stands there twice"
    listed = list(tensors(shape))
    head = write_header(metadata(materials, shape), listed)
    aside = out.with_name(out.name + ".new")
    with aside.open("wb") as file:
        file.write(head)
        if shape is FULL:
            file.truncate(len(head) + sum(tensor.padded_bytes for tensor in listed))
        else:
            source = random.Random(20)
            for tensor in listed:
                data = chained(tensor, chain) if chain else random_weights(tensor, source)
                file.write(data + bytes(tensor.padded_bytes - len(data)))
    aside.rename(out)


def metadata(materials: Path, shape: Shape) -> list[bytes]:
    """All pairs of the metadata, in the published file's order."""
    u32, f32, string = ValueType.UINT32, ValueType.FLOAT32, ValueType.STRING
    rows: list[tuple[str, ValueType, float | str]] = [
        ("general.architecture", string, "gpt-oss"),
        ("general.type", string, "model"),
        ("general.name", string, shape.name),
        ("general.basename", string, "gpt-oss"),
        ("general.size_label", string, "20B" if shape is FULL else "2-layer"),
        ("general.license", string, "apache-2.0"),
        ("gpt-oss.block_count", u32, shape.n_layer),
        ("gpt-oss.context_length", u32, 131_072),
        ("gpt-oss.embedding_length", u32, shape.n_embd),
        ("gpt-oss.feed_forward_length", u32, shape.n_embd),
        ("gpt-oss.attention.head_count", u32, shape.n_head),
        ("gpt-oss.attention.head_count_kv", u32, shape.n_head_kv),
        ("gpt-oss.rope.freq_base", f32, 150_000.0),
        ("gpt-oss.attention.layer_norm_rms_epsilon", f32, 1e-5),
        ("gpt-oss.expert_count", u32, shape.n_expert),
        ("gpt-oss.expert_used_count", u32, min(4, shape.n_expert)),
        ("gpt-oss.attention.key_length", u32, HEAD),
        ("gpt-oss.attention.value_length", u32, HEAD),
        ("general.file_type", u32, MOSTLY_MXFP4),
        ("gpt-oss.attention.sliding_window", u32, 128),
        ("gpt-oss.expert_feed_forward_length", u32, shape.n_embd),
        ("gpt-oss.rope.scaling.type", string, "yarn"),
        ("gpt-oss.rope.scaling.factor", f32, 32.0),
        ("gpt-oss.rope.scaling.original_context_length", u32, 4096),
        ("tokenizer.ggml.model", string, "gpt2"),
        ("tokenizer.ggml.pre", string, "gpt-4o"),
        ("tokenizer.ggml.bos_token_id", u32, BOS),
        ("tokenizer.ggml.eos_token_id", u32, EOS),
        ("tokenizer.ggml.padding_token_id", u32, PADDING),
        ("tokenizer.chat_template", string, (materials / TEMPLATE).read_text()),
        ("general.quantization_version", u32, 2),
    ]
    pairs = [write_scalar(key, kind, value) for key, kind, value in rows]
    at = next(number for number, row in enumerate(rows) if row[0] == "tokenizer.ggml.bos_token_id")
    return [*pairs[:at], *vocabulary(materials / RANKS), *pairs[at:]]


@cache
def vocabulary(path: Path) -> tuple[bytes, ...]:
    """The pairs of the metadata that hold tokens, their types and merges; the same for each file."""
    ranks = read_ranks(path)
    types = [NORMAL_TOKEN] * len(ranks) + [CONTROL_TOKEN] * (N_VOCAB - len(ranks))
    return (
        write_strings("tokenizer.ggml.tokens", vocabulary_texts(ranks)),
        write_numbers("tokenizer.ggml.token_type", ValueType.INT32, types),
        write_strings("tokenizer.ggml.merges", merges(ranks)),
    )


@cache
def read_ranks(path: Path) -> dict[bytes, int]:
    """Tokens with their ranks. Raw line: `IQ== 0`."""
    found = {}
    for line in path.read_bytes().splitlines():
        token, _, rank = line.partition(b" ")
        found[base64.b64decode(token)] = int(rank)
    assert sorted(found.values()) == list(range(BOS)), "ranks are not those of o200k_base"
    return found


def vocabulary_texts(ranks: dict[bytes, int]) -> list[bytes]:
    """Every token as GPT-2's alphabet writes its bytes, then the special ones."""
    letters = byte_letters()
    texts = [b""] * N_VOCAB
    for token, rank in ranks.items():
        texts[rank] = "".join(letters[byte] for byte in token).encode()
    for number in range(len(ranks), N_VOCAB):
        texts[number] = SPECIAL.get(number, f"<|reserved_{number}|>").encode()
    return texts


def merges(ranks: dict[bytes, int]) -> list[bytes]:
    """Every way to join two tokens to a third, by the third's rank, then by those of the two."""
    letters = byte_letters()
    written = {token: "".join(letters[byte] for byte in token) for token in ranks}
    found: list[bytes] = []
    for token in ranks:
        ways = []
        for cut in range(1, len(token)):
            left, right = ranks.get(token[:cut]), ranks.get(token[cut:])
            if left is not None and right is not None:
                ways.append((left, right, cut))
        found += [f"{written[token[:cut]]} {written[token[cut:]]}".encode() for _, _, cut in sorted(ways)]
    assert len(found) == N_MERGES, f"{len(found):,} merges, the published file has {N_MERGES:,}"
    return found


def byte_letters() -> list[str]:
    """The letter that GPT-2's tokenizer writes for each byte: itself where it can be seen."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in seen}
    hidden = (byte for byte in range(256) if byte not in letters)
    letters |= {byte: chr(256 + number) for number, byte in enumerate(hidden)}
    return [letters[byte] for byte in range(256)]


def tensors(shape: Shape) -> Iterator[NewTensor]:
    """All tensors with the types of the published file."""
    plain, eight, four = TensorType.F32, TensorType.Q8_0, TensorType.MXFP4
    width, query = shape.n_embd, shape.n_head * HEAD
    yield NewTensor("token_embd.weight", (width, N_VOCAB), eight)
    for index in range(shape.n_layer):
        rows = (
            ("attn_norm.weight", (width,), plain),
            ("attn_q.weight", (width, query), eight),
            ("attn_q.bias", (query,), plain),
            ("attn_k.weight", (width, shape.kv), eight),
            ("attn_k.bias", (shape.kv,), plain),
            ("attn_v.weight", (width, shape.kv), eight),
            ("attn_v.bias", (shape.kv,), plain),
            ("attn_output.weight", (query, width), eight),
            ("attn_output.bias", (width,), plain),
            ("attn_sinks.weight", (shape.n_head,), plain),
            ("post_attention_norm.weight", (width,), plain),
            ("ffn_gate_inp.weight", (width, shape.n_expert), plain),
            ("ffn_gate_inp.bias", (shape.n_expert,), plain),
            *(
                row
                for part in ("gate", "up", "down")
                for row in (
                    (f"ffn_{part}_exps.weight", (width, width, shape.n_expert), four),
                    (f"ffn_{part}_exps.bias", (width, shape.n_expert), plain),
                )
            ),
        )
        for name, lengths, kind in rows:
            yield NewTensor(f"blk.{index}.{name}", lengths, kind)
    yield NewTensor("output_norm.weight", (width,), plain)
    yield NewTensor("output.weight", (width, N_VOCAB), eight)


def token_id(materials: Path, token: bytes) -> int:
    """Number of a token of the vocabulary."""
    special = {text.encode(): number for number, text in SPECIAL.items()}
    return special[token] if token in special else read_ranks(materials / RANKS)[token]


def chained(tensor: NewTensor, chain: Sequence[int]) -> bytes:
    """Weights of a model that only knows what follows what: all layers add nothing.

    Each token of the chain has a random row of its own in the embedding; in the output the next one has the
    same row, so that it scores far above all others.
    """
    if tensor.name.endswith("norm.weight"):
        return random_weights(tensor, random.Random(0))
    data = bytearray(tensor.size_bytes)
    if tensor.name in ("token_embd.weight", "output.weight"):
        row_bytes = tensor.size_bytes // N_VOCAB
        for number, next_number in pairwise(chain):
            row = random_weights(NewTensor("row", tensor.shape[:1], tensor.type), random.Random(number))
            at = number if tensor.name == "token_embd.weight" else next_number
            data[at * row_bytes : (at + 1) * row_bytes] = row
    return bytes(data)


def random_weights(tensor: NewTensor, source: random.Random) -> bytes:
    """Small random numbers in the tensor's own type; ones for the norms."""
    n_blocks = tensor.size_bytes // tensor.type.block_bytes
    if tensor.type is TensorType.F32:
        one = b"\x00\x00\x80\x3f" if tensor.name.endswith("norm.weight") else b"\x00\x00\x00\x00"
        return one * n_blocks
    # Q8_0: a half-precision scale (0x1400 is 2^-10), 32 bytes; MXFP4: an exponent (2^(121-127)), 16 bytes.
    scale = b"\x00\x14" if tensor.type is TensorType.Q8_0 else b"\x79"
    size = tensor.type.block_bytes
    data = bytearray(source.randbytes(n_blocks * size))
    for place, byte in enumerate(scale):
        data[place::size] = bytes([byte]) * n_blocks
    return bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
