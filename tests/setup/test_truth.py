"""A bar on truth: a card in the machine, an engine without it, and nothing reads as "on the GPU"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, run_cli

from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known
from bringup.stack.build import probe_build
from bringup.stack.hardware import probe_hardware

CASES = Path(__file__).parents[1] / "cases"
CLAIM = re.compile(
    r"(?:runs?|running|computes?|loaded|layers?|uses?|using) (?:\w+ ){0,3}(?:on|with) (?:the |your |a )?"
    r"(?:GPU|card|CUDA)|GPU (?:is )?(?:in use|used)|offloaded",
    re.IGNORECASE,
)
DENIAL = re.compile(r"\b(?:not?|never|without|cannot|instead|only|CPU|whether|should|would)\b", re.IGNORECASE)


def machines_with_a_card_and_a_cpu_engine() -> list[str]:
    found = []
    for case in sorted(CASES.glob("*/*")):
        if (case / "root").is_dir():
            machine = RecordedMachine(str(case))
            engines = probe_build(machine).engines
            backends = [one.backends for one in engines.value] if isinstance(engines, Known) else []
            is_cpu = bool(backends) and all(isinstance(b, Known) and b.value == ("cpu",) for b in backends)
            if is_cpu and probe_hardware(machine).nvidia_devices:
                found.append(f"{case.parent.name}/{case.name}")
    return found


NAMES = machines_with_a_card_and_a_cpu_engine()


def claims(text: str) -> list[str]:
    """Sentences that can be read as a claim that something runs on the card."""
    sentences = re.split(r"(?<=[.:;])\s|\n\s*\n|\n", text)
    return [one.strip() for one in sentences if CLAIM.search(one) and not DENIAL.search(one)]


def test_there_are_such_machines() -> None:
    assert len(NAMES) >= 2, NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", [("doctor",), ("doctor", "--verbose"), ("doctor", "--json")])
def test_nothing_claims_the_card(name: str, words: tuple[str, ...], own_home: Path) -> None:
    done = run_cli(Home(own_home), *words, "--from", str(CASES / name))
    assert done.returncode in (1, 3), "a machine whose engine leaves its card alone is not in order"
    assert claims(done.stdout) == []


def test_the_judge_can_judge() -> None:
    """Of these, two are claims."""
    said = "The model runs on the GPU. 31 layers offloaded to it. It runs on the CPU, not on the GPU."
    assert len(claims(said)) == 2
