"""Whole-process time of `bringup plan` on the full-size header of gpt-oss-20b, first and second time.

The first time reads 15.5 MB of header; the second finds it in the index. Runs are interleaved with Python's
own start and `bringup plan --help`, so that a busy machine shows. The processor time stands beside the time
that passes: it tells waiting from working.

Run: `env -u PYTHONDONTWRITEBYTECODE .venv-test/bin/python -m benchmarks.plan [ROUNDS]` in the root of the
repository. Aims on an idle machine: under 300 ms the first time, under 200 the second.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.model.writing import gpt_oss_20b

from bringup.model.gguf import read_header
from bringup.store.header import FileSource

PROGRAM = os.path.join(sys.prefix, "bin", "bringup")
CARD = ("--gpu", "RTX 3060", "--ram", "64G")
AIMS_MS = {"first time": 300.0, "second time": 200.0}


def write_model(path: Path) -> None:
    """The header with a hole of 12 GB for the weights."""
    data = bytes(gpt_oss_20b().data)
    path.write_bytes(data)
    os.truncate(path, read_header(FileSource(str(path), len(data))).needed_bytes)


def measure(argv: list[str], home: Path) -> tuple[float, float]:
    """Milliseconds of one process: from start to exit, and of processor time."""
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    started = time.perf_counter()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(child.pid, 0)
    took_ms = (time.perf_counter() - started) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{argv} ended with {child.returncode}")
    return took_ms, (used.ru_utime + used.ru_stime) * 1000


def main(rounds: int) -> int:
    """Print a table; 1 when a median misses its aim."""
    times: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home, path = Path(folder), Path(folder) / "gpt-oss-20b.gguf"
        write_model(path)
        plan = [PROGRAM, "plan", str(path)]
        for _ in range(rounds):
            for name, more in (("this machine", ()), ("a card", CARD)):
                shutil.rmtree(home / ".cache", ignore_errors=True)
                for time_name in AIMS_MS:
                    key = f"plan, {name}, {time_name}"
                    times.setdefault(key, []).append(measure([*plan, *more], home))
            times.setdefault("python -c ''", []).append(measure([sys.executable, "-c", ""], home))
            times.setdefault("plan --help", []).append(measure([PROGRAM, "plan", "--help"], home))
    return report(times, rounds)


def report(times: dict[str, list[tuple[float, float]]], rounds: int) -> int:
    """The table, and whether an aim is missed."""
    late = 0
    print(f"{'':36} {'median ms':>10} {'best ms':>8} {'worst ms':>9} {'processor ms':>13}  of {rounds}")
    for name, values in times.items():
        whole = [value[0] for value in values]
        median, processor = statistics.median(whole), statistics.median(value[1] for value in values)
        aim = next((aim for time_name, aim in AIMS_MS.items() if name.endswith(time_name)), None)
        late += aim is not None and median >= aim
        print(f"{name:36} {median:10.0f} {min(whole):8.0f} {max(whole):9.0f} {processor:13.0f}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
