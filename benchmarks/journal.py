"""What the journal costs: a write, a look that changes nothing, reading 100,000 entries.

    .venv-test/bin/python benchmarks/journal.py

Prints one line a figure: the median of several runs, wall and processor time. The journal is made up (runs,
states with their judgements) and lies in a temporary folder.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bringup.actions.diagnosis.doctor import examine
from bringup.actions.journal.writing import Note, record
from bringup.actions.log import state_record
from bringup.journal.entry import Draft, Kind, Moment
from bringup.journal.store import Journal, open_journal
from bringup.machine.folders import Folders
from bringup.machine.live import LiveMachine
from bringup.machine.recorder import Recorder

N_ENTRIES = 100_000
N_STATES = 1_000


def measure(name: str, act: Callable[[], object], *, times: int = 9) -> None:
    """Print the medians of several runs."""
    wall_s, cpu_s = [], []
    for _ in range(times):
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        act()
        wall_s.append(time.perf_counter() - started_s)
        cpu_s.append(time.process_time() - started_cpu_s)
    print(
        f"{name:58} {statistics.median(wall_s) * 1000:8.1f} ms  {statistics.median(cpu_s) * 1000:8.1f} ms cpu"
    )


def measure_command(name: str, state: str, *words: str) -> None:
    """Print the medians of several runs of the whole program."""
    environment = os.environ | {"XDG_STATE_HOME": state}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    wall_s, cpu_s = [], []
    for _ in range(7):
        before, started_s = os.times(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bringup", *words], env=environment, capture_output=True, check=False
        )
        wall_s.append(time.perf_counter() - started_s)
        after = os.times()
        cpu_s.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    print(
        f"{name:58} {statistics.median(wall_s) * 1000:8.1f} ms  {statistics.median(cpu_s) * 1000:8.1f} ms cpu"
    )


def fill(place: Folders) -> None:
    """A journal of many entries behind one real look at this machine."""
    recorder = Recorder(LiveMachine())
    examination = examine(recorder, subject="this machine")
    state_record.keep_state(LiveMachine(), examination, recorder.recording, place=place)
    dice = random.Random(1)
    with open_journal(place.journal_file) as journal:
        base = journal.entries(kinds=(Kind.STATE,))[0]
        drafts = []
        verdict = {"verdict": "healthy", "unseen": [], "faults": []}
        broken = verdict | {
            "verdict": "faults",
            "faults": [
                {"id": "driver-library-mismatch", "role": "root", "layer": "kernel", "title": "t", "saw": "s"}
            ],
        }
        for number in range(N_ENTRIES - 2):
            moment = Moment(time.time() - (N_ENTRIES - number) * 300, "boot", float(number))
            nonce = dice.randbytes(16)
            if number % (N_ENTRIES // N_STATES) == 0 or number == N_ENTRIES - 4:
                own = nonce[:6].hex()
                data = {
                    "base": base.seq,
                    "rules": state_record.rules_mark(),
                    "layers": ["kernel"],
                    "difference": {
                        "whole": False,
                        "parts": {f"fact\tkernel\tn{number}": ["known", str(number), "s", ""]},
                        **{"gone": [], "marks": {}, "marks_gone": []},
                    },
                }
                drafts.append(Draft(Kind.STATE, f"{own} {own}", "kernel x: 1 -> 2", data, moment, nonce))
                is_last = number == N_ENTRIES - 4
                judged = state_record.judged_draft(own, broken if is_last else verdict, moment)
                drafts.append(judged)
            else:
                text = f"model {number % 7} ran with {dice.randrange(10**6)} tokens on build b{number % 300}"
                data = {"phase": "ended", "is_good": True, "n_ctx": 8192, "predicted_tokens_per_s": 30.0}
                drafts.append(Draft(Kind.RUN, f"model-{number % 7}", text, data, moment, nonce))
        journal.append(drafts)


def main() -> None:
    """Measure all."""
    with tempfile.TemporaryDirectory(prefix="journal-") as folder:
        small = Folders(f"{folder}/c", f"{folder}/k", f"{folder}/small/bringup")
        text = "a run of a model"
        record(Note(Kind.RUN, "model", text), ours=small)
        measure(
            "one entry, redacted and stored", lambda: record(Note(Kind.RUN, "m", text), ours=small), times=50
        )
        recorder = Recorder(LiveMachine())
        examination = examine(recorder, subject="this machine")

        def keep() -> str:
            return state_record.keep_state(LiveMachine(), examination, recorder.recording, place=small)

        measure("the first state of a machine", keep, times=1)
        measure("a look at a machine that is as it was", keep, times=30)
        large = Folders(f"{folder}/c", f"{folder}/k", f"{folder}/large/bringup")
        fill(large)
        size = Path(large.journal_file).stat().st_size
        print(f"{N_ENTRIES:,} entries are {size / 2**20:.0f} MiB")
        measure("one entry more", lambda: record(Note(Kind.RUN, "m", text), ours=large), times=50)
        from bringup.actions.log.since import since_it_worked
        from bringup.actions.log.timeline import read_timeline
        from bringup.journal.store import read_journal
        from bringup.journal.verify import verify

        def reading(read: Callable[[Journal], object]) -> Callable[[], object]:
            def act() -> object:
                with read_journal(large.journal_file) as journal:
                    return read(journal)

            return act

        measure("log", lambda: read_timeline(large, LiveMachine(), since_s=None, layer=None, last=40))
        measure(
            "log search, a rare word", reading(lambda journal: journal.search(["b299", "model"], last=40))
        )
        measure("log search, no such word", reading(lambda journal: journal.search(["nowhere"], last=40)))
        measure(
            "log since-it-worked, as seen last",
            reading(lambda journal: since_it_worked(journal, None, outside=())),
        )
        measure("log verify", reading(verify), times=1)
        measure_commands(f"{folder}/large")


def measure_commands(state: str) -> None:
    """Whole processes on the large journal."""
    measure_command("whole process: --help", state, "--help")
    measure_command("whole process: log", state, "log")
    measure_command("whole process: log search nowhere", state, "log", "search", "nowhere")
    measure_command(
        "whole process: log since-it-worked --as-seen-last",
        state,
        "log",
        "since-it-worked",
        "--as-seen-last",
    )
    measure_command("whole process: doctor", state, "doctor")


if __name__ == "__main__":
    main()
