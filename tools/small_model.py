"""Puts the tests' small model into a folder, by the product's own `pull`; does nothing when it is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE_BYTES = 98_362_432
KINDS = ("CACHE", "CONFIG", "STATE")


def main(folder: Path) -> int:
    """0 when the model is there."""
    wanted = folder / NAME
    if wanted.is_file() and wanted.stat().st_size == SIZE_BYTES:
        return 0
    folder.mkdir(exist_ok=True)
    home = folder / "home"
    environment = {**os.environ, **{f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in KINDS}}
    print("fetching the small model (about 95 MB)", file=sys.stderr)
    argv = [sys.executable, "-m", "bringup", "pull", "smollm2-135m", "--json"]
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, timeout=1800, check=False)
    if done.returncode != 0:
        return done.returncode
    fetched = Path(json.loads(done.stdout)["paths"][0])
    wanted.unlink(missing_ok=True)
    os.link(fetched, wanted)
    assert wanted.stat().st_size == SIZE_BYTES, f"{fetched} is not the file that the tests know"
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
