"""Time: monotonic for spans, wall clock only for showing a moment."""

from __future__ import annotations

import time


def monotonic_s() -> float:
    """Seconds on a clock that is never set; use it for every span and time-out."""
    return time.monotonic()


def wall_s() -> float:
    """Unix time; may jump. For records and display only."""
    return time.time()


def sleep_s(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def local_time_text(unix_s: float) -> str:
    """A moment as `2026-11-24 06:41:03` in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))
