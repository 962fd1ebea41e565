"""Builds stand-ins of the driver's libraries with gcc, each driven by a scenario file beside it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def build(folder: Path) -> None:
    """Compile libnvidia-ml.so.1 and libcuda.so.1 into a folder."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    for source, library in (("nvml_stub.c", "libnvidia-ml.so.1"), ("cuda_stub.c", "libcuda.so.1")):
        words = ["gcc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", str(folder / library)]
        subprocess.run([*words, str(HERE / source), "-ldl"], check=True, capture_output=True, timeout=60)


def play(folder: Path, *lines: str) -> None:
    """Write the scenario that the libraries of a folder follow."""
    (folder / "scenario.txt").write_text("\n".join(lines) + "\n")
