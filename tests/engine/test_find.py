"""Engines are found without running anything but --version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.conftest import make_fake

from bringup.engine.build import EngineBuild, EngineKind, read_options, start_line
from bringup.engine.command import EngineSettings
from bringup.engine.find import choose_engine, find_embedded, find_engines, read_version
from bringup.errors import EngineError
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import CommandResult
from bringup.reading import Absent, Known, Reading, Unreadable


def test_the_order_is_configuration_builds_path_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = make_fake(tmp_path / "configured")
    for name in ("a-proved", "b-other"):
        make_fake(tmp_path / "builds" / name)
    (tmp_path / "builds/current").write_text("a-proved\n")
    on_path = make_fake(tmp_path / "path")
    monkeypatch.setenv("PATH", f"relative:{tmp_path / 'path'}:/usr/bin:/bin")
    found = find_engines(LiveMachine(), configured_path=configured, builds_folder=str(tmp_path / "builds"))
    assert [(e.path, e.origin) for e in found[:3]] == [
        (configured, "configuration"),
        (str(tmp_path / "builds/a-proved/llama-server"), "our build"),
        (on_path, "PATH"),
    ]
    assert found[-1].kind is EngineKind.EMBEDDED and found[-1].version
    assert {e.version for e in found[:-1]} == {"b9999"}


def test_an_engine_is_had_by_a_path_from_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = make_fake(tmp_path / "llama.cpp/build/bin")
    monkeypatch.chdir(tmp_path / "llama.cpp")
    for typed in ("./build/bin/llama-server", "build/bin/llama-server", "build/bin", "./build", program):
        found = find_engines(LiveMachine(), configured_path=typed, builds_folder=str(tmp_path / "none"))
        chosen = choose_engine(found, typed)
        assert (chosen.path, chosen.version) == (program, "b9999"), typed


def test_what_cannot_be_run_is_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Path(make_fake(tmp_path / "path"))
    program.chmod(0o600)
    (tmp_path / "other" / "llama-server").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{tmp_path / 'other'}")
    found = find_engines(
        LiveMachine(), configured_path=str(tmp_path / "no"), builds_folder=str(tmp_path / "none")
    )
    assert [e.kind for e in found] == [EngineKind.EMBEDDED]


def test_the_package_is_found_without_importing_it() -> None:
    code = "import sys; from bringup.engine.find import find_embedded; print(find_embedded().version)"
    code += "; assert 'xllamacpp' not in sys.modules"
    told = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    embedded = find_embedded()
    assert embedded is not None and embedded.version == told.strip() != ""


class Says:
    """A machine whose llama-server prints this."""

    def __init__(self, answer: Reading[CommandResult]) -> None:
        self.answer = answer

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        assert argv == ("/x", "--version")
        return self.answer


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("version: 6325 (4fd1242b)\nbuilt with cc (Ubuntu 11.4.0) for x86_64-linux-gnu\n", "b6325"),
        ("version: 0.6.0-dev (build 11434, commit 4fd1242b)\nbuilt with GNU 12.2.0\n", "b11434"),
        (
            "version: 0.6.0-dev (build 0, commit unknown)\nbuilt with GNU 12.2.0 for Linux x86_64\n",
            "0.6.0-dev",
        ),
        ("version: 0 (unknown)\n", ""),
        ("ggml_cuda_init: found 1 CUDA devices:\nversion: 5518 (26b79b6c)\n", "b5518"),
        ("", ""),
    ],
)
def test_versions(text: str, version: str) -> None:
    machine = Says(Known(CommandResult(("/x", "--version"), 0, "", text), "x"))
    assert read_version(machine, "/x") == version  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [Absent("x"), Unreadable("x", "timed out")])
def test_a_version_that_cannot_be_had(answer: Reading[CommandResult]) -> None:
    assert read_version(Says(answer), "/x") == ""  # type: ignore[arg-type]


ENGINES = (
    EngineBuild(EngineKind.EXTERNAL, "/opt/llama-server", "b1", "PATH"),
    EngineBuild(EngineKind.EMBEDDED, "/site/xllamacpp", "1", "Python package"),
)


def test_an_engine_is_chosen_by_kind_or_path() -> None:
    assert choose_engine(ENGINES) is ENGINES[0]
    assert choose_engine(ENGINES, "embedded") is ENGINES[1]
    assert choose_engine(ENGINES, "external") is ENGINES[0]
    assert choose_engine(ENGINES, "/opt/../opt/llama-server") is ENGINES[0]


@pytest.mark.parametrize(("engines", "wanted"), [((), None), (ENGINES, "/other"), (ENGINES[1:], "external")])
def test_an_engine_that_is_not_there(engines: tuple[EngineBuild, ...], wanted: str | None) -> None:
    with pytest.raises(EngineError) as caught:
        choose_engine(engines, wanted)
    assert caught.value.reference == "engine-not-found" and caught.value.hint


def test_a_program_that_is_no_llama_server(tmp_path: Path, settings: EngineSettings) -> None:
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\necho something else\n")
    program.chmod(0o700)
    build = EngineBuild(EngineKind.EXTERNAL, str(program), "", "made")
    for broken in (build, EngineBuild(EngineKind.EXTERNAL, "/nowhere", "", "made")):
        with pytest.raises(EngineError) as caught:
            read_options(broken, environment={})
        assert caught.value.reference == "engine-not-usable"
    with pytest.raises(EngineError):
        start_line(build, settings, environment={})


def test_the_embedded_engine_gets_its_parameters_on_stdin(
    embedded: EngineBuild, settings: EngineSettings
) -> None:
    line = start_line(embedded, settings, environment={})
    assert "bringup.engine.embedded" in line.argv and settings.model_path not in " ".join(line.argv)
    assert settings.model_path in line.stdin


def test_the_number_of_a_build_is_read_from_its_own_word() -> None:
    versions = ("b6325", "2026.10.11549", "", "b", "b12x", "6325")
    builds = [EngineBuild(EngineKind.EXTERNAL, "/x", version, "PATH") for version in versions]
    assert [build.number for build in builds] == [6325, None, None, None, None, None]
