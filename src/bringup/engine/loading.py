"""Progress of a loading engine, and the moment when there has been none for too long."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from bringup.errors import FileTrouble
from bringup.machine import files
from bringup.machine.clock import monotonic_s
from bringup.machine.process import ProcessWork, work_of
from bringup.records import dataclass

_CPU_STEP_S: Final = 0.5
_TAIL_BYTES: Final = 2048
# The last line of a loading llama-server before it tries the chat template (2024 to 2026).
_BEFORE_TEMPLATE: Final = b"n_slots = "


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
        busy_s: CPU time only, as in a warm-up with a large model on a slow machine.
        template_s: CPU time only once all but the chat template is done: it is rendered on a trial then, and
            a template can loop for ever.
    """

    idle_s: float = 30.0
    busy_s: float = 600.0
    template_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Stall:
    """What has not happened for too long, in words, and the fault that it is."""

    why: str
    reference: str


@dataclass(slots=True)
class LoadWatch:
    """Looks at a loading process again and again."""

    started_s: float = field(default_factory=monotonic_s)
    _moved_s: float = field(default_factory=monotonic_s)
    _worked_s: float = field(default_factory=monotonic_s)
    _before: tuple[int, int, int] = (0, 0, 0)
    _cpu_s: float = 0.0
    _is_at_template: bool = False

    def look(self, pid: int | None, log_path: str) -> LoadProgress:
        """Take one look; `pid` is `None` before the process exists."""
        now_s = monotonic_s()
        work = ProcessWork(0.0, 0, 0) if pid is None else work_of(pid)
        moved = (files.size_bytes(log_path), work.read_bytes, work.resident_bytes)
        if moved != self._before:
            if moved[0] != self._before[0]:
                self._is_at_template = _BEFORE_TEMPLATE in _last_bytes(log_path, moved[0])
            self._before, self._moved_s, self._worked_s = moved, now_s, now_s
        if work.cpu_s - self._cpu_s >= _CPU_STEP_S:
            self._cpu_s, self._worked_s = work.cpu_s, now_s
        return LoadProgress(now_s - self.started_s, work.resident_bytes, work.read_bytes)

    def stalled(self, limits: StallLimits) -> Stall | None:
        """What has not happened for too long; `None` while all is well."""
        now_s = monotonic_s()
        still_s = now_s - self._moved_s
        if self._is_at_template and still_s > limits.template_s:
            return Stall(
                f"rendering the chat template takes longer than {limits.template_s:.0f} s",
                "chat-template-failed",
            )
        if now_s - self._worked_s > limits.idle_s:
            return Stall(
                f"no log line, no bytes read and no CPU time for {limits.idle_s:.0f} s", "engine-stalled"
            )
        if still_s > limits.busy_s:
            return Stall(
                f"busy for {limits.busy_s:.0f} s without a log line or a byte of the model", "engine-stalled"
            )
        return None


def _last_bytes(path: str, size_bytes: int) -> bytes:
    try:
        with files.open_binary(path) as log:
            log.seek(max(0, size_bytes - _TAIL_BYTES))
            return log.read(_TAIL_BYTES)
    except FileTrouble:
        return b""
