"""The engine is started early only where it is the one that will be chosen, and before all the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.conftest import make_fake

from bringup.actions.surroundings import find_build, is_embedded_next, look_around, starting_early
from bringup.errors import EngineError, WrongUse


def place(where: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a llama-server where engines are looked for."""
    around = look_around()
    if where == "PATH":
        monkeypatch.setenv("PATH", f"{Path(make_fake(folder)).parent}:/usr/bin:/bin")
    elif where == "our build":
        builds = Path(around.folders.builds)
        make_fake(builds / "one")
        (builds / "current").write_text("one\n")
    elif where == "configuration":
        file = Path(around.folders.configuration_file)
        file.parent.mkdir(parents=True)
        file.write_text(f'[engine]\npath = "{make_fake(folder)}"\n')


@pytest.mark.parametrize("wanted", [None, "embedded", "external"])
@pytest.mark.parametrize("where", ["nowhere", "PATH", "our build", "configuration"])
def test_it_is_the_engine_that_will_be_chosen(
    where: str, wanted: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    place(where, tmp_path / "bin", monkeypatch)
    around = look_around()
    is_next = is_embedded_next(wanted, around)
    if (where, wanted) == ("nowhere", "external"):
        assert not is_next  # there is no such engine, which is said later
    else:
        assert is_next is not find_build(wanted, around).is_external
    with starting_early(engine=wanted) as early:
        assert early.supervisor is None
        if (where, wanted) == ("nowhere", "external"):
            assert early.waiting is None
        else:
            build = find_build(wanted, around)
            assert early.waiting is not None and early.waiting.program == (
                build.path if build.is_external else None
            )
            known = early.waiting.options_of(build)
            assert (known is not None and known.has("--model")) is build.is_external


def test_a_named_program_is_not_waited_for_with_another(tmp_path: Path) -> None:
    assert not is_embedded_next(make_fake(tmp_path), look_around())


def test_nothing_is_started_where_none_is_wanted_or_the_settings_are_wrong() -> None:
    with starting_early(engine="embedded", is_wanted=False) as around:
        assert around.waiting is None and around.supervisor is None
    file = Path(around.folders.configuration_file)
    file.parent.mkdir(parents=True)
    file.write_text("[engine]\nunknown = 1\n")
    with pytest.raises(WrongUse), starting_early(engine="embedded"):
        pass


def test_a_configured_engine_that_is_not_there_is_not_replaced_in_silence(tmp_path: Path) -> None:
    file = Path(look_around().folders.configuration_file)
    file.parent.mkdir(parents=True)
    file.write_text(f'[engine]\npath = "{tmp_path}/gone/llama-server"\n')
    with pytest.raises(EngineError, match="which the configuration names"):
        find_build(None, look_around())
    assert not find_build("embedded", look_around()).is_external


def loaded_when(name: str, where: str, arguments: list[str]) -> set[str]:
    """Modules that a command has loaded when it makes the first of something; it ends there."""
    code = (
        f"import os, sys, {where} as where\n"
        "def made(*_, **__):\n"
        "    print(*sys.modules, flush=True)\n"
        "    os._exit(0)\n"
        f"where.{name} = made\n"
        "from bringup.faces.cli.main import run\n"
        "run(sys.argv[1:])\n"
    )
    argv = [sys.executable, "-I", "-c", code, *arguments, "--engine", "embedded"]
    return set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("command", ["run", "serve"])
def test_it_is_started_before_the_planner_is_imported(command: str) -> None:
    """What an import costs is counted in modules, not in milliseconds."""
    loaded = loaded_when("WaitingEngine", "bringup.engine.waiting", [command, "x"])
    assert "bringup.actions.surroundings" in loaded
    late = ("bringup.plan", "bringup.model", "bringup.store", "bringup.stack", "bringup.journal")
    assert [name for name in loaded if name.startswith(late)] == []
    assert "bringup.actions.running.preparation" not in loaded and "bringup.engine.server" not in loaded


@pytest.mark.parametrize("command", ["run", "serve"])
def test_what_a_running_engine_needs_is_imported_while_it_loads(command: str, small_model: Path) -> None:
    more = ["--prompt", "x"] if command == "run" else ["--no-key"]
    loaded = loaded_when("KeeperJob", "bringup.engine.start", [command, str(small_model), *more])
    assert "bringup.actions.running.preparation" in loaded
    late = {
        *("bringup.engine.server", "bringup.engine.api", "bringup.engine.supervisor", "http.client"),
        *("bringup.faces.cli.one_answer", "bringup.journal.store", "bringup.store.pull", "sqlite3"),
        *("prompt_toolkit", "importlib.resources"),
    }
    assert loaded & late == set()
