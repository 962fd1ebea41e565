"""A journal that another process holds while the tests of this folder run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.stubs.command_line import Home, run_cli

UNDER_A_LOCK: dict[tuple[str, ...], int] = {
    ("log",): 0,
    ("log", "show", "1"): 0,
    ("log", "search", "before"): 0,
    ("log", "export"): 0,
    ("log", "verify"): 0,
    ("log", "compare", "first", "now"): 0,
    ("log", "since-it-worked", "--as-seen-last"): 3,
    ("log", "add", "--symptom", "while it was held"): 0,
    ("learn", "note", "vram", "12", "GiB"): 0,
    ("explain",): 0,
    ("explain", "vram"): 0,
    ("watch",): 0,
    ("ps",): 0,
    ("doctor",): 0,
}
"""Commands and their exit codes; of those that look at this machine they are taken from a free run."""

LOOKING = (("doctor",), ("watch",), ("log", "since-it-worked", "--as-seen-last"))


@dataclass
class Held:
    """A journal that another process has held since a moment."""

    home: Home
    holder: subprocess.Popen[bytes]
    since_s: float
    codes: dict[tuple[str, ...], int]

    def release(self) -> None:
        self.holder.terminate()
        self.holder.wait(15)


@pytest.fixture(scope="session")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """Another process takes the lock now, and keeps it while the other tests of this folder run."""
    home = Home(tmp_path_factory.mktemp("held"))
    codes = {words: run_cli(home, *words).returncode for words in LOOKING}
    run_cli(home, "log", "add", "--symptom", "before it was held")
    code = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\n"
        "time.sleep(3600)\n"
    )
    argv = [sys.executable, "-c", code, str(home.state / "journal.sqlite")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        one = Held(home, holder, time.monotonic(), UNDER_A_LOCK | codes)
        yield one
        one.release()
