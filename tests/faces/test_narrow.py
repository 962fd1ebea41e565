"""Pages on a narrow terminal: their sentences break between words, not where the terminal cuts them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.actions.explaining.explain import explain_on
from bringup.actions.explaining.terms_reader import load_terms
from bringup.faces.cli import main
from bringup.faces.render.console import Console
from bringup.faces.render.explain import render_explanation, render_map
from bringup.faces.render.faults import render_fault, render_list
from bringup.faults._catalogue import load_catalogue
from bringup.stack.stack import Stack

COLUMNS = 40
MORNING = Path(__file__).parent.parent / "cases/driver-library-mismatch/morning"


def too_long(lines: list[str]) -> list[str]:
    """Lines that run over; a command is copied whole, and an address or an id cannot break."""
    return [
        line
        for line in lines
        if len(line) > COLUMNS and not line.lstrip().startswith(("$ ", "[")) and " " in line.strip()
        if not line.startswith("Source: ")
    ]


def plain(lines: object) -> list[str]:
    return ["".join(getattr(piece, "text", str(piece)) for piece in line) for line in lines]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor", "--from", str(MORNING)),
        ("fix", "driver-library-mismatch", "--dry-run", "--from", str(MORNING)),
        ("explain", "kv-cache", "--from", str(MORNING)),
        ("faults", "driver-library-mismatch"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_keeps_to_the_terminals_columns(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    stdout = io.StringIO()
    main.run(arguments, console=Console(stdin=None, stdout=stdout, stderr=io.StringIO()))
    assert len(stdout.getvalue().splitlines()) > 20
    assert too_long(stdout.getvalue().splitlines()) == []


def test_help_keeps_to_them_too() -> None:
    environment = {**os.environ, "COLUMNS": str(COLUMNS)}
    argv = [sys.executable, "-m", "bringup", "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=True, timeout=60)
    assert max(map(len, done.stdout.splitlines())) <= COLUMNS
    assert "  explain     Explain a term with" in done.stdout


def test_every_fault_and_every_term_keeps_to_them_too() -> None:
    terms = load_terms()
    for fault in load_catalogue():
        assert too_long(plain(render_fault(fault, COLUMNS))) == [], fault.id
    for term in terms:
        assert too_long(plain(render_explanation(explain_on(term, Stack()), COLUMNS))) == [], term.id
    listed = plain(render_list(load_catalogue(), width_columns=COLUMNS))
    assert too_long(listed) == []
    assert "    The model's weights do not fit into" in listed
    assert too_long(plain(render_map(tuple((term, 1) for term in terms), COLUMNS))) == []
