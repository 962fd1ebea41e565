"""Shared: a stub hub, folders of ours, and a patience that fits tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stubs.hub import StubFile, StubHub, gguf_bytes, running_hub

from bringup.machine.folders import Folders
from bringup.store.web import Timing

REPO = "someone/Some-GGUF"
FILE = "Some-Q4_K_M.gguf"
SIZE_BYTES = 3 * 1024 * 1024 + 17

QUICK = Timing(
    connect_s=2.0, stall_s=0.8, stall_bytes=1024, pauses_s=(0.01, 0.02, 0.03), retry_after_limit_s=1.0
)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Folders of ours below the test's own."""
    return Folders(
        configuration=str(tmp_path / "configuration"),
        cache=str(tmp_path / "cache"),
        state=str(tmp_path / "state"),
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHub]:
    """A hub with one repository of one file, and `HF_ENDPOINT` pointing to it."""
    with running_hub({REPO: {FILE: StubFile(gguf_bytes(SIZE_BYTES))}}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def files_below(folder: Path | str) -> list[str]:
    """Every regular file below a folder, relative, sorted."""
    root = Path(folder)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
