"""Whole-process time of the doctor: a live check, `bringup` alone, and `diagnose` of a 10 MB log.

Medians of interleaved runs, with the processor time beside: on a busy machine it tells waiting from working.

Run: `.venv-test/bin/python benchmarks/doctor.py [ROUNDS]`. Aims on the two-core machine: a live check under
300 ms, a 10 MB log under 1 s.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.join(sys.prefix, "bin", "bringup")
LOG_BYTES = 10_000_000


def write_log(path: str) -> None:
    """A day of a server's log, a third of it prompts in free words, with one cause in its middle."""
    pick = random.Random(3)
    syllables = ("ba", "con", "de", "fi", "gra", "lo", "mi", "nu", "per", "sta", "tion", "ver")
    words = ["".join(pick.choices(syllables, k=pick.randrange(1, 5))) for _ in range(6000)]
    lines = []
    size = 0
    while size < LOG_BYTES:
        line = pick.choice(
            (
                f"slot update_slots: id {pick.randrange(4)} | task {pick.randrange(99999)} | n_past = {size}",
                f"[{size / 1000:12.6f}] usb {pick.randrange(9)}-{pick.randrange(9)}: reset high-speed device",
                f"request: POST /v1/chat/completions 127.0.0.1 200 {pick.random():.6f}",
                " ".join(pick.choices(words, k=14)),
            )
        )
        lines.append(line)
        size += len(line) + 1
    middle = len(lines) // 2
    lines[middle] = "CUDA error: the provided PTX was compiled with an unsupported toolchain."
    with open(path, "w", encoding="ascii") as handle:
        handle.write("\n".join(lines))


def measure(argv: list[str]) -> tuple[float, float]:
    """Milliseconds of one process: from start to exit, and of processor time."""
    start = time.perf_counter()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    took_ms = (time.perf_counter() - start) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1, 3):
        raise SystemExit(f"{argv} ended with {child.returncode}")
    return took_ms, (used.ru_utime + used.ru_stime) * 1000


def main(rounds: int) -> int:
    """Print a table; 1 when a median misses its aim."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        write_log(log)
        cases = {
            "bringup doctor": ([PROGRAM, "doctor"], 300.0),
            "bringup": ([PROGRAM], 300.0),
            "bringup diagnose 10 MB": ([PROGRAM, "diagnose", log], 1000.0),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, (argv, _) in cases.items():
                times[name].append(measure(argv))
    late = 0
    print(
        f"{'command':24} {'median ms':>10} {'best ms':>8} {'worst ms':>9} {'processor ms':>13}  of {rounds}"
    )
    for name, values in times.items():
        whole = [value[0] for value in values]
        median, processor = statistics.median(whole), statistics.median(value[1] for value in values)
        late += median >= cases[name][1]
        print(f"{name:24} {median:10.0f} {min(whole):8.0f} {max(whole):9.0f} {processor:13.0f}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
