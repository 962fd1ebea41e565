"""Forks writers and kills them: `python -m tests.journal.writer STATE KILLS WRITERS ACKS`.

The parent imports once and forks, so that a thousand kills take seconds. A writer appends one entry after the
other and says each one's nonce on a pipe once `record` has returned; what came through the pipe was
acknowledged. The parent writes the acknowledged texts to the file ACKS.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from bringup.actions.journal import mending  # noqa: F401 - loaded before the fork
from bringup.actions.journal import writing as action
from bringup.journal import entry, salvage, store, verify  # noqa: F401 - likewise
from bringup.machine.folders import Folders


def write_for_ever(place: Folders, pipe: int, name: str) -> None:
    number = 0
    while True:
        number += 1
        text = f"{name}-{number}"
        note = action.Note(entry.Kind.NOTE, "kill", text, {"pad": "x" * (number % 7 * 900)}, is_redacted=True)
        if action.record(note, ours=place) == "":
            os.write(pipe, f"{text}\n".encode())


def main(state: str, kills: int, writers: int, acks: str) -> None:
    place = Folders(configuration=f"{state}/c", cache=f"{state}/k", state=state)
    dice = random.Random(27)
    reading, writing = os.pipe()
    living: dict[int, str] = {}
    acknowledged: list[str] = []
    rest = ""

    def listen(until_s: float) -> None:
        nonlocal rest
        while (left := until_s - time.monotonic()) > 0:
            if select.select([reading], [], [], left)[0]:
                *lines, rest = (rest + os.read(reading, 65536).decode()).split("\n")
                acknowledged.extend(lines)

    for number in range(kills + writers):
        while len(living) < writers and number < kills:
            name = f"w{number}.{len(living)}.{dice.randrange(10**6)}"
            pid = os.fork()
            if pid == 0:
                try:
                    write_for_ever(place, writing, name)
                finally:
                    os._exit(1)
            living[pid] = name
        if not living:
            break
        listen(time.monotonic() + dice.uniform(0.002, 0.06))
        victim = dice.choice(sorted(living))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        del living[victim]
    os.close(writing)
    listen(time.monotonic() + 0.1 if not rest else time.monotonic() + 0.2)
    Path(acks).write_text("\n".join(acknowledged))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
