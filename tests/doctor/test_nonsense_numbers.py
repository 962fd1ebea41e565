"""Whatever stands where a pasted line has a number, no rule and no reader of ours falls over it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bringup.stack
from bringup.actions.diagnosis.doctor import examine_text
from bringup.faults._catalogue import load_catalogue

NONSENSE = ("99999999999999999999", "1.2.3.4.5.6", "570...", "1e999", "\u00b2", "")
NUMBER = re.compile(r"\d[\d.]*")
RAW = re.compile(r"Raw (?:line|lines|text|piece|row)s?: (.+?)\.?$", re.MULTILINE)


def raw_lines() -> list[str]:
    """The raw lines that the readers of the stack show in their docstrings, one for each number in them."""
    found = []
    for path in sorted(Path(bringup.stack.__path__[0]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for said in RAW.findall(ast.get_docstring(node) or ""):
                    found += re.findall(r"`([^`]+)`", said)
    return found


def test_there_are_raw_lines() -> None:
    assert len(raw_lines()) >= 80


def crashed(lines: list[str]) -> object:
    return examine_text("\n".join(lines), subject="a made paste").diagnosis.crashed


def examples() -> list[str]:
    return [sign.example for fault in load_catalogue() for sign in fault.signs]


def with_last_number(line: str, nonsense: str) -> str:
    return re.sub(r"\d[\d.]*(?=\D*$)", nonsense, line)


@pytest.mark.parametrize("nonsense", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_in_the_place_of_numbers_is_read_or_passed_over(nonsense: str) -> None:
    lines = [*examples(), *raw_lines()]
    assert crashed([NUMBER.sub(nonsense, line) for line in lines]) == ()
    assert crashed([with_last_number(line, nonsense) for line in lines]) == ()


def test_more_digits_than_python_reads_are_passed_over() -> None:
    assert crashed([with_last_number(line, "9" * 4301) for line in (*examples()[::8], *raw_lines())]) == ()


def test_each_reader_alone_passes_over_a_version_that_is_none() -> None:
    """A reader takes the first or the last of its lines: here it has one."""
    for line in raw_lines():
        if "ersion" in line or " MiB" in line:
            assert crashed([NUMBER.sub("570...", line)]) == ()
