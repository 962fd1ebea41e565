"""Real servers, started once for all tests that only ask them."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, argv
from tests.stubs.ports import free_port


@dataclass(frozen=True)
class Served:
    """A server in front: its process, its address, its home."""

    process: subprocess.Popen[bytes]
    base_url: str
    home: Home

    @property
    def port(self) -> int:
        return int(self.base_url.rsplit(":", 1)[1])


@contextmanager
def serve_in_front(home: Home, *arguments: str, **environment: str) -> Iterator[Served]:
    """Run `bringup serve` until the block ends; it answers when the block begins."""
    process = subprocess.Popen(
        argv("serve", *arguments, "--threads", "1"),
        env=home.environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        first = process.stdout.readline().decode()
        match = re.search(r"http://\S+", first)
        assert match, process.stderr.read().decode()
        yield Served(process, match.group(), home)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="session")
def served(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Home(tmp_path_factory.mktemp("served"))
    with serve_in_front(home, str(small_model), "--port", str(free_port()), "--alias", "small") as running:
        yield running


@pytest.fixture(scope="session")
def served_embeddings(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Home(tmp_path_factory.mktemp("served-embeddings"))
    with serve_in_front(home, str(small_model), "--port", str(free_port()), "--embeddings") as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)
