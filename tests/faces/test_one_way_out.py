"""No module of the faces but the console writes to a stream, so that nothing goes around the cleaner."""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path

import pytest

import bringup.faces
from bringup.__main__ import keep_interrupt

FACES = Path(bringup.faces.__file__).parent
CONSOLE = FACES / "render" / "console.py"
FORBIDDEN_CALLS = {"print", "print_formatted_text", "input"}
FORBIDDEN_MEMBERS = {
    "click": {"echo", "secho", "style", "confirm", "prompt", "echo_via_pager", "progressbar"},
    "sys": {"stdout", "stderr", "__stdout__", "__stderr__"},
}


def ways_around(source: str) -> list[str]:
    """Places in a module's source that write, or could, without the console."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS:
            found.append(f"{node.lineno}: {node.id}")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in FORBIDDEN_MEMBERS.get(node.value.id, set()):
                found.append(f"{node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            module = node.module or ""
            if names & FORBIDDEN_MEMBERS.get(module, set()):
                found.append(f"{node.lineno}: from {module} import {', '.join(sorted(names))}")
    return found


@pytest.mark.parametrize("path", sorted(set(FACES.rglob("*.py")) - {CONSOLE}), ids=lambda path: path.name)
def test_only_the_console_writes(path: Path) -> None:
    assert ways_around(path.read_text()) == []


@pytest.mark.parametrize(
    "planted",
    [
        "print('x')",
        "import click\nclick.echo('x')",
        "from click import echo",
        "import sys\nsys.stdout.write('x')",
        "from sys import stderr",
        "from prompt_toolkit import print_formatted_text\nprint_formatted_text('x')",
    ],
)
def test_a_planted_way_around_is_found(planted: str) -> None:
    assert ways_around(planted)


def test_a_ctrl_c_that_python_drops_in_a_finaliser_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", keep_interrupt)

    class Held:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Held()
        threading.Event().wait(60)
