"""A short run of the log reader's fuzz target by plain random mutation, without atheris."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from tests.engine.recorded_logs import LOGS
from tests.fuzz import log_target

RUNS = 20_000 if os.environ.get("BRINGUP_SOAK") else 500


def test_logs_near_recorded_ones() -> None:
    rng = random.Random(2_612)
    slowest = 0.0
    ends = set()
    for _ in range(RUNS):
        data = log_target.mutated(rng)
        started = time.process_time()
        ends.add(log_target.one_input(data))
        slowest = max(slowest, time.process_time() - started)
    assert ends == {True, False}
    assert slowest < 1.0


def test_the_seeds_of_a_corpus_are_the_recorded_logs(tmp_path: Path) -> None:
    log_target.write_seeds(tmp_path / "corpus")
    assert len(list((tmp_path / "corpus").iterdir())) == len(LOGS) > 30
