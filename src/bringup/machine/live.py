"""This machine, now."""

from __future__ import annotations

import os
import time

from bringup.machine import commands, look
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, DiskSpace, FileStat
from bringup.reading import Absent, Known, Reading


class LiveMachine:
    """The machine that we run on, seen with the rights that we have."""

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        """The bytes of a regular file."""
        return look.relative_path(path) or look.read_file(path, source=path, limit_bytes=limit_bytes)

    def read_text(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[str]:
        """The text of a regular file, UTF-8 with replacement of what is not."""
        return look.as_text(self.read(path, limit_bytes=limit_bytes))

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        """Names in a folder, sorted."""
        return look.relative_path(path) or look.list_names(path, source=path)

    def stat(self, path: str) -> Reading[FileStat]:
        """What the file system says of a path; links are not followed."""
        return look.relative_path(path) or look.stat_path(path, source=path)

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        """Run a read-only command; see `machine.commands`."""
        return commands.run_command(argv, timeout_s=timeout_s)

    def environment(self, name: str) -> Reading[str]:
        """A variable of our own environment; set but empty is known and empty."""
        value = os.environ.get(name)
        source = f"environment variable {name}"
        return Absent(source) if value is None else Known(value, source)

    def disk_space(self, path: str) -> Reading[DiskSpace]:
        """Space of the file system that holds a path, also of one that does not exist yet."""
        return look.relative_path(path) or look.disk_space(path, source=path)

    def now_s(self) -> Reading[float]:
        """Unix time."""
        return Known(time.time(), "clock")
