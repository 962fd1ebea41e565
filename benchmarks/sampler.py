"""What the sampler of `top` and `web` costs at 1 Hz: processor time, its NVML process included, no screen.

The driver is the tests' stand-in with two cards and one process; it opens its scenario file for every call,
so a real library is cheaper. The doctor's look (once in five minutes) is not part of it.

Run: `.venv-test/bin/python benchmarks/sampler.py [SECONDS]`. Aim: under 1 % of one core.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.stubs.driver_stub import build, play

from bringup.actions.live.sampler import Sampler
from bringup.machine import folders
from bringup.machine.live import LiveMachine

AIM_PCT = 1.0


def used_s() -> float:
    """Processor time of this process and of the children that live."""
    own = os.times()
    used = own.user + own.system
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def main(seconds: float) -> int:
    """Print one line; 1 when the aim is missed."""
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        play(Path(name), "cards 2", "busy 50", f"process {os.getpid()}")
        os.environ["LD_LIBRARY_PATH"] = name
        sampler = Sampler(LiveMachine(), subject="this machine", folders=folders.our_folders())
        sampler.start()
        time.sleep(3)
        before_s, first = used_s(), sampler.latest()
        time.sleep(seconds)
        spent_s, last = used_s() - before_s, sampler.latest()
        sampler.close()
    assert first is not None and last is not None
    looks = last.number - first.number
    processes = sum(entry.isdigit() for entry in os.listdir("/proc"))
    pct = 100 * spent_s / seconds
    print(
        f"{looks} looks in {seconds:.0f} s, {processes} processes: {pct:.2f} % of one core, aim {AIM_PCT} %"
    )
    print(f"one look: {1000 * spent_s / max(1, looks):.1f} ms of processor time")
    return 1 if pct > AIM_PCT else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
