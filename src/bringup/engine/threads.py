"""How many threads an engine gets.

Two spinning threads on one core make llama.cpp many times slower, so: physical cores (a core's second
hardware thread shares its arithmetic), within what we may use, and one fewer on a busy machine.
"""

from __future__ import annotations

from bringup.reading import Known, Reading

_BUSY_SHARE = 0.5


def choose_threads(
    *,
    physical_cores: Reading[int],
    affinity_cpus: Reading[int],
    cgroup_quota_cpus: Reading[float],
    load_1min: Reading[float],
) -> int:
    """Threads for generating; at least 1.

    Args:
        physical_cores: cores of the machine.
        affinity_cpus: logical CPUs that this process may run on.
        cgroup_quota_cpus: CPU time that its group may use, in CPUs; absent without a quota.
        load_1min: runnable processes, averaged over a minute.
    """
    bounds = [
        int(reading.value)
        for reading in (physical_cores, affinity_cpus, cgroup_quota_cpus)
        if isinstance(reading, Known)
    ]
    cores = max(1, min(bounds, default=1))
    is_busy = isinstance(load_1min, Known) and load_1min.value >= cores * _BUSY_SHARE
    return max(1, cores - 1) if is_busy else cores
