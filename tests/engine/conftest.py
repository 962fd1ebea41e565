"""Engines to test with: the embedded one, a made llama-server, and a real llama-server where there is one."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.stubs.ports import free_port

from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings
from bringup.engine.environment import clean_environment
from bringup.engine.key import read_or_create_key
from bringup.machine.folders import Folders

# Read before a test's own environment takes the variable away.
REAL_LLAMA_SERVER = os.environ.get("BRINGUP_TEST_LLAMA_SERVER", "")
NO_REAL = "BRINGUP_TEST_LLAMA_SERVER names no llama-server"
IS_SOAK = os.environ.get("BRINGUP_SOAK") == "1"


def rounds(default: int, soak: int) -> int:
    """How often a trial is repeated."""
    return soak if IS_SOAK else default


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Our folders, empty."""
    return Folders(str(tmp_path / "configuration"), str(tmp_path / "cache"), str(tmp_path / "state"))


@pytest.fixture
def settings(small_model: Path, folders: Folders) -> EngineSettings:
    """The small model on a free port, with a key, one thread (two would fight over two busy cores)."""
    read_or_create_key(folders)
    return EngineSettings(
        model_path=str(small_model),
        alias="smollm2",
        port=free_port(),
        n_ctx=1024,
        n_threads=1,
        cache_ram_mib=0,
        fits_itself=False,
        api_key_file=folders.key_file,
    )


@pytest.fixture
def embedded() -> EngineBuild:
    """llama.cpp's server from the Python package."""
    return EngineBuild(EngineKind.EMBEDDED, "", "", "Python package")


@pytest.fixture
def fake(tmp_path: Path) -> EngineBuild:
    """The made llama-server."""
    return EngineBuild(EngineKind.EXTERNAL, make_fake(tmp_path / "bin"), "b9999", "made")


@pytest.fixture
def external() -> EngineBuild:
    """A real llama-server."""
    if not REAL_LLAMA_SERVER:
        pytest.skip(NO_REAL)
    return EngineBuild(EngineKind.EXTERNAL, REAL_LLAMA_SERVER, "", "given")


@pytest.fixture(params=["embedded", "external"])
def real(request: pytest.FixtureRequest) -> EngineBuild:
    """Each real engine in turn."""
    build: EngineBuild = request.getfixturevalue(request.param)
    return build


@pytest.fixture
def environment() -> Callable[..., dict[str, str]]:
    """The environment of an engine, with further variables."""

    def make(**more: str) -> dict[str, str]:
        return {**clean_environment(os.environ, is_external=True).variables, **more}

    return make


@pytest.fixture
def log_path(tmp_path: Path) -> str:
    """Where the engine's log goes."""
    return str(tmp_path / "logs" / "engine.log")


def make_fake(folder: Path) -> str:
    """An executable `llama-server` that is the made one."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "llama-server"
    source = Path(__file__).with_name("fake_llama_server.py").read_text()
    program.write_text(f"#!{sys.executable} -IS\n{source}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)
