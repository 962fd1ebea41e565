"""Whose rights we have, and what root may trust: started by `sudo`, the environment is somebody else's.

As root a folder that another user could have filled is neither searched for programs nor written to, whatever
`HOME`, `PATH` or an XDG variable says.
"""

from __future__ import annotations

import os
import pwd
import stat
from typing import Final

_TRUSTED_GROUPS: Final = (0, 50)
"""root, and Debian's staff, to whom /usr/local is open."""


def is_root() -> bool:
    """Whether we act with root's rights. A namespace in which one user is called root gives none."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/uid_map") as lines:
            return sum(int(line.split()[2]) for line in lines) > 1
    except (OSError, ValueError, IndexError):
        return True


def is_roots_own(path: str) -> bool:
    """Whether nobody but root can decide what lies at an absolute path, which need not exist yet.

    The path (or the nearest folder above it that exists) and every folder above that belong to root and are
    open to no one else's writing; where they are (`/tmp`), others must not be able to move what is root's.
    """
    return path.startswith("/") and all(
        map(_is_held_by_root, {os.path.abspath(path), os.path.realpath(path)})
    )


def _is_held_by_root(place: str) -> bool:
    """Whether a path and each folder above it are root's; links on the way count by their owner."""
    while True:
        try:
            found = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        except OSError:
            return False
        if found is not None and not _is_closed(found):
            return False
        if place == "/":
            return True
        place = os.path.dirname(place)


def _is_closed(found: os.stat_result) -> bool:
    """Root's, and nobody else may put something else in its place."""
    if found.st_uid != 0:
        return False
    group = bool(found.st_mode & stat.S_IWGRP) and found.st_gid not in _TRUSTED_GROUPS
    others = group or bool(found.st_mode & stat.S_IWOTH)
    return not others or stat.S_ISLNK(found.st_mode) or bool(found.st_mode & stat.S_ISVTX)


def own_home() -> str:
    """The home folder that the account has, whatever `HOME` says."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"


def own_name() -> str:
    """The account's name; its number where it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
