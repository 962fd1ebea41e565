"""The loop of libFuzzer around a target."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path


def fuzz(one_input: Callable[[bytes], None], write_seeds: Callable[[Path], None]) -> None:
    """Feed a target; libFuzzer's options may follow the corpus folder on the command line."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit(
            "atheris is not installed: python -m pip install atheris (it has wheels for some Pythons only)"
        )
    folder = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    if folder is not None:
        write_seeds(Path(folder))
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
