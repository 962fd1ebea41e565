"""Hands: a command that runs for minutes. Each line is told and kept in a log; Ctrl-C ends it all."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import BinaryIO, Final

from bringup.machine.child import BoundChild, ChildEnd, wait_readable
from bringup.machine.files import file_errors, make_private_folder
from bringup.records import dataclass

_LINE_LIMIT_BYTES: Final = 64 * 1024
_LAST_OUTPUT_S: Final = 1.0
_END_GRACE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a long command ended.

    Attributes:
        exit_code: `None` when a signal ended it.
        signal_number: that signal, otherwise `None`.
        took_s: wall time.
        cpu_s: CPU time of it and of the programs that it waited for.
        peak_bytes: largest RAM that one process among them had.
    """

    exit_code: int | None
    signal_number: int | None
    took_s: float
    cpu_s: float
    peak_bytes: int

    @property
    def is_good(self) -> bool:
        """Whether it ended by itself with code 0."""
        return self.exit_code == 0


def run_logged(
    argv: tuple[str, ...],
    *,
    environment: dict[str, str],
    log_path: str,
    on_line: Callable[[str], None],
    is_quiet: bool = False,
) -> CommandEnd:
    """Run to the end; stdout and stderr together go to the end of a log (0600).

    It dies with us. When this call is interrupted, the command and what it started get SIGINT, as a shell
    would send it, ten seconds to put things in order, then SIGKILL.

    Args:
        argv: program and arguments; no shell.
        environment: the whole environment.
        log_path: appended to; its folder is made.
        on_line: hears each line, without its end.
        is_quiet: run at the lowest priority, so that a person's other work goes first.

    Raises:
        OSError: the program cannot be run.
        FileTrouble: the log cannot be written.
    """
    make_private_folder(os.path.dirname(log_path))
    begun_s = time.monotonic()
    words = ("nice", "-n", "19", *argv) if is_quiet else argv
    with file_errors("write", log_path):
        descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as log:
        child = BoundChild(words, environment=environment, stdin=b"", data_limit_bytes=None)
        try:
            end = _listen(child, log, on_line)
        except BaseException:
            _end_group(child)
            raise
        finally:
            os.close(child.output)
    return CommandEnd(end.exit_code, end.signal_number, time.monotonic() - begun_s, end.cpu_s, end.peak_bytes)


def _listen(child: BoundChild, log: BinaryIO, on_line: Callable[[str], None]) -> ChildEnd:
    """Read until the command has ended; what its children still print is borne for a second."""
    rest = b""
    until_s: float | None = None
    while True:
        wait_readable((child.output,), 0.2)
        data = child.read_output()
        if data:
            with contextlib.suppress(OSError):  # a full disk loses log and does not stop the command
                log.write(data)
            rest = _tell(rest + data, on_line)
        end = child.poll()
        if end is not None and until_s is None:
            until_s = time.monotonic() + _LAST_OUTPUT_S
        if data is None or (until_s is not None and not data and time.monotonic() > until_s):
            if rest:
                on_line(rest.decode("utf-8", "replace"))
            return end if end is not None else _wait(child)


def _tell(data: bytes, on_line: Callable[[str], None]) -> bytes:
    *lines, rest = data.split(b"\n")
    for line in lines:
        on_line(line[:_LINE_LIMIT_BYTES].decode("utf-8", "replace").rstrip("\r"))
    return rest[-_LINE_LIMIT_BYTES:]


def _wait(child: BoundChild) -> ChildEnd:
    while (end := child.poll()) is None:
        time.sleep(0.05)
    return end


def _end_group(child: BoundChild) -> None:
    until_s = time.monotonic() + _END_GRACE_S
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGINT)
    while child.poll() is None and time.monotonic() < until_s:
        if wait_readable((child.output,), 0.1):
            child.read_output()  # what nobody reads would hold it up
    if child.poll() is None:
        child.kill_group()
        _wait(child)
