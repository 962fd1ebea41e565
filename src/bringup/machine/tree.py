"""Eyes on folders of files: names with their sizes and identities in one pass, links followed."""

from __future__ import annotations

import errno
import os
import stat

from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder; what a link points to, not the link.

    `device` and `inode` name the file whatever its path is; `modified_s` is Unix time.
    """

    name: str
    path: str
    is_folder: bool
    is_file: bool
    size_bytes: int
    device: int
    inode: int
    modified_s: float


def list_entries(folder: str) -> Reading[tuple[Entry, ...]]:
    """What is in a folder, sorted by name; broken links and names that are no UTF-8 are left out."""
    try:
        with os.scandir(folder) as found:
            names = sorted(item.name for item in found)
    except (FileNotFoundError, NotADirectoryError):
        return Absent(folder)
    except OSError as problem:
        return Unreadable(folder, os.strerror(problem.errno or 0))
    entries = (look_at(os.path.join(folder, name)) for name in names if _is_text(name))
    return Known(tuple(entry for entry in entries if entry is not None), folder)


def look_at(path: str) -> Entry | None:
    """One path, links followed; `None` when nothing can be seen there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return Entry(
        name=os.path.basename(path),
        path=path,
        is_folder=stat.S_ISDIR(status.st_mode),
        is_file=stat.S_ISREG(status.st_mode),
        size_bytes=status.st_size,
        device=status.st_dev,
        inode=status.st_ino,
        modified_s=status.st_mtime,
    )


def unreadable_below(folder: str, *, depth: int) -> tuple[str, ...]:
    """`PATH: why` for each folder below, to a depth, that cannot be listed or entered."""
    found: list[str] = []
    root_depth = folder.rstrip(os.sep).count(os.sep)

    def note(problem: OSError) -> None:
        if not isinstance(problem, FileNotFoundError):
            found.append(f"{problem.filename}: {os.strerror(problem.errno or 0)}")

    for place, folders, _ in os.walk(folder, onerror=note):
        if place.count(os.sep) - root_depth >= depth:
            folders.clear()
        elif not os.access(place, os.X_OK):
            found.append(f"{place}: {os.strerror(errno.EACCES)}")
    return tuple(found)


def total_bytes(folder: str) -> int:
    """Bytes in all regular files below a folder; what vanishes meanwhile counts as nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))
            except OSError:
                continue
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def free_bytes(path: str) -> int:
    """What this user may still fill on the file system of a path; of the nearest folder that exists."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def remove_empty_folders(folder: str, *, below: str) -> None:
    """Remove a folder and those above it while they are empty; `below` and what is outside stay."""
    while os.path.realpath(folder).startswith(os.path.realpath(below) + os.sep):
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)
