"""Measures how fast main memory can be read, in a process of its own, and prints it as JSON.

Every processor that we may use searches a block of memory, larger than the caches, for a byte that is not
there (`memchr` of the C library: nothing is written, and Python's lock is not held). Started by
`machine.commands` as `bringup-memory`, only when somebody asks for a measurement: it keeps all processors
busy for a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import sys
import threading
import time
from typing import Final

SCHEMA: Final = 1
SECONDS: Final = 1.0
WINDOWS: Final = 5
"""The second in so many parts; the best one counts, for other programs only ever slow it down."""

BLOCK_BYTES: Final = 768 * 1024**2
"""Of all threads together: several times the last cache of most processors."""
SHARE_OF_FREE: Final = 0.25
"""At most this part of what is free is taken."""
_STEP_BYTES: Final = 4 * 1024**2
_FILL, _MISSING = 1, 2


class Reader:
    """A block of memory and how much of it was read."""

    def __init__(self, size_bytes: int) -> None:
        """Take the memory and write it once, so that each page is really there."""
        self.block = mmap.mmap(-1, size_bytes)
        with contextlib.suppress(AttributeError, OSError):  # large pages: fewer look-ups of addresses
            self.block.madvise(mmap.MADV_HUGEPAGE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.block))
        self.size_bytes = size_bytes
        self.done = (0, 0.0)
        """Bytes read, and seconds of processor time that took: other programs may hold the processor."""
        ctypes.memset(self.address, _FILL, size_bytes)

    def read(self, until: threading.Event) -> None:
        """Read the block over and over."""
        search = ctypes.CDLL(None).memchr
        search.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
        search.restype = ctypes.c_void_p
        offset = 0
        while not until.is_set():
            search(self.address + offset, _MISSING, _STEP_BYTES)
            self.done = (self.done[0] + _STEP_BYTES, time.thread_time())
            offset = (offset + _STEP_BYTES) % (self.size_bytes - self.size_bytes % _STEP_BYTES)


def measure(n_threads: int, size_bytes: int, seconds: float) -> float:
    """Bytes a second that so many threads read together, in the best part of the time."""
    readers = [Reader(max(size_bytes // n_threads, 2 * _STEP_BYTES)) for _ in range(n_threads)]
    until = threading.Event()
    threads = [threading.Thread(target=reader.read, args=(until,), daemon=True) for reader in readers]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    best, before = 0.0, [reader.done for reader in readers]
    for _ in range(WINDOWS):
        time.sleep(seconds / WINDOWS)
        after = [reader.done for reader in readers]
        best = max(best, sum(_rate(one, two) for one, two in zip(before, after, strict=True)))
        before = after
    until.set()
    for thread in threads:
        thread.join()
    return best


def _rate(before: tuple[int, float], after: tuple[int, float]) -> float:
    seconds = after[1] - before[1]
    return (after[0] - before[0]) / seconds if seconds > 0 else 0.0


def free_bytes() -> int:
    """Main memory that can be taken without swapping; 0 where the kernel does not say."""
    with (
        contextlib.suppress(OSError, ValueError, IndexError),
        open("/proc/meminfo", encoding="ascii") as lines,
    ):
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Measure and print one line."""
    n_threads = len(os.sched_getaffinity(0))
    size = min(BLOCK_BYTES, int(free_bytes() * SHARE_OF_FREE) or BLOCK_BYTES // 8)
    rate = measure(n_threads, size, SECONDS)
    report = {"schema": SCHEMA, "read_bytes_per_s": round(rate), "n_threads": n_threads, "block_bytes": size}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
