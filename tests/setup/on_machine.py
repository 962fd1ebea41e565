"""Runs command lines of `bringup` on this machine's files and processes, with the hardware of a recording.

`python -m tests.setup.on_machine CASE` reads a list of command lines (JSON) from stdin and prints, for each,
its exit code and all that it printed. Cards, driver and kernel come from the recording; home, models, Python
and running processes are this machine's, so that commands can truly start an engine.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from bringup.machine import live
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, FileStat
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known, Reading, Unreadable

RECORDED = ("/sys/", "/proc/driver", "/proc/modules", "/proc/devices", "/dev", "/lib/", "/usr/lib/")
Plain = live.LiveMachine


class OnMachine(Plain):
    """This machine with a recording's hardware."""

    recording: RecordedMachine

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        if path.startswith(RECORDED):
            told = self.recording.read(path, limit_bytes=limit_bytes)
            if not isinstance(told, Unreadable):
                return told
        return super().read(path, limit_bytes=limit_bytes)

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        if path.startswith(RECORDED):
            told = self.recording.list_folder(path)
            if not isinstance(told, Unreadable):
                return told
        return super().list_folder(path)

    def stat(self, path: str) -> Reading[FileStat]:
        if path.startswith(RECORDED):
            told = self.recording.stat(path)
            if not isinstance(told, Unreadable):
                return told
        return super().stat(path)

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        told = self.recording.run(argv, timeout_s=timeout_s)
        return told if isinstance(told, Known) else super().run(argv, timeout_s=timeout_s)


def run_one(words: list[str]) -> tuple[int, str]:
    """One command line in a process of its own."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as it lives
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            code = 99
            try:
                from bringup.faces.cli.main import run

                code = run(words)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read().decode("utf-8", "replace")


def main(case: str) -> None:
    """All command lines of stdin."""
    OnMachine.recording = RecordedMachine(case)
    live.LiveMachine = OnMachine  # type: ignore[misc]
    wanted = json.load(sys.stdin)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for words in wanted:
        code, text = run_one(words)
        print(json.dumps([code, text]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
