"""A person at a pseudo-terminal of this very process: answers each question after it stands there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from types import TracebackType
from typing import Self

from bringup.faces.render.console import Console

PROMPT = re.compile(rb"\n(?:\x1b\[\?2004h)?(?:Step|Done by you)[^\n]*(?:leave it out|to go on|told again): $")
RESIZE = b"<resize>"
"""Not typed: the window changes its size instead, and then Enter is pressed."""
PAUSE = b"<pause>"
"""The rest of an answer comes a moment later, as a paste does over a slow line."""


class Person:
    """Feeds one answer to each question; when they are used up, the end of input (Ctrl-D).

    `early` is typed before anything is asked.
    """

    def __init__(self, *answers: bytes, early: bytes = b"") -> None:
        self._answers = list(answers)
        self._master, self._slave = pty.openpty()
        os.write(self._master, early)
        self.raw = b""
        self.asked = 0
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._stdin = open(os.dup(self._slave), encoding="utf-8")
        self._out = open(os.dup(self._slave), "w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.flush()
        termios.tcdrain(self._slave)
        os.write(self._wake, b"x")
        self._thread.join(10)
        self._stdin.close()
        self._out.close()
        for descriptor in (self._master, self._slave, self._stop, self._wake):
            os.close(descriptor)

    @property
    def console(self) -> Console:
        return Console(stdin=self._stdin, stdout=self._out, stderr=self._out)

    @property
    def text(self) -> str:
        """What was shown, less our own marks for pastes."""
        shown = re.sub(rb"\x1b\[\?2004[hl]", b"", self.raw)
        return shown.decode("utf-8", "replace").replace("\r\n", "\n")

    def _live(self) -> None:
        since = b""
        while True:
            ready = select.select([self._master, self._stop], [], [])[0]
            if self._master in ready:
                piece = os.read(self._master, 65536)
                self.raw += piece
                since += piece
                if PROMPT.search(since):
                    since = b""
                    self.asked += 1
                    self._answer(self._answers.pop(0) if self._answers else b"\x04")
            elif ready:
                return

    def _answer(self, answer: bytes) -> None:
        if answer == RESIZE:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 7, 31, 0, 0))
            os.kill(os.getpid(), signal.SIGWINCH)
            answer = b"\n"
        first, *rest = answer.split(PAUSE)
        os.write(self._master, first)
        for later in rest:
            time.sleep(0.15)
            os.write(self._master, later)
