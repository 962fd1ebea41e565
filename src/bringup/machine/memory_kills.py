"""Traces of the kernel's OOM killer: the counter of a memory group, and the kernel's log.

The kernel sends SIGKILL without a word to the process. Two places may tell: the group's own counter
(cgroup v2 `memory.events`, v1 `memory.oom_control`, since Linux 4.13), and /dev/kmsg where it may be read.
https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
"""

from __future__ import annotations

import contextlib
import os
import re
import time

from bringup.machine.kernel_tail import KERNEL_LOG, waiting_records
from bringup.records import dataclass

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KillCount:
    """The kills that a process's memory group had seen at one moment.

    Attributes:
        path: the counter's file; empty where there is none.
        count: kills so far.
        moment_s: the moment, on the monotonic clock (the kernel log's clock too).
    """

    path: str
    count: int
    moment_s: float


def count_kills(pid: int) -> KillCount:
    """The kills in a live process's memory group so far."""
    path = _counter_of(pid)
    return KillCount(path, _count(path) or 0, time.monotonic())


def traces(pid: int | None, *, before: KillCount | None) -> tuple[str, ...]:
    """What shows that the OOM killer ended this process since `before`; empty when nothing does."""
    if before is None or pid is None:
        return ()
    found = [line for line in _kernel_lines(before.moment_s) if f"rocess {pid} (" in line]
    count = _count(before.path)
    if count is not None and count > before.count:
        found.append(f"{before.path}: oom_kill {before.count} -> {count}")
    return tuple(found)


def blind_spots(pid: int | None, *, before: KillCount | None) -> tuple[str, ...]:
    """Where no trace could be looked for, in words."""
    if before is None or pid is None:
        return ("its memory group was not seen before it ended",)
    spots = []
    if not before.path:
        spots.append("its memory group has no counter of kills")
    if not os.access(KERNEL_LOG, os.R_OK):
        spots.append("the kernel's log cannot be read by this user")
    return tuple(spots)


def _counter_of(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup") as lines:
        # `9:memory:/a/b` (v1), `0::/a/b` (v2)
        for line in lines:
            number, controllers, group = line.rstrip("\n").split(":", 2)
            if "memory" in controllers.split(","):
                path = f"/sys/fs/cgroup/memory{group}/memory.oom_control"
            elif number == "0" and not controllers:
                path = f"/sys/fs/cgroup{group}/memory.events"
            else:
                continue
            if _count(path) is not None:
                return path
    return ""


def _count(path: str) -> int | None:
    with contextlib.suppress(OSError), open(path) as handle:
        match = _COUNT.search(handle.read())
        return int(match[1]) if match else None
    return None


def _kernel_lines(since_s: float) -> list[str]:
    """Messages of the kernel since a moment.

    Raw record: `6,123,5678901234,-;Killed process 4711 (llama-server) total-vm:...`.
    """
    found: list[str] = []
    with contextlib.suppress(OSError):
        handle = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            for record in waiting_records(handle):
                head, _, text = record.decode("utf-8", "replace").partition(";")
                fields = head.split(",")
                if len(fields) > 2 and fields[2].isdigit() and int(fields[2]) / 1e6 >= since_s - 1:
                    found.append(text.splitlines()[0] if text else "")
        finally:
            os.close(handle)
    return found
