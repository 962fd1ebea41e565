"""What people tell in their own words is found in such sentences, quickly, and not in logs."""

from __future__ import annotations

import re
from time import process_time

import pytest

from bringup.stack.lines import Lines
from bringup.stack.raw_text import split_lines
from bringup.stack.told import LIMIT_CHARACTERS, Telling, Told, read_told, tellings

TELLINGS = [
    pytest.param(one, id=f"{told.name}-{number}")
    for told, ones in tellings().items()
    for number, one in enumerate(ones)
]
LIMIT_S = 0.2


def lines_of(text: str) -> Lines:
    return split_lines(text, source="test")


@pytest.mark.parametrize("telling", TELLINGS)
def test_an_example_tells_its_own_thing(telling: Telling) -> None:
    match = re.search(telling.pattern, telling.example.lower())
    assert match is not None
    assert telling.anchor == telling.anchor.lower()
    assert telling.anchor in telling.example.lower()
    assert read_told(lines_of(telling.example)).line(telling.told) is not None


def test_each_thing_has_words() -> None:
    assert tellings().keys() == set(Told)


@pytest.mark.parametrize("telling", TELLINGS)
def test_a_pattern_is_quick_on_hostile_text(telling: Telling) -> None:
    match = re.search(telling.pattern, telling.example.lower())
    assert match is not None
    begun = match[0][: len(match[0]) * 2 // 3]
    for unit in (begun, f"{begun} ", telling.anchor, f"{telling.anchor} x ", "a", "no ", "0 ", "- "):
        text = (unit * LIMIT_CHARACTERS)[:LIMIT_CHARACTERS]
        took_s = []
        while len(took_s) < 5:
            started_s = process_time()
            re.search(telling.pattern, text)
            took_s.append(process_time() - started_s)
            if took_s[-1] < LIMIT_S:
                break
        assert min(took_s) < LIMIT_S, unit


def test_the_line_is_the_one_that_tells() -> None:
    told = read_told(lines_of("Hello,\n\nAfter a kernel upgrade my RTX 3060 is gone.\nThanks\n"))
    line = told.line(Told.KERNEL_CHANGED)
    assert line is not None and line.number == 3


def test_a_long_log_is_nobodys_words() -> None:
    sentence = "After a kernel update the screen stays black.\n"
    log = sentence + "x" * 100 + ("\n" + "y" * 100) * (LIMIT_CHARACTERS // 100)
    assert read_told(lines_of(sentence)).line(Told.NO_PICTURE) is not None
    assert read_told(lines_of(log)).line(Told.NO_PICTURE) is None


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("upgrading vLLM broke the CUDA kernel that we compile", Told.KERNEL_CHANGED),
        ("please restart the notebook kernel after the upgrade", Told.KERNEL_CHANGED),
        ("kernel: usb 1-1: new high-speed device", Told.KERNEL_CHANGED),
        ("GPU Slowdown Temp                 : 95 C", Told.TOO_HOT),
        ("|  0%   41C    P8    11W / 170W |", Told.TOO_HOT),
        ("lspci shows the card", Told.NOT_LISTED),
        ("nvidia-smi shows the card and all is fine", Told.SMI_HANGS),
        ("the desktop works as a charm", Told.ROOT_ONLY),
    ],
)
def test_words_that_tell_something_else(sentence: str, told: Told) -> None:
    assert read_told(lines_of(sentence)).line(told) is None
