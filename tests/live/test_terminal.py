"""`bringup top` in tmux, a real terminal, while the real engine answers."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.test_engine import answering
from tests.serve.conftest import Served, serve_in_front
from tests.stubs.command_line import Home, argv

from bringup.machine.sockets import free_port

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux")

_HANG_S = 90


@pytest.fixture(scope="module")
def served(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Home(tmp_path_factory.mktemp("terminal"))
    arguments = (str(small_model), "--port", str(free_port()), "--alias", "small", "--ctx-size", "1024")
    with serve_in_front(home, *arguments, "--parallel", "1") as running:
        yield running


class Tmux:
    """A tmux server of its own with one window, in which a command runs."""

    def __init__(self, home: Home, *command: str, columns: int, rows: int) -> None:
        self._socket = str(home.path / f"tmux{columns}")  # the one before may still be ending
        self._environment = home.environment()
        size = ("-x", str(columns), "-y", str(rows))
        self.do(
            "-f", "/dev/null", "new-session", "-d", *size, shlex.join(command) + "; echo left $?; sleep 60"
        )

    def do(self, *words: str) -> str:
        done = subprocess.run(
            ("tmux", "-S", self._socket, *words),
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=_HANG_S,
        )
        return done.stdout

    def screen_with(self, wanted: str) -> str:
        """What is on the screen once this pattern is."""
        end_s = time.monotonic() + _HANG_S
        while time.monotonic() < end_s:
            shown = self.do("capture-pane", "-p")
            if re.search(wanted, shown):
                return shown
            time.sleep(0.1)
        raise AssertionError(f"{wanted!r} never came:\n{shown}")


@pytest.mark.parametrize(("columns", "rows"), [(60, 30), (110, 40)])
def test_an_engine_that_answers_is_seen_to_answer(served: Served, columns: int, rows: int) -> None:
    tmux = Tmux(served.home, *argv("top", "--interval", "0.5"), columns=columns, rows=rows)
    try:
        tmux.screen_with(rf"engine {served.port}\s+small\s+ready")
        with answering(served):
            shown = tmux.screen_with(r"slot 0.*\n?.*generated [1-9]")
        assert "on the CPU" in shown or columns < 100
        assert all(len(line) <= columns for line in shown.splitlines())
        tmux.do("send-keys", "?")
        tmux.screen_with("keys and signs")
        tmux.do("send-keys", "Escape")
        tmux.screen_with(r"\A(?!(?s:.*)keys and signs)")  # an Escape and a q at once would be Alt-q
        tmux.do("send-keys", "q")
        tmux.screen_with(r"left 0")
    finally:
        tmux.do("kill-server")
