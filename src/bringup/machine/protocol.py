"""Eyes: what can be asked of a machine, whether it is live, a mounted disk or a recording.

Facts are read through this protocol only, so that one set of rules judges a live machine, a
`--root` tree and a recorded folder alike. Every answer is a reading; nothing here changes anything.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from bringup.reading import Reading
from bringup.records import dataclass

READ_LIMIT_BYTES = 16 * 1024**2
"""Largest file a look reads whole; beyond it the reading is unreadable and says so."""


class FileKind(Enum):
    """What a path is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    DEVICE = "device"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What the file system says of one path (links are not followed).

    `modified_s` is Unix time; `device` and `inode` name the file whatever its path is.
    """

    kind: FileKind
    size_bytes: int
    mode: int
    user_id: int
    group_id: int
    modified_s: float
    device: int
    inode: int
    link_target: str | None = None


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Space of the file system that holds a path; `free_bytes` is what a user without root may fill."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command printed and how it ended. `exit_code` is negative for a signal."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class Machine(Protocol):
    """A machine that can be looked at.

    A path that is surely not there, a command that is not installed and a variable that is not set
    are `Absent`; missing rights, time-outs, oversized files and things a recording does not hold are
    `Unreadable`.
    """

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        """The bytes of a file."""
        ...

    def read_text(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[str]:
        """The text of a file, UTF-8 with replacement of what is not."""
        ...

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        """Names in a folder, sorted."""
        ...

    def stat(self, path: str) -> Reading[FileStat]:
        """What the file system says of a path."""
        ...

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        """Run a read-only command: no shell, `LC_ALL=C`, a clean environment, a time limit."""
        ...

    def environment(self, name: str) -> Reading[str]:
        """An environment variable."""
        ...

    def disk_space(self, path: str) -> Reading[DiskSpace]:
        """Space of the file system that holds a path."""
        ...

    def now_s(self) -> Reading[float]:
        """Unix time of the machine in seconds."""
        ...
