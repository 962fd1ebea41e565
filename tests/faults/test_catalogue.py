"""Walks all faults: what each must have, and what they may not do to each other."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time

import pytest
from tests.faults.cases import all_cases

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import _reach, match_signs
from bringup.faults._fault import Fault, Safety, Sign, Slot, Step
from bringup.faults._redirects import REDIRECTS
from bringup.faults._scene import Scene
from bringup.stack.lines import Line, Lines

FAULTS = load_catalogue()
IDS = {fault.id for fault in FAULTS}
GRAPH = {fault.id: fault.explains for fault in FAULTS}
BANNED = re.compile("|".join((Path(__file__).parent / "banned_ids.txt").read_text().split()))
SIGNS = [
    pytest.param(fault, sign, id=f"{fault.id}-{number}")
    for fault in FAULTS
    for number, sign in enumerate(fault.signs)
]


def by_fault(fault: Fault) -> str:
    return fault.id


def lines_of(*texts: str) -> Lines:
    return Lines(tuple(Line(number, text, "test") for number, text in enumerate(texts, start=1)))


@pytest.mark.parametrize("fault", FAULTS, ids=by_fault)
def test_a_fault_has_what_a_page_needs(fault: Fault) -> None:
    assert not BANNED.match(fault.id)
    assert fault.sources
    assert fault.signs or fault.check is not None
    assert fault.steps
    assert fault.title
    assert not fault.title.endswith(".")
    for text in (fault.symptom, fault.reason, fault.limits):
        assert not re.match(r"(?:an?|the|one|each|when|where|it|on|in|with|without|if|for|most) ", text), text


@pytest.mark.parametrize("fault", FAULTS, ids=by_fault)
def test_a_fault_has_a_case_that_fires_and_a_near_miss(fault: Fault) -> None:
    own = [case for case in all_cases() if case.fault_id == fault.id]
    assert any(fault.id in case.expected for case in own), "no case that fires"
    assert any(fault.id not in case.expected for case in own), "no near miss"


@pytest.mark.parametrize(("fault", "sign"), SIGNS)
def test_an_example_matches_its_own_sign(fault: Fault, sign: Sign) -> None:
    match = re.search(sign.pattern, sign.example)
    assert match is not None
    assert sign.anchor
    assert sign.anchor == sign.anchor.lower()
    assert sign.anchor in match.group(0).lower()
    lines = lines_of(sign.example, *sign.needs)
    assert match_signs((sign,), Scene(lines=lines)) is not None, "its own needs or unless silence it"


@pytest.mark.parametrize(("fault", "sign"), SIGNS)
def test_an_example_matches_no_unrelated_fault(fault: Fault, sign: Sign) -> None:
    scene = Scene(lines=lines_of(sign.example))
    related = {fault.id} | _reach(fault.id, GRAPH)
    others = [
        other.id
        for other in FAULTS
        if other.id not in related
        and fault.id not in _reach(other.id, GRAPH)
        and match_signs(other.signs, scene)
    ]
    assert others == []


@pytest.mark.parametrize(("fault", "sign"), SIGNS)
def test_a_sign_is_quick_on_hostile_lines(fault: Fault, sign: Sign) -> None:
    hostile = (
        (sign.anchor * 4000)[:4000],
        "a" * 4000,
        "0" * 4000,
        f"{sign.anchor} " + "x: " * 1300,
        " " * 4000,
    )
    took_s = [1.0]
    while len(took_s) <= 5 and took_s[-1] >= 0.2:
        started_s = process_time()
        for line in hostile:
            re.search(sign.pattern, line)
        took_s.append(process_time() - started_s)
    assert min(took_s) < 0.2


def all_steps() -> list[tuple[Fault, Step]]:
    return [(fault, step) for fault in FAULTS for step in fault.steps]


@pytest.mark.parametrize(("fault", "step"), all_steps(), ids=lambda item: getattr(item, "id", None))
def test_a_step_is_a_closed_command(fault: Fault, step: Step) -> None:
    for word in (*step.command, *step.verify):
        assert isinstance(word, Slot) or not re.search(r"[;&|<>`$\n]", word)
    assert "sudo" not in step.command[:1]
    if step.safety in (Safety.RISKY, Safety.DISRUPTIVE) and step.command:
        assert step.undo or step.touches
    if step.safety is Safety.RISKY:
        assert step.undo
    for slot, value in step.values:
        assert re.fullmatch(slot.value, value)
    what_is_touched = re.split("[:;,]", step.touches)[0]
    assert not re.search(r"^installs\b|\bends?\b|(?<!that )\bare\b|\bthen runs\b", what_is_touched)


@pytest.mark.parametrize("fault", FAULTS, ids=by_fault)
def test_a_fault_explains_only_what_can_follow(fault: Fault) -> None:
    layers = {other.id: other.layer for other in FAULTS}
    assert set(fault.explains) <= IDS
    assert [name for name in fault.explains if layers[name] < fault.layer] == []
    assert fault.id not in _reach(fault.id, GRAPH), "a cycle"


def test_redirects_lead_to_faults_and_reuse_no_id() -> None:
    assert set(REDIRECTS.values()) <= IDS
    assert not set(REDIRECTS) & IDS


def test_ids_are_unique() -> None:
    assert len(IDS) == len(FAULTS)


def test_every_published_id_still_leads_to_a_fault() -> None:
    """An id is a page, an argument and a journal's key: a fault that is renamed leaves a redirect."""
    published = (Path(__file__).parent / "published_ids.txt").read_text().split()
    assert [name for name in published if name not in IDS and name not in REDIRECTS] == []
    assert sorted(IDS - set(published)) == [], "add new ids to published_ids.txt"
