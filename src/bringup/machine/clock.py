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


def uptime_s() -> float:
    """Seconds since the boot, suspended time included; never set, the same for all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def local_unix_s(text: str, *, form: str = "%Y-%m-%d %H:%M:%S") -> float:
    """Unix time of a moment written in local time, by the zone's rules of that day.

    Raises:
        ValueError: not in that form.
    """
    return time.mktime(time.strptime(text, form))
