"""The pages: each is whole, each can be found, each renders on every machine and leaves no hole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.doctor.schema import load_schema, problems
from tests.faults.cases import all_cases
from tests.stubs.command_line import Home, run_cli

from bringup.actions.diagnosis.facts import Fact, Seen, list_facts
from bringup.actions.explaining.explain import (
    _RUN_NAMES,
    Explanation,
    _figures,
    _unknown_figures,
    explain_on,
    explain_with,
    is_of,
)
from bringup.actions.explaining.terms_reader import LEVELS, Term, find_term, load_terms, parse_term
from bringup.errors import WrongUse
from bringup.faces.render.explain import explanation_json, render_explanation
from bringup.faces.render.facts import fact_title
from bringup.faults._catalogue import find_fault
from bringup.machine.folders import our_folders
from bringup.machine.live import LiveMachine
from bringup.machine.recorded import RecordedMachine
from bringup.stack.probe import probe_stack
from bringup.stack.stack import Stack

FOUNDING = (
    *("LLM", "prompt", "weights", "KV cache", "context window"),
    *("GPU", "RTX series", "NVIDIA driver", "kernel driver", "CUDA", "nvcc", "nvidia-smi", "NVML"),
    *("kernel", "processes", "memory", "RAM", "hotel", "cache", "driver", "kernel module", ".ko"),
    *("kernel space", "ring 0", "user space", "user-space libraries"),
)
SPOKEN_OF = (
    *("token", "template", "harmony", "GGUF", "quantisation", "quantization", "MXFP4", "mixture of experts"),
    *(
        "MoE",
        "layer",
        "attention",
        "grouped heads",
        "sliding window",
        "flash attention",
        "mmap",
        "page cache",
    ),
    *("mlock", "VRAM", "offload", "batch", "micro-batch", "slot", "prefill", "decode", "memory bandwidth"),
    *("roofline", "compute capability", "PCIe link", "power limit", "Xid", "ECC", "DKMS", "secure boot"),
    *("nouveau", "persistence mode", "container toolkit", "CDI", "cgroup"),
)


@pytest.mark.parametrize("words", [*FOUNDING, *SPOKEN_OF])
def test_every_term_of_the_founding_log_and_of_the_tool_has_a_page(words: str) -> None:
    assert find_term(words).text
    assert find_term(words.upper()) is find_term(words)


def test_there_are_sixty_at_least_in_the_order_of_learning() -> None:
    terms = load_terms()
    assert len(terms) >= 60
    levels = [LEVELS.index(term.level) for term in terms]
    assert levels == sorted(levels)
    places = [(term.level, term.order) for term in terms]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("term", load_terms(), ids=lambda term: term.id)
def test_a_page_is_whole(term: Term) -> None:
    ids = {one.id for one in load_terms()}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", term.id)
    assert set(term.see) <= ids - {term.id}
    assert term.see
    for fault_id in term.faults:
        fault = find_fault(fault_id)
        assert fault is not None
        assert fault.id == fault_id
    assert term.facts or term.here, "nothing of it could be shown on a machine"
    assert term.look or not term.facts, "a fact needs a command that shows it"
    assert all(name == "models" or name.removeprefix("run.") in _RUN_NAMES for name in term.here)
    assert re.fullmatch(r"https://\S+", term.source)
    assert 150 < len(term.text) < 900
    assert 30 < len(term.try_it) < 400
    assert not re.search(r"(?<![-\w])rm ", term.try_it)
    assert "sudo" not in term.try_it


def test_words_for_one_page_lead_to_no_other() -> None:
    seen: dict[str, str] = {}
    for term in load_terms():
        for word in (term.id, term.title, *term.also):
            key = re.sub(r"[\s_-]+", " ", word.casefold()).strip(" .")
            assert seen.setdefault(key, term.id) == term.id, word


def test_facts_that_pages_ask_for_exist_somewhere() -> None:
    seen: list[Fact] = []
    for case in all_cases():
        if case.is_machine:
            stack = probe_stack(RecordedMachine(str(case.folder))).stack
            seen += list_facts(stack)
    wanted = {name for term in load_terms() for name in term.facts}
    assert {name for name in wanted if not any(is_of(one, name) for one in seen)} == set()


def plain_lines(found: Explanation) -> list[str]:
    return [
        "".join(getattr(piece, "text", str(piece)) for piece in line) for line in render_explanation(found)
    ]


MACHINES = [case for case in all_cases() if case.is_machine]


def check_page(term: Term, found: Explanation) -> None:
    """Whole, with every fact and figure that the page asks for shown, or named as what is not there."""
    lines = plain_lines(found)
    text = "\n".join(lines)
    assert all(heading in text for heading in ("On this machine", "What goes wrong with it", "Try it"))
    here = text.partition("On this machine\n")[2].partition("\n\nWhat goes wrong")[0]
    assert here.strip(), term.id
    for wanted in term.facts:
        shown = [fact for fact in found.facts if is_of(fact, wanted)]
        assert shown or f"{wanted}: nothing of it could be looked at here" in here, (term.id, wanted)
    for fact in found.facts:
        said = in_one_line(here).partition(f"{fact_title(fact)}: ")[2]
        assert said and not said.startswith("["), (term.id, fact.name)
        if fact.seen is not Seen.KNOWN:
            assert said.startswith(("not there", f"could not be seen: {fact.why}"[:40])), (term.id, fact.name)
    assert len(found.figures) == len(term.here), term.id
    assert max(map(len, lines)) <= 110, term.id


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("case", MACHINES, ids=lambda case: case.name)
def test_every_page_renders_on_a_recorded_machine(case: object) -> None:
    facts = list_facts(probe_stack(RecordedMachine(str(case.folder))).stack)  # type: ignore[attr-defined]
    schema = load_schema("explain")
    for number, term in enumerate(load_terms()):
        found = explain_with(term, facts, figures=tuple(_unknown_figures(term)))
        check_page(term, found)
        if number % 8 == len(facts) % 8:
            assert problems(json.loads(json.dumps(explanation_json(found))), schema) == [], term.id


def test_every_page_renders_on_this_machine(own_home: Path) -> None:
    """The real one that the tests run on; in most places it has no card."""
    facts = list_facts(probe_stack(LiveMachine()).stack)
    place = our_folders()
    for term in load_terms():
        check_page(term, explain_with(term, facts, figures=tuple(_figures(term, None, place))))


def test_where_nobody_looked_nothing_is_made_up() -> None:
    found = explain_on(find_term("vram"), Stack())
    assert found.facts == ()
    assert found.missing == ("nvml cards",)
    lines = render_explanation(found)
    assert any("nothing of it could be looked at here" in str(line) for line in lines)


def test_an_unknown_term_is_told_with_the_nearest() -> None:
    with pytest.raises(WrongUse, match="no page") as caught:
        find_term("kv cahce")
    assert "KV cache" in caught.value.hint
    with pytest.raises(WrongUse) as caught:
        find_term("")
    assert "lists all terms" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# A\n",
        "# A\nlevel: hardware 1\n\nText\n",
        "# A\nlevel: cellar 1\nsource: https://x\n\nT\n\n## Try it\nx\n",
    ],
)
def test_a_page_that_lacks_a_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a\.md"):
        parse_term("a", text)


def test_the_commands(own_home: Path) -> None:
    home = Home(own_home)
    page = run_cli(home, "explain", "kv", "cache")
    assert page.returncode == 0
    assert "KV cache of the last run: none yet" in page.stdout
    value = json.loads(run_cli(home, "explain", "vram", "--json").stdout)
    assert problems(value, load_schema("explain")) == []
    terms = json.loads(run_cli(home, "explain", "--json").stdout)
    assert problems(terms, load_schema("terms")) == []
    assert len(terms["terms"]) == len(load_terms())
    assert run_cli(home, "learn", "note", "vram", "mine", "has", "12", "GiB").returncode == 0
    assert "mine has 12 GiB" in run_cli(home, "explain", "vram").stdout
    exported = run_cli(home, "log", "export").stdout
    assert re.search(r"- \*\*vram\*\* \(\d+/\d+/\d\d\): mine has 12 GiB", exported)
    assert run_cli(home, "explain", "no-such-thing-at-all").returncode == 2
    assert run_cli(home, "learn", "note", "nothing-such", "x").returncode == 2
