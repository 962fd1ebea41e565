"""Fuzz target of the header reader, for coverage-guided runs with atheris.

    make fuzz                                     a minute (FUZZ_SECONDS=600 for ten)
    python -m tests.fuzz.gguf_target CORPUS       as long as you like; CORPUS is a folder for what was found

atheris has wheels for some Pythons only and is no test dependency: `python -m pip install atheris`. Without
it the same target is driven by random mutations in `test_fuzz.py`, which runs with every other test.
"""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz.loop import fuzz

from bringup.errors import GgufError, ModelFileError
from bringup.model.architecture import read_architecture
from bringup.model.gguf import read_header
from bringup.model.identify import HEAD_BYTES, explain_not_gguf, identify
from bringup.model.preflight import check
from bringup.model.shards import assemble
from bringup.model.sizes import by_kind, by_type
from bringup.model.source import BufferSource
from bringup.model.values import ArrayValue, ValueType

SEEDS = 64


def read_everything(data: bytes) -> bool:
    """Ask all that is ever asked of a header; whether it was read.

    Anything but an error for people is a finding.
    """
    source = BufferSource(data, name="fuzzed.gguf")
    try:
        header = read_header(source)
        assemble((header,))
        check(header)
        for key in header.metadata:
            value = header.metadata[key]
            if isinstance(value, ArrayValue) and value.element_type is not ValueType.ARRAY:
                read = value.strings() if value.element_type is ValueType.STRING else value.numbers()
                assert len(read) == value.count
        assert sum(share.size_bytes for share in by_kind(header.tensors).values()) == sum(
            share.size_bytes for share in by_type(header.tensors).values()
        )
        read_architecture(header)
    except GgufError as problem:
        assert problem.offset_bytes >= 0
        assert problem.expected
        assert problem.found
        return False
    except ModelFileError as problem:
        assert problem.hint
        return False
    return True


def identify_anything(data: bytes) -> None:
    """Any bytes are some kind of file, and the explanation of every kind can be made."""
    kind = identify(data[:HEAD_BYTES], len(data))
    explained = explain_not_gguf(kind, "fuzzed", head=data[:HEAD_BYTES], size_bytes=len(data))
    assert explained.message
    assert explained.hint


def one_input(data: bytes) -> None:
    """The target: never raises."""
    identify_anything(data)
    read_everything(data)


def write_seeds(folder: Path) -> None:
    """A corpus to begin with: the tiny llama and files near it."""
    from tests.model.damage import mutated
    from tests.model.writing import tiny_llama

    folder.mkdir(parents=True, exist_ok=True)
    built, rng = tiny_llama(), random.Random(1)
    (folder / "sound").write_bytes(built.data[: built.marks["data"]])
    for number in range(SEEDS):
        (folder / f"near-{number}").write_bytes(mutated(built, rng))


if __name__ == "__main__":
    fuzz(one_input, write_seeds)
