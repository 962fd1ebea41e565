"""Pre-flight refuses what ends an engine and nothing that works; the real engine is asked about each file."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from tests.model import trials
from tests.model.engine_trial import Outcome, try_files
from tests.model.writing import STRING, TensorSpec, build, llama_pairs, llama_tensors, tiny_llama

from bringup.errors import ModelFileError
from bringup.model.gguf import read_header
from bringup.model.preflight import check, check_model
from bringup.model.problem import Gravity, Problem
from bringup.model.shards import assemble
from bringup.model.source import BufferSource

RANDOM_FILES = 2_000 if os.environ.get("BRINGUP_SOAK") else 200
ALL = {**trials.SOUND, **trials.WARNED, **trials.REFUSED, **trials.REFUSED_THOUGH_LOADED}


def verdict(data: bytes | bytearray) -> tuple[Problem, ...] | ModelFileError:
    """What is said of a file before an engine sees it."""
    try:
        return check_model(assemble((read_header(BufferSource(data, name="made.gguf")),)))
    except ModelFileError as problem:
        return problem


def is_refused(said: tuple[Problem, ...] | ModelFileError) -> bool:
    return isinstance(said, ModelFileError) or any(one.gravity is Gravity.REFUSED for one in said)


@pytest.mark.parametrize("name", [*trials.SOUND])
def test_sound_files_pass_without_a_word(name: str) -> None:
    assert verdict(tiny_llama(**trials.SOUND[name]).data) == ()


@pytest.mark.parametrize("name", [*trials.WARNED])
def test_misleading_files_are_warned_of(name: str) -> None:
    said = verdict(tiny_llama(**trials.WARNED[name]).data)
    assert isinstance(said, tuple)
    assert [one.gravity for one in said] == [Gravity.WARNING]


@pytest.mark.parametrize("name", [*trials.REFUSED, *trials.REFUSED_THOUGH_LOADED])
def test_killers_are_refused_with_what_was_expected_and_found(name: str) -> None:
    said = verdict(tiny_llama(**ALL[name]).data)
    assert is_refused(said)
    if isinstance(said, tuple):
        assert said[0].gravity is Gravity.REFUSED  # the gravest first
        assert all(one.message and one.expected and one.found and one.reference for one in said)


def test_what_the_header_shows_without_the_metadata() -> None:
    cut = tiny_llama()
    header = read_header(BufferSource(cut.data[:-1000]))
    assert [one.reference for one in check(header)] == ["gguf-cut-short"]
    empty = build(llama_pairs(), [*llama_tensors(), TensorSpec("blk.1.x", (0,))])
    assert "empty-tensor" in [one.reference for one in check(read_header(BufferSource(empty.data)))]
    big = build(llama_pairs(), llama_tensors(), order=">")
    assert "byte-swapped" in [one.reference for one in check(read_header(BufferSource(big.data)))]
    projector = build([("general.architecture", STRING, "clip")])
    assert [one.reference for one in check(read_header(BufferSource(projector.data)))] == [
        "not-a-language-model"
    ]


def test_an_unknown_architecture_is_a_warning_because_a_newer_engine_may_know_it() -> None:
    pairs = [(key.replace("llama.", "novel."), kind, value) for key, kind, value in llama_pairs()]
    pairs[0] = ("general.architecture", STRING, "novel")
    said = check(read_header(BufferSource(build(pairs, llama_tensors()).data)))
    assert [(one.reference, one.gravity) for one in said] == [("architecture-unknown", Gravity.WARNING)]


def test_the_real_small_model_is_sound(small_model: Path) -> None:
    with small_model.open("rb") as handle:
        data = handle.read(4 * 1024**2)
    source = BufferSource(data, name=str(small_model), size_bytes=small_model.stat().st_size)
    assert check(read_header(source)) == ()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What the real engine does with each file of the tables."""
    folder = tmp_path_factory.mktemp("trials")
    files = []
    for number, changes in enumerate(ALL.values()):
        path = folder / f"{number}.gguf"
        path.write_bytes(tiny_llama(**changes).data)
        files.append(path)
    return dict(zip(ALL, try_files(files), strict=True))


@pytest.mark.parametrize("name", [*trials.SOUND, *trials.WARNED, *trials.REFUSED_THOUGH_LOADED])
def test_the_engine_loads_what_is_not_refused_for_its_sake(name: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name].kind == "loaded", outcomes[name]


@pytest.mark.parametrize("name", [*trials.REFUSED])
def test_the_engine_does_not_work_with_what_is_refused(name: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name].kind in ("died", "error")


def test_the_tables_hold_files_that_end_the_engines_process(outcomes: dict[str, Outcome]) -> None:
    """Else this file would prove nothing about killers."""
    assert sum(outcome.kind == "died" for outcome in outcomes.values()) >= 15


def near_sound(rng: random.Random) -> bytes:
    """The tiny llama with one or two fields overwritten; nothing moves, so that its weights stay in place."""
    built = tiny_llama()
    data, end = bytearray(built.data), built.marks["data"]
    marks = list(built.marks.values())
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.choice(marks) if rng.random() < 0.5 else rng.randrange(end)
        value = (
            rng.randbytes(1),
            rng.randbytes(2),
            rng.choice((0, 1, 2, 3, 5, 7, 2**31 - 1, 2**31, 2**32 - 1)).to_bytes(4, "little"),
            rng.choice((0, 1, 2**31, 2**63, 2**64 - 1)).to_bytes(8, "little"),
        )[rng.randrange(4)][: max(0, end - at)]
        data[at : at + len(value)] = value
    return bytes(data)


def test_no_random_file_that_is_called_sound_ends_the_engine(tmp_path: Path) -> None:
    rng = random.Random(25_821)
    paths = []
    refused = 0
    while len(paths) < RANDOM_FILES:
        data = near_sound(rng)
        if is_refused(verdict(data)):
            refused += 1
            continue
        paths.append(tmp_path / f"{len(paths)}.gguf")
        paths[-1].write_bytes(data)
    ends = Counter(outcome.kind for outcome in try_files(paths))
    assert ends["died"] == 0
    assert ends["loaded"] > RANDOM_FILES // 2
    assert refused > RANDOM_FILES // 4
