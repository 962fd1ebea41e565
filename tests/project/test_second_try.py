"""The second try of a few failed tests: what raced passes and is named, what fails fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tools.second_try import MOST, second_try

RACED = """
from pathlib import Path

def test_it():
    first = not Path("seen").exists()
    Path("seen").touch()
    assert not first
"""


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs in these tests need none of the installed ones, which take most of a second to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run_all(folder: Path) -> int:
    """A whole run as `scripts/test` makes it, in a folder of its own."""
    return subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=folder, capture_output=True).returncode


@pytest.mark.parametrize(("body", "status"), [(RACED, 0), ("def test_it():\n    assert False\n", 1)])
def test_what_raced_passes_and_what_fails_fails(tmp_path: Path, body: str, status: int) -> None:
    (tmp_path / "test_made.py").write_text(body)
    first = run_all(tmp_path)
    assert first == 1
    assert second_try(first, tmp_path) == status


def test_many_failures_get_no_second_try(tmp_path: Path) -> None:
    one = "def test_{n}():\n    open('runs', 'a').write('.')\n    assert False\n"
    (tmp_path / "test_made.py").write_text("".join(one.format(n=n) for n in range(MOST + 1)))
    assert run_all(tmp_path) == 1
    assert second_try(1, tmp_path) == 1
    assert (tmp_path / "runs").read_text() == "." * (MOST + 1)


@pytest.mark.parametrize("status", [2, 3, 4, 5])
def test_a_run_that_ended_otherwise_keeps_its_status(tmp_path: Path, status: int) -> None:
    assert second_try(status, tmp_path) == status


def test_without_a_list_of_failures_the_status_stays(tmp_path: Path) -> None:
    assert second_try(1, tmp_path) == 1
