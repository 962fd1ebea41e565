"""Run as a program by test_disk.py: one pull, its outcome as one word on stdout."""

from __future__ import annotations

import json
import sys

from tests.store.children import Errand

from bringup.errors import BringupError
from bringup.machine import tree
from bringup.store.local import find_unfinished
from bringup.store.progress import TransferProgress
from bringup.store.pull import fetch
from bringup.store.web import Timing


def main() -> None:
    """Arguments: the errand as JSON, and at how many bytes another writer fills the disk (0: never)."""
    errand, fill_at_bytes = Errand(**json.loads(sys.argv[1])), int(sys.argv[2])
    filler = f"{errand.cache}/filler"

    def progress(moment: TransferProgress) -> None:
        if fill_at_bytes and moment.done_bytes >= fill_at_bytes and tree.look_at(filler) is None:
            fill(filler)

    patience = Timing(pauses_s=(0.01,))
    outcome = {"reference": "", "context": [], "message": ""}
    try:
        fetch(errand.plan, on_progress=progress, folders=errand.folders, timing=patience)
    except BringupError as problem:
        outcome = {"reference": problem.reference, "context": problem.context, "message": problem.message}
    unfinished = find_unfinished(errand.folders)
    print(json.dumps({**outcome, "unfinished_bytes": [one.done_bytes for one in unfinished]}), flush=True)


def fill(path: str) -> None:
    """Write until nothing fits any more."""
    with open(path, "wb", buffering=0) as handle:
        for size in (65536, 1):
            try:
                while handle.write(b"\xff" * size):
                    pass
            except OSError:
                continue


if __name__ == "__main__":
    main()
