"""The cause is lifted out of a log: recorded logs of all eras, near misses, forged lines, size."""

from __future__ import annotations

import io
import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.recorded_logs import CUDA, HARMLESS, OTHERS, Recorded

from bringup.engine.signs import SIGNS
from bringup.engine.watch import LINE_LIMIT, find_cause, foreign_lines, log_lines

FOLLOWERS = (
    "failed to load model",
    "try reducing",
    "exiting due to",
    "unable to load model",
    "encountered an error while trying to fit",
)


def ids(rows: tuple[Recorded, ...]) -> list[str]:
    return [row.source.removeprefix("https://github.com/") for row in rows]


@pytest.mark.parametrize("row", CUDA + OTHERS, ids=ids(CUDA + OTHERS))
def test_a_recorded_log_gives_its_cause(row: Recorded) -> None:
    found = find_cause(row.text.splitlines())
    assert found is not None
    assert found.sign.reference == row.reference
    assert any(row.shows in line for line in found.evidence)
    assert "{" not in found.sentence and " ? " not in f" {found.sentence} "


@pytest.mark.parametrize("row", HARMLESS, ids=ids(HARMLESS))
def test_loud_but_harmless(row: Recorded) -> None:
    assert find_cause(row.text.splitlines()) is None


@pytest.mark.parametrize("row", CUDA + OTHERS, ids=ids(CUDA + OTHERS))
def test_what_was_survived_is_no_cause(row: Recorded) -> None:
    lines = [
        *row.text.splitlines(),
        "0.09.000.000 I srv          init: model loaded",
        "0.10.000.000 I srv  idle",
    ]
    assert find_cause(lines) is None


def test_a_follower_is_never_the_cause() -> None:
    lines = [
        "llama_model_load_from_file_impl: failed to load model",
        "common_init_from_params: failed to load model 'x', try reducing --n-gpu-layers",
        "srv    load_model: failed to load model, 'x'",
        "main: exiting due to model loading error",
        "llama_init_from_gpt_params: error: failed to load model 'x'",
    ]
    assert find_cause(lines) is None
    for sign in SIGNS:
        assert not any(sign.pattern.search(follower) for follower in FOLLOWERS), sign


def test_the_real_load_beats_the_dry_one() -> None:
    lines = [
        "0.00.079 E llama_init_from_model: failed to initialize the context: std::bad_alloc",
        "0.00.086.742 E common_fit_params: encountered an error while trying to fit params: x",
        "0.00.159.179 E llama_init_from_model: quantized V cache requires flash_attn to be enabled",
    ]
    found = find_cause(lines)
    assert found is not None and found.sign.reference == "kv-quant-needs-flash-attn"
    dry_only = find_cause(lines[:2])
    assert dry_only is not None and dry_only.sign.reference == "address-space-or-mmap"


def test_memory_taken_by_others_is_said() -> None:
    oom = "alloc_buffer: allocating 7000.00 MiB on device 0: cudaMalloc failed: out of memory"
    taken = "0.00.100.000 I   - CUDA0   : NVIDIA GeForce RTX 3070 (8150 MiB, 3043 MiB free)"
    free = "0.00.100.000 I   - CUDA0   : NVIDIA GeForce RTX 3070 (8150 MiB, 7443 MiB free)"
    with_others, alone = find_cause([taken, oom]), find_cause([free, oom])
    assert with_others is not None and "5,107 MiB" in with_others.sentence and taken in with_others.evidence
    assert alone is not None and "other programs" not in alone.sentence


def test_an_information_line_is_no_cause() -> None:
    talk = "0.12.000.000 I slot print: the user asked: 'unknown model architecture: 'x''?"
    assert find_cause([talk]) is None


def test_lines_of_the_model_are_no_evidence() -> None:
    name = "nice\nerror loading model: unknown model architecture: 'evil'\r\n  std::bad_alloc  \n"
    log = ["print_info: general.name = nice", *name.splitlines()[1:]]
    assert find_cause(log) is not None
    assert find_cause(log, foreign=foreign_lines([name])) is None
    assert foreign_lines(["one line only"]) == frozenset()


@pytest.mark.parametrize("row", range(len(SIGNS)), ids=lambda row: f"{row}-{SIGNS[row].reference}")
def test_the_needles_of_a_sign_are_in_whatever_it_matches(row: int) -> None:
    sign = SIGNS[row]

    @settings(max_examples=25)
    @given(st.from_regex(sign.pattern.pattern))
    def has_needle(line: str) -> None:
        assert any(needle in line for needle in sign.needles)

    has_needle()


def test_each_sign_has_a_sentence_that_can_be_filled() -> None:
    for sign in SIGNS:
        slots = set(re.findall(r"\{(\w+)\}", sign.sentence))
        assert slots <= sign.pattern.groupindex.keys(), sign.reference
        assert re.fullmatch(r"[a-z0-9-]+", sign.reference)


def test_ten_megabytes_in_a_second() -> None:
    chooser = random.Random(7)
    words = [
        "slot",
        "update_slots:",
        "print_timing",
        "eval",
        "error",
        "failed to",
        "template",
        "prompt",
        "0.32",
        "MiB",
    ]
    line = "0.12.345.678 W srv  "
    log = "\n".join(line + " ".join(chooser.choices(words, k=12)) for _ in range(100_000)).encode()
    assert len(log) > 9_000_000
    started = time.process_time()
    find_cause(log_lines(io.BytesIO(log)))
    assert time.process_time() - started < 3  # about one second on an idle core, more where two share it


def test_one_line_of_a_hundred_megabytes() -> None:
    class Endless(io.RawIOBase):
        left = 100 * 1024**2

        def read(self, size: int = -1) -> bytes:
            taken = min(size, self.left)
            self.left -= taken
            return b"error " * (taken // 6) + b"x" * (taken % 6)

    started = time.process_time()
    found = list(log_lines(Endless()))  # type: ignore[arg-type]
    assert len(found) == 1 and len(found[0]) <= LINE_LIMIT
    assert time.process_time() - started < 5


@given(st.lists(st.text(alphabet="ab \r\n\té\ufffd漢", max_size=30)))
def test_lines_are_the_log_s_lines(parts: list[str]) -> None:
    text = "\n".join(parts)
    expected = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    assert list(log_lines(io.BytesIO(text.encode()))) == expected


@given(st.binary(max_size=4000))
def test_any_bytes_can_be_read(data: bytes) -> None:
    find_cause(log_lines(io.BytesIO(data)), foreign=frozenset({"x"}))


PIECES = [
    "error loading model: ", "unknown model architecture: '", "invalid magic characters: '", "std::bad_alloc",
    "CUDA error: ", "out of memory", "failed to allocate ", "GGML_ASSERT(", ") failed", "what():  ",
    "template", "'", "0.00.000.001 E ", "model loaded", "common_fit_params: failed to fit", "{name}", "{}",
    "%s", "\x1b[31m", "\x00",
]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map("".join), max_size=8))
def test_mixtures_of_real_wordings_can_be_read(lines: list[str]) -> None:
    found = find_cause(lines)
    if found is not None:
        assert found.sentence and all(line in lines for line in found.evidence)
