"""One holder for one thing, also where `flock` does nothing (Lustre, GPFS, some NFS).

A lease is a small file that names its holder (process number, start time, boot, host) and is locked
with `flock`. Where the kernel's lock works it decides; where it is a no-op the written holder does,
for as long as that process lives. Two holders at once remain possible there for a moment, so what a
lease guards must stay right without it (own partial names, verified bytes, atomic rename).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time

from bringup.machine.files import file_errors, make_private_folder
from bringup.machine.process import ProcessIdentity, identity_of, is_alive, own_pid
from bringup.reading import parse_json
from bringup.records import dataclass

_SILENT_HOLDER_S = 600.0
_LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease; `pid` 0 where it cannot be read yet."""

    pid: int
    host: str

    @property
    def is_on_this_host(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == os.uname().nodename


class Lease:
    """A held lease. Leaving the block gives it back."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def heartbeat(self) -> None:
        """Show that we live to those who cannot see our process (another host on a shared folder)."""
        with contextlib.suppress(OSError):
            os.utime(self._descriptor)

    def release(self) -> None:
        """Give it back: the file goes first, so that the next holder never finds our name in it."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if _names_us(self._descriptor):
                os.unlink(self._path)
        os.close(self._descriptor)
        self._descriptor = -1


def try_lease(path: str) -> Lease | Holder:
    """Take a lease now, or say who holds it.

    Raises:
        FileTrouble: the folder cannot be written.
    """
    make_private_folder(os.path.dirname(path))
    while True:
        with file_errors("open the lock file", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        taken = False
        try:
            if not _lock(descriptor):
                return _holder_in(descriptor)
            if not _is_still(path, descriptor):
                continue
            if _has_live_holder(descriptor):
                return _holder_in(descriptor)
            with file_errors("write the lock file", path):
                _write_own_name(descriptor)
            taken = True
            return Lease(path, descriptor)
        finally:
            if not taken:
                os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        # ENOLCK and EOPNOTSUPP: a file system without locks; the written holder decides there.
        return problem.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
    return True


def _is_still(path: str, descriptor: int) -> bool:
    """Whether the name still leads to the file that we locked (its last holder may have removed it)."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _read(descriptor: int) -> tuple[ProcessIdentity, str] | None:
    try:
        record = parse_json(os.pread(descriptor, _LIMIT_BYTES, 0))
        identity = ProcessIdentity(int(record["pid"]), int(record["start_ticks"]), str(record["boot_id"]))
        return identity, str(record["host"])
    except (OSError, ValueError, OverflowError, KeyError, TypeError):
        return None


def _holder_in(descriptor: int) -> Holder:
    record = _read(descriptor)
    return Holder(0, "") if record is None else Holder(record[0].pid, record[1])


def _names_us(descriptor: int) -> bool:
    record = _read(descriptor)
    return record is not None and record[0] == identity_of(own_pid())


def _has_live_holder(descriptor: int) -> bool:
    record = _read(descriptor)
    if record is None:
        return False
    identity, host = record
    if host == os.uname().nodename:
        return is_alive(identity)
    return time.time() - os.fstat(descriptor).st_mtime < _SILENT_HOLDER_S


def _write_own_name(descriptor: int) -> None:
    identity = identity_of(own_pid())
    record = {
        "pid": own_pid(),
        "start_ticks": identity.start_ticks if identity else 0,
        "boot_id": identity.boot_id if identity else "",
        "host": os.uname().nodename,
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(record).encode(), 0)
