"""Threads: physical cores within what may be used, one fewer on a busy machine."""

from __future__ import annotations

import pytest

from bringup.engine.threads import choose_threads
from bringup.reading import Absent, Known, Reading, Unreadable

NO_QUOTA = Absent("cpu.max")
BLIND = Unreadable("somewhere", "no rights")


def known(value: float) -> Known[float]:
    return Known(value, "made")


@pytest.mark.parametrize(
    ("cores", "affinity", "quota", "load", "threads"),
    [
        (Known(8, ""), Known(16, ""), NO_QUOTA, known(0.3), 8),
        (Known(8, ""), Known(16, ""), NO_QUOTA, known(6.0), 7),
        (Known(8, ""), Known(4, ""), NO_QUOTA, known(0.3), 4),
        (Known(8, ""), Known(16, ""), known(2.5), known(0.3), 2),
        (Known(8, ""), Known(16, ""), known(0.5), known(9.0), 1),
        (Known(1, ""), Known(2, ""), NO_QUOTA, known(5.0), 1),
        (BLIND, Known(6, ""), NO_QUOTA, BLIND, 6),
        (BLIND, BLIND, BLIND, BLIND, 1),
    ],
)
def test_threads(
    cores: Reading[int], affinity: Reading[int], quota: Reading[float], load: Reading[float], threads: int
) -> None:
    chosen = choose_threads(
        physical_cores=cores, affinity_cpus=affinity, cgroup_quota_cpus=quota, load_1min=load
    )
    assert chosen == threads
