"""A machine that passes each look on and notes how long the answers took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bringup.machine import look
from bringup.machine.commands import source_of
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, DiskSpace, FileStat, Machine
from bringup.reading import Reading

T = TypeVar("T")


class TimedMachine:
    """Looks at another machine; `took_s` is the time that each source took, all looks at it together."""

    def __init__(self, machine: Machine) -> None:
        """`machine` is what is looked at."""
        self._machine = machine
        self.took_s: dict[str, float] = {}

    def _timed(self, source: str, ask: Callable[[], Reading[T]]) -> Reading[T]:
        started_s = time.monotonic()
        reading = ask()
        self.took_s[source] = self.took_s.get(source, 0.0) + time.monotonic() - started_s
        return reading

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        """The bytes of a file."""
        return self._timed(path, lambda: self._machine.read(path, limit_bytes=limit_bytes))

    def read_text(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[str]:
        """The text of a file, UTF-8 with replacement of what is not."""
        return look.as_text(self.read(path, limit_bytes=limit_bytes))

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        """Names in a folder, sorted."""
        return self._timed(path, lambda: self._machine.list_folder(path))

    def stat(self, path: str) -> Reading[FileStat]:
        """What the file system says of a path."""
        return self._timed(path, lambda: self._machine.stat(path))

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        """Run a read-only command."""
        return self._timed(source_of(argv), lambda: self._machine.run(argv, timeout_s=timeout_s))

    def environment(self, name: str) -> Reading[str]:
        """An environment variable."""
        return self._timed(f"environment variable {name}", lambda: self._machine.environment(name))

    def disk_space(self, path: str) -> Reading[DiskSpace]:
        """Space of the file system that holds a path."""
        return self._timed(path, lambda: self._machine.disk_space(path))

    def now_s(self) -> Reading[float]:
        """Unix time of the machine."""
        return self._timed("clock", self._machine.now_s)
