"""Searching lines by words and offsets finds exactly what a plain walk finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.stack import lines as lines_module
from bringup.stack.lines import Line, Lines
from bringup.stack.raw_text import split_lines

WORDS = st.sampled_from(
    ["error", "Error", "cuda", "CUDA error", "0x1f", "79", "é", "İ", "_a", "a_b", " ", ":"]
)
TEXTS = st.lists(st.lists(WORDS, max_size=6).map("".join), max_size=12)
ANCHORS = st.lists(WORDS, min_size=1, max_size=3).map(lambda parts: "".join(parts).lower())


@pytest.fixture(params=[0, 200_000], ids=["by words", "plain"], scope="module", autouse=True)
def threshold(request: pytest.FixtureRequest) -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr(lines_module, "_VOCABULARY_ABOVE_CHARACTERS", request.param)
    yield
    patch.undo()


@given(TEXTS, ANCHORS)
def test_it_finds_what_a_walk_finds(texts: list[str], anchor: str) -> None:
    made = Lines(tuple(Line(number, text, "x") for number, text in enumerate(texts, start=1)))
    naive = tuple(line for line in made.lines if anchor in line.text.lower())
    assert made.with_anchor(anchor) == naive
    assert made.has(anchor) == bool(naive)
    assert made.has_any("no such thing", anchor) == bool(naive)
    pattern = "[Ee]rr|cud"
    matching = [line for line in naive if re.search(pattern, line.text)]
    first, last = made.search(pattern, anchor=anchor), made.last(pattern, anchor=anchor)
    assert (first and first[0]) == (matching[0] if matching else None)
    assert (last and last[0]) == (matching[-1] if matching else None)


def test_a_long_log_keeps_the_first_and_the_last_of_a_shape_and_each_single_line() -> None:
    many = [f"slot {n} done in {n * 7} ms" for n in range(60_000)]
    many.insert(31_000, "CUDA error: out of memory")
    kept = split_lines("\n".join(many), source="log")
    texts = [line.text for line in kept.lines]
    assert len(texts) < 200
    assert texts[0] == many[0]
    assert texts[-1] == many[-1]
    (found,) = kept.with_anchor("cuda error")
    assert found.number == 31_001
