"""The measured rows and model skeletons that lie beside the repository, where they do."""

from __future__ import annotations

from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def shared_path(inside: str) -> Path:
    """A path in `shared`, beside the checkout or the folder of checkouts; without it the test is skipped."""
    for folder in (_ROOT.parent, _ROOT.parent.parent):
        path = folder / "shared" / inside
        if path.exists():
            return path
    pytest.skip("no shared measurements beside the checkout")
