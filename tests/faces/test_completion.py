"""The completion scripts, driven by the real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.faces.cli.main import COMMANDS

NAMES = {entry.name for entry in COMMANDS}


@pytest.fixture
def on_path(tmp_path: Path) -> dict[str, str]:
    """An environment in which `bringup` is a command, as after an install."""
    program = tmp_path / "bin" / "bringup"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bringup "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def shell(argv: list[str], environment: dict[str, str]) -> str:
    """What a shell prints; its complaints fail the test."""
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout


def saved_script(name: str, environment: dict[str, str], folder: Path) -> Path:
    """The script as a user saves it."""
    path = folder / f"bringup.{name}"
    path.write_text(shell(["bringup", "completion", name], environment), encoding="utf-8")
    assert path.read_text(encoding="utf-8").strip()
    return path


def bash_completes(words: list[str], environment: dict[str, str], script: Path) -> set[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        "_bringup_completion bringup; printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p bringup >/dev/null"
    )
    return set(shell(["bash", "--norc", "-c", code], environment).split())


def test_bash_completes_commands_and_options(on_path: dict[str, str], tmp_path: Path) -> None:
    script = saved_script("bash", on_path, tmp_path)
    assert bash_completes(["bringup", ""], on_path, script) == NAMES
    assert bash_completes(["bringup", "compl"], on_path, script) == {"completion"}
    assert bash_completes(["bringup", "completion", ""], on_path, script) == {"bash", "zsh", "fish"}
    assert "--help" in bash_completes(["bringup", "run", "--"], on_path, script)
    assert bash_completes(["bringup", "nosuchthing"], on_path, script) == set()


def test_bash_completes_models_engines_and_terms(on_path: dict[str, str], tmp_path: Path) -> None:
    script = saved_script("bash", on_path, tmp_path)
    assert bash_completes(["bringup", "run", "qwen3-1"], on_path, script) == {"qwen3-1.7b", "qwen3-14b"}
    assert bash_completes(["bringup", "explain", "kv-"], on_path, script) == {"kv-cache"}
    assert bash_completes(["bringup", "stop", ""], on_path, script) == set(), "no engine runs"


def test_fish_completes_commands_and_choices(on_path: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish")
    script = saved_script("fish", on_path, tmp_path)
    shell(["fish", "--no-execute", str(script)], on_path)
    offered = shell(["fish", "--no-config", "-c", f"source {script}; complete -C 'bringup '"], on_path)
    assert {line.split("\t")[0] for line in offered.splitlines()} >= NAMES
    offered = shell(
        ["fish", "--no-config", "-c", f"source {script}; complete -C 'bringup completion z'"], on_path
    )
    assert offered.split()[0] == "zsh"


def test_zsh_takes_the_script(on_path: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("no zsh")
    script = saved_script("zsh", on_path, tmp_path)
    shell(["zsh", "-n", str(script)], on_path)
    code = f"autoload -U compinit; compinit -u -D; source {script}; print -r -- $_comps[bringup]"
    assert shell(["zsh", "-f", "-c", code], on_path).strip() == "_bringup_completion"
    reply = {
        **on_path,
        "COMP_WORDS": "bringup completion z",
        "COMP_CWORD": "2",
        "_BRINGUP_COMPLETE": "zsh_complete",
    }
    assert shell(["bringup"], reply).split("\n")[:2] == ["plain", "zsh"]


def test_an_unknown_shell_is_wrong_use(on_path: dict[str, str]) -> None:
    done = subprocess.run(
        ["bringup", "completion", "csh"], env=on_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "csh" in done.stderr
    assert "bash" in done.stderr
