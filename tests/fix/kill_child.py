"""Kills a step's run with SIGKILL at each line that it executes, each time in a process of its own.

FOLDER: prints one JSON row a kill: the line, what the record says, and whether the command had an effect.
The command copies the record itself, so its copy shows what was on the disk when the effect began.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fix.made import MADE_ID, made_fault, step

from bringup.actions.diagnosis.doctor import Examination
from bringup.actions.fixing.fix import plan_fix
from bringup.actions.fixing.run import FixRun
from bringup.actions.journal.fix_record import FixRecord
from bringup.faults._diagnose import diagnose
from bringup.faults._fault import Fault
from bringup.faults._scene import Scene
from bringup.machine.folders import Folders
from bringup.stack.stack import Stack

TRACED = (
    "actions/fixing/run.py",
    "actions/journal/fix_record.py",
    "machine/effects.py",
    "machine/appending.py",
)


def fault_in(folder: Path) -> Fault:
    state = folder / "state"
    copy = step(
        "cp", str(state / "fixes.jsonl"), str(folder / "effect"), verify=("ls", str(folder / "effect"))
    )
    return made_fault((copy,), is_there=lambda: not (folder / "effect").exists())


def take(folder: Path) -> None:
    fault = fault_in(folder)

    def look() -> Examination:
        return Examination(Stack(), diagnose(Scene(), (fault,)), (), "this machine")

    import bringup.actions.diagnosis.faults
    import bringup.faults._catalogue

    bringup.faults._catalogue.load_catalogue = lambda: (fault,)  # type: ignore[assignment]
    plan = plan_fix(look(), MADE_ID, is_this_machine=True)
    record = FixRecord(Folders(str(folder), str(folder), str(folder / "state")))
    for _ in FixRun(plan, record, look).take(plan.steps[0], stdin=None):
        pass


class Killer:
    """Counts the lines of our own code that run, and kills this process at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def run_until(folder: Path, at: int) -> int:
    """The lines that ran; does not return where it is killed before."""
    killer = Killer(at)
    sys.settrace(killer)
    try:
        take(folder)
    finally:
        sys.settrace(None)
    return killer.count


def killed_at(folder: Path, at: int) -> dict[str, Any]:
    folder.mkdir()
    child = os.fork()
    if child == 0:
        run_until(folder, at)
        os._exit(7)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    record = FixRecord(Folders(str(folder), str(folder), str(folder / "state")))
    effect = folder / "effect"
    attempts = record.read().attempts
    until = time.monotonic() + 5
    # A command that had been started goes on: wait for it where the record knows it, else a moment.
    while attempts and attempts[0].outcome.value == "running" and time.monotonic() < until:
        time.sleep(0.005)
    if attempts and not effect.exists():
        time.sleep(0.05)
    read = record.read()
    return {
        "at": at,
        "killed": killed,
        "noted": len(read.attempts),
        "outcome": read.attempts[0].outcome.value if read.attempts else "",
        "unfinished": len(read.unfinished),
        "damaged": read.damaged_lines,
        "effect": effect.read_text() if effect.exists() else None,
    }


def main() -> None:
    folder = Path(sys.argv[1])
    whole = folder / "whole"
    whole.mkdir()
    lines = run_until(whole, -1)
    for at in range(1, lines + 1):
        print(json.dumps(killed_at(folder / str(at), at)), flush=True)


if __name__ == "__main__":
    main()
