"""Fuzz target of the reader of engine logs, for coverage-guided runs with atheris.

    python -m tests.fuzz.log_target CORPUS       as long as you like; CORPUS is a folder for what was found

Without atheris the same target is driven by random mutations in `test_log_target.py`.
"""

from __future__ import annotations

import io
import random
from pathlib import Path

from tests.engine.recorded_logs import LOGS
from tests.fuzz.loop import fuzz

from bringup.engine.watch import LINE_LIMIT, find_cause, foreign_lines, log_lines


def one_input(data: bytes) -> bool:
    """Read one log, its first line playing the model's name; whether a cause was found. Never raises."""
    lines = list(log_lines(io.BytesIO(data)))
    assert all(len(line) <= LINE_LIMIT and "\n" not in line for line in lines)
    foreign = foreign_lines(["x\n" + line for line in lines[:1]])
    found = find_cause(lines, foreign=foreign)
    if found is None:
        return False
    assert found.sentence
    assert set(found.evidence) <= set(lines)
    assert not foreign & {line.strip() for line in found.evidence}
    return True


def mutated(rng: random.Random) -> bytes:
    """A log made of recorded ones, with pieces doubled, inserted and cut."""
    data = bytearray("\n".join(log.text for log in rng.choices(LOGS, k=rng.randint(1, 4))).encode())
    for _ in range(rng.randint(0, 12)):
        at = rng.randrange(len(data) + 1)
        piece = bytes(data[at : at + rng.randint(0, 40)]) * rng.randint(1, 50)
        data[at:at] = rng.choice([piece, bytes([rng.randrange(256)]), b"\n", b"{}"])
        at = rng.randrange(len(data) + 1)
        del data[at : at + rng.randint(0, 9)]
    return bytes(data)


def write_seeds(folder: Path) -> None:
    """A corpus to begin with: the recorded logs."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, log in enumerate(LOGS):
        (folder / f"log-{number}").write_bytes(log.text.encode())


if __name__ == "__main__":
    fuzz(one_input, write_seeds)
