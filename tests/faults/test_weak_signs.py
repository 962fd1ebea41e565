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
