"""Shared fixtures: a home of its own for every test, and the real small model."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from tests.listed_skips import pytest_sessionfinish as pytest_sessionfinish
from tests.stubs import driver_stub

if TYPE_CHECKING:
    from tests.lanes import Lanes
    from xdist.remote import Producer

# A property does not fail because the machine was busy; in CI the same examples run each time.
settings.register_profile(
    "steady",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    database=None,
)
settings.load_profile("steady")

SMALL_MODEL_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files change by this option and a look at the difference, not by hand."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """How `scripts/test` deals tests out to its two processes."""
    from tests.lanes import Lanes

    config.option.loadscopereorder = False
    return Lanes(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long units first where tests are dealt out."""
    if hasattr(config, "workerinput"):
        from tests.lanes import turn_of

        items.sort(key=lambda item: turn_of(item.nodeid))


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Places for homes. A count of our own: `mktemp` reads the whole folder again for each of thousands."""
    folder = tmp_path_factory.mktemp("home")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh HOME with its XDG folders; nothing of the developer's own settings reaches a test."""
    home = next(homes)
    home.mkdir()
    for name in [n for n in os.environ if n.startswith(("XDG_", "HF_", "LLAMA_", "OLLAMA_", "BRINGUP_"))]:
        if name != "BRINGUP_SOAK" and not name.startswith("BRINGUP_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for variable, folder in (
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_STATE_HOME", ".local/state"),
    ):
        monkeypatch.setenv(variable, str(home / folder))
    return home


@pytest.fixture(scope="session")
def built_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stub driver's libraries, compiled once; `driver_stub.play` says what they answer."""
    folder = tmp_path_factory.mktemp("driver")
    driver_stub.build(folder)
    return folder


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The real SmolLM2-135M-Instruct file (put there by `scripts/test`)."""
    path = Path(os.environ.get("BRINGUP_TEST_MODEL", Path(__file__).parents[1] / ".cache" / SMALL_MODEL_NAME))
    assert path.is_file(), f"no small model at {path}: run `make test`, which fetches it"
    return path
