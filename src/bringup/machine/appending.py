"""A file of lines that only grows: each line is on the disk before the call returns."""

from __future__ import annotations

import errno
import os

from bringup.machine.files import file_errors, make_private_folder, sync_folder


def append_line(path: str, line: bytes) -> None:
    """Add a line durably (0600, fsynced); a line that a crash left unfinished is ended first.

    Two writers at once leave two whole lines.

    Raises:
        FileTrouble: disk full, no rights, a link in its place. The file may then end in a part of the line.
    """
    make_private_folder(os.path.dirname(path))
    with file_errors("write", path):
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            data = (b"\n" if is_torn else b"") + line + b"\n"
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if size == 0:
            folder = os.path.dirname(path)
            sync_folder(folder)
            sync_folder(os.path.dirname(folder))
