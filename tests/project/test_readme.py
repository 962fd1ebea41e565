"""Sessions in README.md are replays of cases, so they cannot go stale."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.planning.made import file_of

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
REPLAY = re.compile(
    r"<!-- replay(?P<beside> beside gpt-oss-20b\.gguf)?: bringup (?P<arguments>[^\n]*) -->"
    r"\n```text\n\$ [^\n]*\n(?P<shown>.*?)```",
    re.DOTALL,
)
CUT = "[...]"


def replays() -> list[tuple[str, bool, str]]:
    return [(m["arguments"], bool(m["beside"]), m["shown"]) for m in REPLAY.finditer(README.read_text())]


def test_there_is_a_replay() -> None:
    assert replays()


@pytest.mark.parametrize(("arguments", "is_beside", "shown"), replays())
def test_a_session_is_what_the_program_prints(
    arguments: str, is_beside: bool, shown: str, tmp_path: Path, own_home: Path
) -> None:
    """The shown lines stand in the output in order; `[...]` stands for lines left out.

    The model that a session is beside has the published one's shapes and no weights.
    """
    if is_beside:
        file_of(tmp_path, "gpt-oss-20b")
    command = [sys.executable, "-m", "bringup", *shlex.split(arguments)]
    printed = subprocess.run(
        command, cwd=tmp_path if is_beside else ROOT, capture_output=True, text=True, timeout=60, check=False
    ).stdout
    position = 0
    for piece in shown.split(CUT + "\n"):
        found = printed.find(piece, position)
        assert found >= 0, f"not printed any more:\n{piece}\n--- printed:\n{printed}"
        position = found + len(piece)
