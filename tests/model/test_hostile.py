"""The reader survives anything: no crash, no hang, no memory beyond the file's, every error by offset."""

from __future__ import annotations

import os
import random
import time
import tracemalloc

import pytest
from tests.model.damage import Case, crafted, mutated
from tests.model.writing import ARRAY, STRING, Array, TensorSpec, build, tiny_llama

from bringup.errors import GgufError, ModelFileError
from bringup.model.architecture import read_architecture
from bringup.model.gguf import TENSORS_LIMIT, read_header
from bringup.model.preflight import check
from bringup.model.source import BufferSource
from bringup.units import MIB

CASES = crafted()
MUTATIONS = 100_000 if os.environ.get("BRINGUP_SOAK") else 2_000
WORST_S = 0.1
TRIES = 5


def read_all(data: bytes) -> ModelFileError | None:
    """Everything that is read from a header; the error, if it is one for people."""
    try:
        header = read_header(BufferSource(data, name="made.gguf"))
        check(header)
        read_architecture(header)
    except ModelFileError as problem:
        return problem
    return None


def test_there_are_enough_crafted_cases() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_crafted_file_is_refused_by_offset(case: Case) -> None:
    with pytest.raises(ModelFileError) as told:
        read_header(BufferSource(case.data, name="made.gguf"))
    problem = told.value
    if isinstance(problem, GgufError):
        assert 0 <= problem.offset_bytes <= len(case.data)
        assert problem.expected and problem.found
        assert case.says in f"{problem.expected} {problem.found}"
    assert problem.hint
    assert case.reference in ("", problem.reference)


def best_s(data: bytes) -> float:
    """Processor time of reading: what another process adds through caches that both use is not ours."""
    took_s = []
    while len(took_s) < TRIES and (not took_s or took_s[-1] >= WORST_S):
        started = time.thread_time()
        read_all(data)
        took_s.append(time.thread_time() - started)
    return min(took_s)


def test_crafted_files_cost_neither_time_nor_memory() -> None:
    for case in CASES:
        assert best_s(case.data) < WORST_S, case.name
        tracemalloc.start()
        try:
            read_all(case.data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < len(case.data) + 32 * MIB, case.name


def test_mutated_headers_are_read_or_refused() -> None:
    rng = random.Random(20_261_124)
    built = tiny_llama()
    worst, refused = 0.0, 0
    for number in range(MUTATIONS):
        data = mutated(built, rng)
        started = time.thread_time()
        try:
            problem = read_all(data)
        except Exception as crash:  # whatever it is, it needs the bytes to be looked into
            raise AssertionError(f"mutation {number}: {crash!r}") from crash
        took_s = time.thread_time() - started
        worst = max(worst, took_s if took_s < WORST_S else best_s(data))
        if problem is not None:
            refused += 1
            assert problem.message and problem.hint
            if isinstance(problem, GgufError):
                assert problem.offset_bytes >= 0 and problem.expected and problem.found
    assert worst < WORST_S
    assert MUTATIONS // 2 < refused < MUTATIONS


@pytest.mark.parametrize(
    "built",
    [
        build([("a", ARRAY, Array(STRING, [""] * 500_000))]),
        build([(f"k{n}", STRING, "x" * 600) for n in range(10_000)]),
        build([("text", STRING, "ü" * 5_000_000)]),
        build([("text", STRING, "🦙" + "x" * 60_000)]),
        build([], [TensorSpec(f"t{n}", (1,)) for n in range(TENSORS_LIMIT)]),
    ],
    ids=["empty strings", "many keys", "a long text", "a text that swells when decoded", "many tensors"],
)
def test_memory_stays_within_the_header_and_32_mib(built: object) -> None:
    data = bytes(getattr(built, "data"))  # noqa: B009 - hypothesis of types is not needed here
    source = BufferSource(data)
    tracemalloc.start()
    try:
        header = read_header(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert header.needed_bytes
    assert peak < len(data) + 32 * MIB


def test_more_tensors_than_any_model_has_are_refused() -> None:
    built = build([], [TensorSpec(f"t{n}", (1,)) for n in range(TENSORS_LIMIT + 1)])
    with pytest.raises(GgufError) as told:
        read_header(BufferSource(built.data))
    assert told.value.offset_bytes == built.marks["n_tensors"]


class Zeros:
    """A sparse file: a head, then nothing but zeros to a terabyte."""

    size_bytes = 2**40
    name = "sparse.gguf"

    def __init__(self, head: bytes) -> None:
        self._head = head

    def read_at(self, offset: int, length: int) -> bytes:
        head = self._head[offset : offset + length]
        return head + bytes(length - len(head))


def test_a_sparse_terabyte_of_empty_strings_is_given_up() -> None:
    """2^31 strings of no length fit in it; walking them all would take minutes."""
    built = build([("a", ARRAY, Array(STRING, []))])
    with pytest.raises(GgufError) as told:
        read_header(Zeros(built.patched("count:a", "Q", 2**31)))
    assert told.value.offset_bytes == built.marks["count:a"]


@pytest.mark.parametrize("value", [0, 2**31 - 1, 2**31, 2**32, 2**60, 2**63, 2**64 - 1])
def test_a_sparse_file_of_a_terabyte_gives_no_room_to_counts(value: int) -> None:
    """A large file raises what a count may be; nothing is allocated for it all the same."""
    data = tiny_llama().patched("count:tokenizer.ggml.tokens", "Q", value)
    source = BufferSource(data, name="sparse", size_bytes=2**40)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            read_header(source)
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()
