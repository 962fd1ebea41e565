"""Single looks at a real file system, turned into readings; used by the live machine and by `--root`.

Only regular files are opened: opening a device can do something (a watchdog starts), a FIFO waits for
ever. Nothing here blocks on a special file, and nothing reads more than it was allowed to.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, TypeVar

from bringup.machine.protocol import DiskSpace, FileKind, FileStat
from bringup.reading import Absent, Known, Reading, Unreadable

NAMES_LIMIT: Final = 100_000
"""Most names of a folder that a look lists."""

_CHUNK_BYTES: Final = 256 * 1024
_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ESRCH)
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

T = TypeVar("T")


def failed_look(problem: OSError | ValueError, source: str) -> Absent | Unreadable:
    """What a failed system call says: surely not there, or not to be seen and why."""
    if isinstance(problem, ValueError):
        return Unreadable(source, "not a usable path")
    if problem.errno in _GONE:
        return Absent(source)
    return Unreadable(source, os.strerror(problem.errno) if problem.errno else str(problem))


def too_large(source: str, limit_bytes: int) -> Unreadable:
    """The reading of a file beyond the limit; the same words wherever the limit is met."""
    return Unreadable(source, f"larger than the {limit_bytes:,} bytes that this look reads")


def read_file(path: str, *, source: str, limit_bytes: int, follow: bool = True) -> Reading[bytes]:
    """The bytes of a regular file, whatever size it claims (files of /proc claim none).

    Args:
        path: where it lies.
        source: the path that the reading names.
        limit_bytes: the most that is read; a longer file is unreadable.
        follow: whether a link at the end of the path is followed.
    """
    try:
        kind = os.stat(path, follow_symlinks=follow)
        if not stat.S_ISREG(kind.st_mode):
            return Unreadable(source, f"not a file but a {_kind_words(kind.st_mode)}")
        if kind.st_size > limit_bytes:
            return too_large(source, limit_bytes)
        descriptor = os.open(path, _OPEN if follow else _OPEN | os.O_NOFOLLOW)
    except (OSError, ValueError) as problem:
        return failed_look(problem, source)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Unreadable(source, "it was exchanged while being opened")
        data = _read_up_to(descriptor, limit_bytes + 1)
    except OSError as problem:
        return failed_look(problem, source)
    finally:
        os.close(descriptor)
    return too_large(source, limit_bytes) if len(data) > limit_bytes else Known(data, source)


def _read_up_to(descriptor: int, limit_bytes: int) -> bytes:
    data = bytearray()
    while len(data) < limit_bytes:
        piece = os.read(descriptor, min(_CHUNK_BYTES, limit_bytes - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


def list_names(path: str, *, source: str) -> Reading[tuple[str, ...]]:
    """Names in a folder, sorted; a thing that is no folder is unreadable, not absent."""
    names: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if len(names) == NAMES_LIMIT:
                    return Unreadable(source, f"more than {NAMES_LIMIT:,} names in it")
                names.append(entry.name)
    except (OSError, ValueError) as problem:
        if isinstance(problem, NotADirectoryError) and os.path.lexists(path):
            return Unreadable(source, "not a folder")
        return failed_look(problem, source)
    return Known(tuple(sorted(names)), source)


def stat_path(path: str, *, source: str) -> Reading[FileStat]:
    """What the file system says of a path; a link at its end is told as a link."""
    try:
        found = os.lstat(path)
        target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
    except (OSError, ValueError) as problem:
        return failed_look(problem, source)
    facts = FileStat(
        kind=_kind(found.st_mode),
        size_bytes=found.st_size,
        mode=stat.S_IMODE(found.st_mode),
        user_id=found.st_uid,
        group_id=found.st_gid,
        modified_s=found.st_mtime,
        device=found.st_dev,
        inode=found.st_ino,
        link_target=target,
    )
    return Known(facts, source)


def disk_space(path: str, *, source: str) -> Reading[DiskSpace]:
    """Space of the file system that holds a path; of one not there yet, its nearest folder decides."""
    try:
        while not os.path.exists(path) and os.path.dirname(path) != path:
            path = os.path.dirname(path)
        found = os.statvfs(path)
    except (OSError, ValueError) as problem:
        return failed_look(problem, source)
    space = DiskSpace(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
    return Known(space, source)


def as_text(reading: Reading[bytes]) -> Reading[str]:
    """UTF-8 with replacement of what is not."""
    if isinstance(reading, Known):
        return Known(reading.value.decode("utf-8", "replace"), reading.source)
    return reading


def relative_path(path: str) -> Unreadable | None:
    """The reading of a path that is not absolute: what it means would depend on where we stand."""
    return None if path.startswith("/") else Unreadable(path, "not an absolute path")


def _kind(mode: int) -> FileKind:
    if stat.S_ISREG(mode):
        return FileKind.FILE
    if stat.S_ISDIR(mode):
        return FileKind.FOLDER
    if stat.S_ISLNK(mode):
        return FileKind.LINK
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return FileKind.DEVICE
    return FileKind.OTHER


def _kind_words(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "FIFO"
    return "socket" if stat.S_ISSOCK(mode) else _kind(mode).value
