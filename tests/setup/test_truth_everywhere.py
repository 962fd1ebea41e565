"""The bar on truth for every command: a card in the machine, an engine that computes on the CPU.

Each command runs on this machine's processes with the hardware of a recording, so that the engine truly
starts; it is the embedded one, which has no CUDA. A new command fails here until it is in one of the tables.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.setup.test_truth import CASES, claims
from tests.stubs.command_line import Home

from bringup.faces.cli.main import COMMANDS

CASE = "nvcc-not-found/machine-off-path"
ANSWER = ("--prompt", "Say yes.", "--max-tokens", "2")
# In order: what is served is looked at and stopped by those that follow.
LINES: tuple[tuple[str, ...], ...] = (
    (),
    ("doctor", "--verbose"),
    ("fix", "running-on-cpu"),
    ("faults",),
    ("setup", "--dry-run"),
    ("setup", "--list"),
    ("run", "MODEL", *ANSWER, "--explain"),
    ("run", "MODEL", *ANSWER, "--json"),
    ("plan", "MODEL"),
    ("show", "MODEL"),
    ("prompt", "MODEL", "hello"),
    ("serve", "MODEL", "--detach"),
    ("ps",),
    ("top", "--once"),
    ("top", "--once", "--json"),
    ("logs",),
    ("stop", "--all"),
    ("models",),
    ("log",),
    ("watch",),
    ("snapshot", "SNAPSHOT"),
    ("explain", "offload"),
)
ELSEWHERE = {
    "web": "its page shows what these show, through the same actions",
    "pull": "looks at no engine and no card",
    "learn": "shows the user's own notes",
    "completion": "prints a script",
    "diagnose": "speaks of the text that it is given",
}
LESSON = {
    # How the term is taught, on any machine.
    "Putting layers on the card;",
    "Read `offloaded 24/25 layers to GPU` in the engine's log:",
}


def test_no_command_is_forgotten() -> None:
    named = {line[0] for line in LINES if line} | set(ELSEWHERE)
    assert named == {entry.name for entry in COMMANDS}


@pytest.mark.timeout(900)
def test_no_command_reads_as_if_it_ran_on_the_card(tmp_path: Path, small_model: Path) -> None:
    places = {"MODEL": str(small_model), "SNAPSHOT": str(tmp_path / "snapshot.tar.zst")}
    wanted = [[places.get(word, word) for word in line] for line in LINES]
    done = subprocess.run(
        [sys.executable, "-m", "tests.setup.on_machine", str(CASES / CASE)],
        input=json.dumps(wanted),
        env=Home(tmp_path).environment(PYTHONPATH=os.getcwd()),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(LINES)
    by_line = dict(zip(LINES, told, strict=True))
    for line, (code, text) in by_line.items():
        assert code in (0, 1, 2, 3) and "Traceback" not in text, (line, text)
        if line[:1] != ("plan",):
            assert [one for one in claims(text) if one not in LESSON] == [], line
    # A plan for the card says first for which engine it is, and that the one here is none.
    planned = " ".join(by_line["plan", "MODEL"][1].split())
    assert "The engine here (the one of the Python package) knows no CUDA" in planned
    assert planned.index("knows no CUDA") < planned.index("Context window")
    assert by_line["run", "MODEL", *ANSWER, "--json"][0] == 0
    # The card is seen, so silence about it would be a lie as well.
    assert "RTX" in by_line["doctor", "--verbose"][1]
    assert "on the CPU" in by_line["top", "--once"][1]
    assert "no card is used" in by_line["run", "MODEL", *ANSWER, "--explain"][1]
