"""Asking for help costs no heavy import. (How long it takes is measured by benchmarks/startup.py.)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.model.writing import tiny_llama

from bringup.faces.cli.main import COMMANDS

HEAVY = {"prompt_toolkit", "httpx", "httpx2", "huggingface_hub", "xllamacpp", "yaml", "tqdm"}
HEAVY |= {"textual", "rich", "starlette", "uvicorn", "prometheus_client"}
HEAVY_STANDARD = {"asyncio", "email", "http.server", "sqlite3", "ssl", "tomllib", "urllib.request", "zipfile"}
SPARED_BY_A_PLAN = {"concurrent.futures", "decimal", "hashlib", "random", "selectors", "shutil", "statistics"}
SPARED_BY_A_PLAN |= {"base64", "sqlite3", "subprocess", "tomllib", "urllib.parse"}
QUICK = ["--version", "--help", *(f"{entry.name} --help" for entry in COMMANDS), "completion bash"]


def imported_by(arguments: list[str], *, before: str = "pass") -> set[str]:
    """Every module that a run has loaded at its end, less those of the interpreter's own start.

    Not from `-X importtime`: that leaves out what importlib.import_module was asked for.
    """
    code = (
        f"import sys; there = set(sys.modules); {before}; from bringup.faces.cli.main import run; "
        "code = run(sys.argv[1:]); print(*(set(sys.modules) - there), file=sys.stderr); sys.exit(code)"
    )
    argv = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.split())


@pytest.mark.parametrize("line", QUICK)
def test_a_quick_answer_imports_nothing_heavy(line: str) -> None:
    modules = imported_by(line.split())
    assert "bringup.faces.cli.main" in modules
    assert {name for name in modules if name.split(".")[0] in HEAVY} == set()
    assert modules & HEAVY_STANDARD == set()


def test_help_of_one_command_does_not_load_the_others() -> None:
    modules = imported_by(["completion", "--help"])
    loaded = {name for name in modules if name.startswith("bringup.faces.cli.commands.")}
    assert loaded == {"bringup.faces.cli.commands.completion"}


def test_the_list_of_commands_loads_none() -> None:
    modules = imported_by(["--help"])
    assert not [name for name in modules if name.startswith("bringup.faces.cli.commands.")]


def test_a_heavy_import_would_be_seen() -> None:
    modules = imported_by(["--version"], before="import prompt_toolkit")
    assert "prompt_toolkit" in modules


def test_a_plan_for_a_described_card_imports_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    model = tmp_path / "tiny.gguf"
    model.write_bytes(bytes(tiny_llama().data))
    modules = imported_by(["plan", str(model), "--gpu", "RTX 3060", "--ram", "16G"])
    assert "bringup.plan.search" in modules
    assert modules & SPARED_BY_A_PLAN == set()
