"""A short run of the fuzz targets by plain random mutation, without atheris."""

from __future__ import annotations

import os
import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import gguf_target
from tests.model.damage import mutated
from tests.model.writing import tiny_llama

RUNS = 20_000 if os.environ.get("BRINGUP_SOAK") else 500


def test_files_near_a_sound_one() -> None:
    built, rng = tiny_llama(), random.Random(2_605)
    ends = {gguf_target.read_everything(mutated(built, rng)) for _ in range(RUNS)}
    assert ends == {True, False}


@given(st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes) -> None:
    gguf_target.one_input(data)
    gguf_target.one_input(b"GGUF\x03\0\0\0" + data)


def test_the_seeds_of_a_corpus_hold_the_sound_file(tmp_path: Path) -> None:
    gguf_target.write_seeds(tmp_path / "corpus")
    sound = (tmp_path / "corpus" / "sound").read_bytes()
    assert len(list((tmp_path / "corpus").iterdir())) == gguf_target.SEEDS + 1
    assert len(sound) > 1000
    gguf_target.one_input(sound)
