"""Whole-process time of the quick answers: median of interleaved runs, beside Python's and click's own start.

The processor time stands beside it: on a busy machine it tells waiting from working.

Run: `.venv-test/bin/python benchmarks/startup.py [ROUNDS]`. Aim: under 150 ms each on the two-core machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from bringup.faces.cli.main import COMMANDS

AIM_MS = 150.0
PROGRAM = os.path.join(sys.prefix, "bin", "bringup")


def cases() -> dict[str, list[str]]:
    """Name -> command."""
    helps = {f"bringup {entry.name} --help": [PROGRAM, entry.name, "--help"] for entry in COMMANDS}
    return {
        "python -c ''": [sys.executable, "-c", ""],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "bringup --version": [PROGRAM, "--version"],
        "bringup --help": [PROGRAM, "--help"],
        **helps,
        "bringup completion bash": [PROGRAM, "completion", "bash"],
    }


def measure(argv: list[str]) -> tuple[float, float]:
    """Milliseconds of one process: from start to exit, and of processor time."""
    start = time.perf_counter()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    took_ms = (time.perf_counter() - start) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{argv} ended with {child.returncode}")
    return took_ms, (used.ru_utime + used.ru_stime) * 1000


def main(rounds: int) -> int:
    """Print a table; 1 when a median misses the aim."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases()}
    for _ in range(rounds):
        for name, argv in cases().items():
            times[name].append(measure(argv))
    late = 0
    print(
        f"{'command':32} {'median ms':>10} {'best ms':>8} {'worst ms':>9} {'processor ms':>13}  of {rounds}"
    )
    for name, values in times.items():
        whole = [value[0] for value in values]
        median, processor = statistics.median(whole), statistics.median(value[1] for value in values)
        late += name.startswith("bringup") and median >= AIM_MS
        print(f"{name:32} {median:10.0f} {min(whole):8.0f} {max(whole):9.0f} {processor:13.0f}")
    print(f"{late} of {len(times)} over {AIM_MS:.0f} ms")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
