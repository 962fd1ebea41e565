"""Hands on files: durable writes, private folders, plain reads; foreign errors become ours at this door."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from bringup.errors import FileTrouble

_HINTS = {
    errno.ENOSPC: "Free some space there or point the folder elsewhere (XDG_CACHE_HOME, XDG_STATE_HOME).",
    errno.EDQUOT: "The disk quota is used up; free some space.",
    errno.EACCES: "Check the rights of the file and of each folder above it.",
    errno.EPERM: "Check the rights of the file and of each folder above it.",
    errno.EROFS: "It is mounted read-only; XDG_CACHE_HOME and XDG_STATE_HOME put the folders elsewhere.",
    errno.EISDIR: "A folder is there, and a file is wanted.",
    errno.ENOTDIR: "A part of this path is a file, and a folder is wanted: move that file away.",
}
_ELSEWHERE = " XDG_STATE_HOME, XDG_CACHE_HOME and XDG_CONFIG_HOME put our folders elsewhere."
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)


@contextmanager
def file_errors(doing: str, path: str, *, elsewhere: str = "") -> Iterator[None]:
    """Turn an `OSError` into a `FileTrouble` that says what was being done to which path.

    `elsewhere` says how another place is chosen where the rights forbid this one.
    """
    try:
        yield
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        reference = "disk-full" if problem.errno in (errno.ENOSPC, errno.EDQUOT) else "file-trouble"
        raise FileTrouble(
            f"could not {doing} {path}: {reason}",
            hint=_HINTS.get(problem.errno or 0, "")
            + (elsewhere if problem.errno in (errno.EACCES, errno.EPERM) else ""),
            reference=reference,
        ) from problem


def make_private_folder(path: str) -> None:
    """Create a folder and its parents; folders made here are readable by their owner only (0700)."""
    with file_errors("create the folder", path, elsewhere=_ELSEWHERE):
        _make(path)


def _make(path: str) -> None:
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        _make(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)


def write_atomic(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file so that it is always the old one or the new one, also after a power cut.

    Written beside it, fsynced, renamed, folder fsynced. A failed write leaves the old file and no remains.

    Raises:
        FileTrouble: no rights, disk full, read-only.
    """
    make_private_folder(os.path.dirname(path))
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.new"
    with file_errors("write", path):
        try:
            _write_new(temporary, data, mode)
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(os.path.dirname(path))


def create_once(path: str, data: bytes, *, mode: int = 0o600) -> bool:
    """Write a file whole unless it is already there; whether this call made it. Safe against a racing twin.

    Where the file system knows no hard links (a USB stick), the file is made in its place at once.

    Raises:
        FileTrouble: no rights, disk full, read-only.
    """
    make_private_folder(os.path.dirname(path))
    aside = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.once"
    with file_errors("write", path):
        try:
            _write_new(aside, data, mode)
            try:
                os.link(aside, path)
            except FileExistsError:
                return False
            except OSError as problem:
                if problem.errno not in _NO_LINKS:
                    raise
                try:
                    _write_new(path, data, mode)
                except FileExistsError:
                    return False
        finally:
            with contextlib.suppress(OSError):
                os.unlink(aside)
        sync_folder(os.path.dirname(path))
    return True


def _write_new(path: str, data: bytes, mode: int) -> None:
    """Write a file that is not there yet and bring it to the disk; a failed write leaves nothing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def is_open_to_others(path: str) -> bool:
    """Whether group or others may read or write the file.

    Raises:
        FileTrouble: it cannot be looked at.
    """
    with file_errors("look at", path):
        return bool(os.stat(path).st_mode & 0o077)


def size_bytes(path: str) -> int:
    """Size of one of our own files, 0 when it is not there."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def why_no_file(path: str) -> str:
    """What lies at a path that should be one of our files and is none; empty for a file and for nothing."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "is a link that leads nowhere" if os.path.islink(path) else ""
    except NotADirectoryError:
        return ""
    except OSError as problem:
        is_loop = problem.errno == errno.ELOOP
        return "is a link that leads in a circle" if is_loop else f"cannot be looked at: {problem.strerror}"
    if stat.S_ISREG(mode):
        return ""
    return "is a folder" if stat.S_ISDIR(mode) else "is a device, a socket or a named pipe"


def list_names(path: str) -> tuple[str, ...]:
    """Names in one of our own folders, sorted; none when the folder is not there.

    Raises:
        FileTrouble: it cannot be read.
    """
    with file_errors("list", path):
        try:
            return tuple(sorted(os.listdir(path)))
        except FileNotFoundError:
            return ()


def sync_folder(path: str) -> None:
    """Make a rename in this folder durable; a file system that cannot is left alone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_small(path: str, *, limit_bytes: int = 4 * 1024**2) -> bytes | None:
    """Bytes of one of our own small files, `None` when it is not there.

    Raises:
        FileTrouble: unreadable, or larger than the limit.
    """
    with file_errors("read", path):
        try:
            with open(path, "rb") as handle:
                data = handle.read(limit_bytes + 1)
        except FileNotFoundError:
            return None
    if len(data) > limit_bytes:
        raise FileTrouble(f"{path} is larger than the {limit_bytes:,} bytes that such a file can have")
    return data


def open_binary(path: str) -> BinaryIO:
    """Open a file for reading; the caller closes it.

    Raises:
        FileTrouble: not there, no rights, a folder.
    """
    with file_errors("open", path):
        return open(path, "rb")


def utf8_name(path: str) -> str:
    """A UTF-8 name of the same file, for a library that takes no other; it holds while this process lives.

    Raises:
        FileTrouble: it cannot be opened.
    """
    if _is_utf8(path):
        return path
    folder, name = os.path.split(path)
    is_in_name = not _is_utf8(name)  # else its siblings, the parts of a split model, keep their place too
    with file_errors("open", path):
        descriptor = os.open(path if is_in_name else folder, os.O_RDONLY | os.O_CLOEXEC)
    held = f"/proc/self/fd/{descriptor}"
    return held if is_in_name else os.path.join(held, name)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def open_append(path: str) -> BinaryIO:
    """One of our own files, to add to; its mode stays.

    Raises:
        FileTrouble: no rights, or a full disk.
    """
    with file_errors("write", path):
        return open(path, "ab")


def remove(path: str) -> bool:
    """Remove a file; whether it was there."""
    with file_errors("remove", path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
    return True


def exists(path: str) -> bool:
    """Whether something is at this path (links followed)."""
    return os.path.exists(path)


def is_there(path: str) -> bool:
    """Whether something is at this path; what keeps us from looking is raised, and no absence.

    Raises:
        FileTrouble: a link that leads nowhere or in a circle, or a folder that may not be entered.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        if not os.path.lexists(path):
            return False
        with file_errors("look at", path):
            target = os.readlink(path)
        raise FileTrouble(
            f"{path}: a link that leads nowhere",
            context=(f"it points to {target}, which is not there",),
            hint="Was the file moved, or a disk not mounted?",
        ) from None
    except OSError as problem:
        with file_errors("look at", path):
            raise problem from None
    return True


def is_named(path: str) -> bool:
    """Whether anything has this name, a link that leads nowhere included."""
    return os.path.lexists(path)


def is_folder(path: str) -> bool:
    """Whether a folder is at this path (links followed)."""
    return os.path.isdir(path)


def identity_of_file(path: str) -> tuple[int, int] | None:
    """What names a file whatever its path is (device, inode); `None` where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def mark_of_file(path: str) -> tuple[int, int, int, int] | None:
    """Identity, size and moment: what differs once a file was written or replaced. `None`: no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def rename(path: str, target: str) -> None:
    """Give a file another name in the same file system; durable.

    Raises:
        FileTrouble: it is not there, or no rights.
    """
    with file_errors("rename", path):
        os.rename(path, target)
        sync_folder(os.path.dirname(target))


def link(path: str, name: str) -> None:
    """Give a file a second name in the same file system.

    Raises:
        FileTrouble: no rights, or the name is taken.
    """
    with file_errors("link", path):
        os.link(path, name)


def owner_of(path: str) -> int | None:
    """User id of a path's owner, of the nearest folder above where it is not there yet."""
    while True:
        try:
            return os.stat(path).st_uid
        except OSError:
            parent = os.path.dirname(path)
            if parent == path:
                return None
            path = parent


def mark_of_tree(folder: str, *, suffix: str) -> str:
    """A word that changes when a file below a folder does: from names, sizes and dates, nothing is read.

    Raises:
        OSError: there is no such folder.
    """
    import hashlib

    state = hashlib.blake2b(digest_size=8)
    os.stat(folder)  # os.walk passes over a folder that is not there without a word
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(suffix):
                found = os.stat(os.path.join(here, name))
                row = f"{here[len(folder) :]}/{name} {found.st_size} {found.st_mtime_ns}\n"
                state.update(row.encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def make_link(path: str, target: str) -> None:
    """Make a symbolic link, unless one that leads there is there already.

    Raises:
        FileTrouble: something else is there, or no rights.
    """
    make_private_folder(os.path.dirname(path))
    with file_errors("link", path):
        if os.path.islink(path) and os.readlink(path) == target:
            return
        os.symlink(target, path)


def remove_empty_folder(path: str) -> None:
    """Remove a folder in which nothing is; others stay."""
    with contextlib.suppress(OSError):
        os.rmdir(path)
