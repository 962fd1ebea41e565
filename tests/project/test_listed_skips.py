"""The run fails in CI for a skip that nobody listed, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.listed_skips import read_patterns, unlisted

ROOT = Path(__file__).parents[2]


def test_a_pattern_fits_whole_reasons_only() -> None:
    patterns = read_patterns("# remark\nno gcc  # why\n\nno * here\n")
    assert patterns == ("no gcc", "no * here")
    assert unlisted(["no gcc", "no cgroup here", "no gcc today", "because"], patterns) == [
        "because",
        "no gcc today",
    ]


@pytest.mark.parametrize(("reason", "ci", "code"), [("no gcc", "1", 0), ("tired", "1", 1), ("tired", "", 0)])
def test_an_unlisted_skip_fails_the_run_in_ci(tmp_path: Path, reason: str, ci: str, code: int) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.listed_skips import pytest_sessionfinish\n", encoding="utf-8"
    )
    text = f"import pytest\n\ndef test_a():\n    pytest.skip({reason!r})\n\ndef test_b():\n    pass\n"
    (tmp_path / "test_made.py").write_text(text, encoding="utf-8")
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(
        argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert done.returncode == code
    assert (b"not in tests/skip_reasons.txt: tired" in done.stdout) == (reason == "tired")
