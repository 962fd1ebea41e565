"""Weak signs: a person's own words count only where nothing that a program printed tells of a fault."""

from __future__ import annotations

import pytest

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._fault import Certainty, Fault, Sign
from bringup.faults._scene import Scene
from bringup.stack.pasted import read_pasted

WEAK = [
    pytest.param(fault, sign, id=f"{fault.id}-{number}")
    for fault in load_catalogue()
    for number, sign in enumerate(fault.signs)
    if sign.is_weak
]
STORY = "Since yesterday ollama does not use my GPU any more."
NO_COMPLAINTS = (
    "How do I run it on CPU instead of the GPU? I want to keep the GPU free for games.",
    "I do not want to use my GPU, how do I force CPU?",
    "llama.cpp can run models on CPU only, on GPU only, or split between the two.",
    "Running on CPU only because the GPU is used for training. Threads: 16.",
    "My GPU is not found by the BIOS when the riser is used.",
    "The download page was very slow. I have a 4090 GPU.",
    "Release notes b9000: fix gibberish output with -sm row, do not use GPU for small batches",
    "Thanks, the gibberish is gone after I updated to b8740.",
    "We benchmarked: prompt caching does not help for single-turn requests, as expected.",
    "The process was killed by the administrator because the maintenance window started.",
    "CPU usage is 100% on one core while GPU is at 95%: is that normal?",
)
PRINTED = "Error: listen tcp 127.0.0.1:11434: bind: address already in use"


def roots_of(text: str) -> list[str]:
    stack, lines = read_pasted(text)
    return [root.fault.id for root in diagnose(Scene(stack, lines), load_catalogue()).roots]


@pytest.mark.parametrize(("fault", "sign"), WEAK)
def test_a_weak_sign_is_likely_and_heard_alone(fault: Fault, sign: Sign) -> None:
    assert sign.certainty is Certainty.LIKELY
    assert roots_of("\n".join((sign.example, *sign.needs)))[:1] == [fault.id]


def test_what_a_program_printed_silences_words() -> None:
    assert roots_of(STORY) == ["running-on-cpu"]
    assert roots_of(f"{STORY}\n{PRINTED}") == ["port-in-use"]


def test_words_in_a_long_log_are_not_heard() -> None:
    assert roots_of("\n".join(["all slots are idle"] * 60 + [STORY])) == []


def test_words_name_the_look_that_decides() -> None:
    stack, lines = read_pasted(STORY)
    (root,) = diagnose(Scene(stack, lines), load_catalogue()).roots
    assert root.evidence.certainty is Certainty.LIKELY
    assert root.evidence.decides == "nvidia-smi"


@pytest.mark.parametrize("text", NO_COMPLAINTS)
def test_a_wish_or_an_explanation_is_no_complaint(text: str) -> None:
    assert roots_of(text) == []
