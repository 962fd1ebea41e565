"""The driver asked again and again, through one process of ours that stays (`machine.nvml_watch_child`).

A driver that hangs, or a library that crashes, ends that process only; another one is started later, ever
more seldom while it keeps failing, so that a broken driver costs next to nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from typing import Final

from bringup.machine.commands import own_command
from bringup.machine.protocol import CommandResult
from bringup.reading import Known, Reading, Unreadable

SOURCE: Final = "NVML"
_ANSWER_LIMIT_BYTES: Final = 4 * 1024**2
_ENDS: Final = '"ends": true'
"""In an answer after which the process ends by itself; a quote within a foreign string is written `\\"`."""

_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0


class NvmlWatch:
    """One process that asks; to be used by one thread. `close` ends it."""

    def __init__(self, *, patience_s: float = 3.0) -> None:
        """Starts nothing yet; `patience_s` is how long one call to the driver may take."""
        self._patience_s = patience_s
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._pause_s = 0.0
        self._not_before_s = 0.0
        self._last: Reading[CommandResult] = Unreadable(SOURCE, "not asked yet")

    @property
    def is_open(self) -> bool:
        """Whether the process lives, which has the library open."""
        return self._child is not None

    def look(self) -> Reading[CommandResult]:
        """The driver's answer now; between two tries with a driver that fails, the failure again."""
        if self._child is None:
            if time.monotonic() < self._not_before_s:
                return self._last
            self._start()
        self._last = self._ask()
        if not isinstance(self._last, Known) or _ENDS in self._last.value.stdout:
            self._put_off()
        else:
            self._pause_s = 0.0
        return self._last

    def renew(self) -> None:
        """Open NVML anew at the next look: a card that was lost is only found again so."""
        self.close()
        self._not_before_s = 0.0

    def close(self) -> None:
        """End the process."""
        child, self._child, self._rest = self._child, None, b""
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _start(self) -> None:
        words, environment = own_command("nvml_watch_child.py", (str(self._patience_s),))
        self._child = subprocess.Popen(
            words,
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _ask(self) -> Reading[CommandResult]:
        child = self._child
        assert child is not None and child.stdin is not None
        try:
            child.stdin.write(b"\n")
            child.stdin.flush()
        except OSError:
            return self._death()
        line = self._line(time.monotonic() + self._patience_s + 2.0)
        if line is None:
            return Unreadable(SOURCE, f"no answer within {self._patience_s + 2.0:g} s")
        if not line:
            return self._death()
        return Known(CommandResult(("bringup-nvml",), 0, line.decode("utf-8", "replace"), ""), SOURCE)

    def _line(self, until_s: float) -> bytes | None:
        """One line of the child, `b""` at the end of its output, `None` when none came in time."""
        assert self._child is not None and self._child.stdout is not None
        descriptor = self._child.stdout.fileno()
        while b"\n" not in self._rest:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                return None
            piece = os.read(descriptor, 64 * 1024)
            if not piece or len(self._rest) > _ANSWER_LIMIT_BYTES:
                return b""
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _death(self) -> Reading[CommandResult]:
        assert self._child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(1.0)
        code = self._child.returncode
        if code is not None and code < 0:
            return Unreadable(SOURCE, f"the library killed the process that asked it (signal {-code})")
        return Unreadable(SOURCE, "the process that asks it ended")

    def _put_off(self) -> None:
        self.close()
        self._pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * self._pause_s))
        self._not_before_s = time.monotonic() + self._pause_s
