"""Hands: a folder for work that leaves nothing behind, large files of zeros, whole trees removed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from bringup.machine.files import file_errors, make_private_folder


@contextmanager
def scratch_folder(parent: str, name: str) -> Iterator[str]:
    """A new folder (0700) below `parent`, removed with all in it when the block ends.

    Raises:
        FileTrouble: no rights, disk full.
    """
    make_private_folder(parent)
    folder = os.path.join(parent, f"{name}.{os.getpid()}.{os.urandom(4).hex()}")
    with file_errors("create the folder", folder):
        os.mkdir(folder, 0o700)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


def write_with_zeros(path: str, head: bytes, n_zero_bytes: int) -> None:
    """A file of some bytes and then zeros, which take no room on the disk where it can have holes.

    Raises:
        FileTrouble: no rights, disk full.
    """
    with file_errors("write", path), open(path, "xb") as handle:
        handle.write(head)
        handle.truncate(len(head) + n_zero_bytes)


def remove_tree(path: str) -> bool:
    """Remove a folder of ours with all in it; whether it was there. Links are removed, not followed.

    Raises:
        FileTrouble: something in it cannot be removed.
    """
    with file_errors("remove", path):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            return False
    return True


def copy_files(source: str, target: str, names: tuple[str, ...]) -> None:
    """Copy files and links of a folder into a new one (0700), rights kept.

    Raises:
        FileTrouble: no rights, disk full.
    """
    make_private_folder(target)
    for name in names:
        with file_errors("copy", os.path.join(source, name)):
            shutil.copy2(os.path.join(source, name), os.path.join(target, name), follow_symlinks=False)


def replace_folder(new: str, place: str) -> None:
    """Put a folder in the place of another, which is removed only when the new one stands there.

    Raises:
        FileTrouble: no rights; the old one stays then.
    """
    aside = f"{place}.{os.getpid()}.old"
    with file_errors("replace", place):
        if os.path.isdir(place):
            os.rename(place, aside)
        try:
            os.rename(new, place)
        except OSError:
            if os.path.isdir(aside):
                os.rename(aside, place)
            raise
    with contextlib.suppress(OSError):
        shutil.rmtree(aside)


def make_link(target: str, path: str) -> None:
    """A symbolic link; its folder is made.

    Raises:
        FileTrouble: no rights, or something is there.
    """
    make_private_folder(os.path.dirname(path))
    with file_errors("write", path):
        os.symlink(target, path)
