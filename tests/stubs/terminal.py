"""A pseudo-terminal with a person's hands: types, waits for words, and keeps what was shown."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78MDEH])")
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
# The line editor switches bracketed paste on when it is ready for a line, and off when it has one. Each sign
# is one byte until the rest is clean: of a longer one a piece could go with a progress line behind it.
_SIGNS = ((b"\x1b[?2004h", b"\x01", b"<ready>"), (b"\x1b[?2004l", b"\x02", b"<sent>"))
# A progress line that was taken away again.
_ERASED = re.compile(rb"[^\n\x01\x02]*\r\x1b\[K")


class Terminal:
    """Runs a program with a terminal of its own, so that Ctrl-C and a hang-up reach it as from a real one."""

    def __init__(
        self, argv: list[str], environment: dict[str, str], *, columns: int = 80, rows: int = 24
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *argv],
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = b""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal under the program."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    @property
    def text(self) -> str:
        """All that was shown, without escape sequences; `<ready>` and `<sent>` frame each typed line."""
        data = self.raw
        for sign, mark, _ in _SIGNS:
            data = data.replace(sign, mark)
        data = _ESCAPES.sub(b"", _ERASED.sub(b"", data))
        for _, mark, word in _SIGNS:
            data = data.replace(mark, word)
        return data.decode("utf-8", "replace").replace("\r", "")

    def send(self, text: str) -> None:
        """Type, at once."""
        os.write(self._master, text.encode())

    def say(self, text: str) -> None:
        """Wait until the line editor is ready, type a line, and wait until it is taken."""
        self.wait_for("<ready>")
        self.send(text)
        self.wait_for("<sent>")

    def wait_for(self, pattern: str, timeout_s: float = 60) -> str:
        """What was shown since the last wait up to and with a pattern."""
        until = time.monotonic() + timeout_s
        while True:
            match = re.compile(pattern, re.DOTALL).search(self.text, self._seen)
            if match:
                shown = self.text[self._seen : match.end()]
                self._seen = match.end()
                return shown
            assert time.monotonic() < until, f"waited for {pattern!r} in {self.text[self._seen :]!r}"
            if not self._read(0.1) and self.process.poll() is not None:
                raise AssertionError(f"it ended before {pattern!r} in {self.text[self._seen :]!r}")

    def wait_until(self, is_so: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until something is so that the terminal does not show."""
        until = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < until, "waited in vain"
            self._read(0.02)

    def wait_end(self, timeout_s: float = 60) -> int:
        """Its exit code."""
        until = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < until:
            self._read(0.05)
        return self.process.wait(1)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += data
        return bool(data)
