"""The files of full-size models, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.planning.made import file_of


@pytest.fixture(scope="session")
def gpt_oss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return file_of(tmp_path_factory.mktemp("models"), "gpt-oss-20b")


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return file_of(tmp_path_factory.mktemp("models"), "Llama-3.1-8B")
