"""Progress of a loading engine, and the moment when there has been none for too long."""

from __future__ import annotations

from dataclasses import dataclass, field

from bringup.machine import files
from bringup.machine.clock import monotonic_s
from bringup.machine.process import ProcessWork, work_of

_CPU_STEP_S = 0.5


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """A loading engine at one moment.

    There is no percentage: llama.cpp reports none over its API, and of a mapped model only the pages that
    were touched are in RAM.

    Attributes:
        elapsed_s: since the start.
        resident_bytes: what of the process is in RAM, mapped pages of the model included.
        read_bytes: what it has read from files with read calls (a mapped model is not read so).
    """

    elapsed_s: float
    resident_bytes: int
    read_bytes: int


@dataclass(frozen=True, slots=True)
class StallLimits:
    """How long no progress is borne while loading.

    Attributes:
        idle_s: no log line, no bytes read or brought into RAM, no CPU time.
        busy_s: CPU time only: a warm-up with a large model on a slow machine, or an endless template.
    """

    idle_s: float = 30.0
    busy_s: float = 600.0


@dataclass(slots=True)
class LoadWatch:
    """Looks at a loading process again and again."""

    started_s: float = field(default_factory=monotonic_s)
    _moved_s: float = field(default_factory=monotonic_s)
    _worked_s: float = field(default_factory=monotonic_s)
    _before: tuple[int, int, int] = (0, 0, 0)
    _cpu_s: float = 0.0

    def look(self, pid: int | None, log_path: str) -> LoadProgress:
        """Take one look; `pid` is `None` before the process exists."""
        now_s = monotonic_s()
        work = ProcessWork(0.0, 0, 0) if pid is None else work_of(pid)
        moved = (files.size_bytes(log_path), work.read_bytes, work.resident_bytes)
        if moved != self._before:
            self._before, self._moved_s, self._worked_s = moved, now_s, now_s
        if work.cpu_s - self._cpu_s >= _CPU_STEP_S:
            self._cpu_s, self._worked_s = work.cpu_s, now_s
        return LoadProgress(now_s - self.started_s, work.resident_bytes, work.read_bytes)

    def stalled(self, limits: StallLimits) -> str:
        """What has not happened for too long, in words; empty while all is well."""
        now_s = monotonic_s()
        if now_s - self._worked_s > limits.idle_s:
            return f"no log line, no bytes read and no CPU time for {limits.idle_s:.0f} s"
        if now_s - self._moved_s > limits.busy_s:
            return f"busy for {limits.busy_s:.0f} s without a log line or a byte of the model"
        return ""
