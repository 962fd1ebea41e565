"""A machine whose disk is mounted somewhere (`--root DIR`): its files can be seen, nothing of it runs.

Every path and every link in it is resolved inside the root, as the machine itself would have done;
`..` stops at the root. So an absolute link in a foreign tree cannot lead to a file of ours.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from bringup.machine import look
from bringup.machine.commands import source_of
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, DiskSpace, FileStat
from bringup.reading import Absent, Known, Reading, Unreadable

NOT_LIVE: Final = "not a live machine"
_LINKS_LIMIT: Final = 40
_MADE_BY_KERNEL: Final = ("/proc", "/sys", "/dev", "/run")


class RootedMachine:
    """The machine below a folder."""

    def __init__(self, root: str) -> None:
        """`root` is the folder that stands for `/`."""
        self.root = os.path.realpath(root)

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        """The bytes of a regular file of that disk."""
        place = self._place(path)
        if not isinstance(place, str):
            return place
        found = look.read_file(place, source=path, limit_bytes=limit_bytes, follow=False)
        return self._as_sure(found, path)

    def read_text(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[str]:
        """The text of a regular file, UTF-8 with replacement of what is not."""
        return look.as_text(self.read(path, limit_bytes=limit_bytes))

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        """Names in a folder, sorted."""
        place = self._place(path)
        if not isinstance(place, str):
            return place
        names = look.list_names(place, source=path)
        if isinstance(names, Known) and not names.value and _made_by_kernel(path):
            return Unreadable(path, f"{NOT_LIVE}, and the kernel fills this folder")
        return self._as_sure(names, path)

    def stat(self, path: str) -> Reading[FileStat]:
        """What the disk says of a path; a link at its end is told as a link."""
        place = self._place(path, follow_last=False)
        if not isinstance(place, str):
            return place
        return self._as_sure(look.stat_path(place, source=path), path)

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:  # noqa: ARG002
        """Nothing is run: the answer would be about our machine."""
        return Unreadable(source_of(argv), NOT_LIVE)

    def environment(self, name: str) -> Reading[str]:
        """Nobody's environment is on a disk."""
        return Unreadable(f"environment variable {name}", NOT_LIVE)

    def disk_space(self, path: str) -> Reading[DiskSpace]:
        """Space of the file system that holds a path."""
        place = self._place(path)
        if isinstance(place, Absent):
            place = self.root
        if not isinstance(place, str):
            return place
        return look.disk_space(place, source=path)

    def now_s(self) -> Reading[float]:
        """A disk has no clock."""
        return Unreadable("clock", NOT_LIVE)

    def _place(self, path: str, *, follow_last: bool = True) -> str | Absent | Unreadable:
        """Where a path of that machine lies on ours."""
        wrong = look.relative_path(path)
        if wrong is not None:
            return wrong
        try:
            place = resolve_inside(self.root, path, follow_last=follow_last)
        except (OSError, ValueError) as problem:
            failed = look.failed_look(problem, path)
            return Unreadable(path, NOT_LIVE) if self._was_kernels(failed, path) else failed
        return place

    def _as_sure(self, reading: Reading[look.T], path: str) -> Reading[look.T]:
        return Unreadable(path, NOT_LIVE) if self._was_kernels(reading, path) else reading

    def _was_kernels(self, reading: Reading[look.T], path: str) -> bool:
        """Whether the running kernel would have made a missing thing, and this tree holds nothing of its."""
        top = _made_by_kernel(path)
        if top is None or not isinstance(reading, Absent):
            return False
        try:
            names = look.list_names(resolve_inside(self.root, top), source=top)
        except OSError:
            return True
        return not (isinstance(names, Known) and names.value)


def resolve_inside(root: str, path: str, *, follow_last: bool = True) -> str:
    """The real place of an absolute path below a root, each link followed inside that root.

    Raises:
        OSError: a folder on the way is missing or is none, or links lead in a circle.
        ValueError: no usable path.
    """
    waiting = [name for name in reversed(path.split("/")) if name not in ("", ".")]
    done: list[str] = []
    links = 0
    while waiting:
        name = waiting.pop()
        if name == "..":
            del done[-1:]
            continue
        place = os.path.join(root, *done, name)
        if (waiting or follow_last) and os.path.islink(place):
            links += 1
            if links > _LINKS_LIMIT:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(place)
            if target.startswith("/"):
                done = []
            waiting += [part for part in reversed(target.split("/")) if part not in ("", ".")]
            continue
        if waiting:
            os.lstat(place)
            if not os.path.isdir(place):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        done.append(name)
    return os.path.join(root, *done)


def _made_by_kernel(path: str) -> str | None:
    for top in _MADE_BY_KERNEL:
        if path == top or path.startswith(f"{top}/"):
            return top
    return None
