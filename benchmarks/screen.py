"""What the screen of `top` costs beside that of nvitop: both at 1 Hz at once, in terminals of one size.

The driver is the tests' stand-in with two cards and one process; its load and its memory change each second,
so that both have something to draw. Both are measured over the same spans, children included.

Run: `.venv-test/bin/python benchmarks/screen.py NVITOP [ROUNDS [SECONDS]]`; NVITOP is its program, from an
environment of its own (`python -m venv x; x/bin/pip install nvitop`). Aim: no more than nvitop.
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.stubs.command_line import Home, argv
from tests.stubs.driver_stub import build, play

ROWS, COLUMNS = 40, 110


class Screen:
    """A program in a terminal of its own, whose output is read and counted."""

    def __init__(self, name: str, words: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.written_bytes = 0
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.child = subprocess.Popen(
            words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        while True:
            try:
                self.written_bytes += len(os.read(self.ours, 65536))
            except OSError:
                return

    def used_s(self) -> float:
        """Processor time of the program and of the children that live."""
        return sum(spent_s(pid) for pid in family(self.child.pid))

    def close(self) -> None:
        """End it."""
        os.write(self.ours, b"q")
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def spent_s(pid: int) -> float:
    """Processor time of a process, threads that ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def change(folder: Path, over: threading.Event) -> None:
    """Another load each second."""
    while not over.wait(1.0):
        busy, used = random.randint(0, 100), random.randint(700, 9000)
        play(folder, "cards 2", f"busy {busy}", f"used_mib {used}", f"process {os.getpid()}")


def main(nvitop: str, rounds: int, seconds: float) -> int:
    """Print a line a round; 1 when the aim is missed."""
    over = threading.Event()
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        play(Path(name), "cards 2", "busy 50", f"process {os.getpid()}")
        threading.Thread(target=change, args=(Path(name), over), daemon=True).start()
        environment = Home(Path(name)).environment(LD_LIBRARY_PATH=name, TERM="xterm-256color")
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        screens = [
            Screen("bringup top", argv("top"), environment),
            Screen("nvitop", [nvitop, "-m", "full", "--interval", "1"], environment),
        ]
        time.sleep(8)
        spent: dict[str, list[float]] = {screen.name: [] for screen in screens}
        for number in range(1, rounds + 1):
            before = [(screen.used_s(), screen.written_bytes) for screen in screens]
            time.sleep(seconds)
            told = []
            for screen, (used_s, written) in zip(screens, before, strict=True):
                pct = 100 * (screen.used_s() - used_s) / seconds
                spent[screen.name].append(pct)
                rate = (screen.written_bytes - written) / seconds
                told.append(f"{screen.name} {pct:.2f} % of one core, {rate:,.0f} bytes/s")
            print(f"round {number}: {'; '.join(told)}", flush=True)
        over.set()
        for screen in screens:
            screen.close()
    means = {name: sum(values) / len(values) for name, values in spent.items()}
    print("; ".join(f"{name} {mean:.2f} %" for name, mean in means.items()))
    return 1 if means["bringup top"] > means["nvitop"] else 0


if __name__ == "__main__":
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    sys.exit(main(sys.argv[1], rounds, float(sys.argv[3]) if len(sys.argv) > 3 else 60.0))
