"""Hands on a file that is being fetched: written in order, made durable, published by one rename.

A partial file is a folder of its own, so that one rename moves its data and its record together and
exactly one of several processes can claim what a killed one left behind. Its name carries who owns
it: `.NAME.PID-STARTTICKS-RANDOM.partial`.
"""

from __future__ import annotations

import contextlib
import os
import re

from bringup.machine.files import file_errors, make_private_folder, sync_folder
from bringup.machine.process import identity_of, own_pid
from bringup.records import dataclass

_DATA = "data"
_RECORD = "record.json"
_ORIGIN = "origin.json"
_NAME = re.compile(r"\.(?P<base>.+)\.(?P<pid>\d+)-(?P<ticks>\d+)-[0-9a-f]{8}\.partial")


@dataclass(frozen=True, slots=True)
class PartialFolder:
    """A partial file on the disk: where it is, whose it is."""

    path: str
    base: str
    pid: int
    start_ticks: int

    @property
    def record_path(self) -> str:
        """Our record beside the data."""
        return os.path.join(self.path, _RECORD)

    @property
    def origin_path(self) -> str:
        """The record of the whole file, until that is published."""
        return os.path.join(self.path, _ORIGIN)

    @property
    def data_path(self) -> str:
        """The bytes so far."""
        return os.path.join(self.path, _DATA)

    @property
    def is_ours(self) -> bool:
        """Whether this process owns it."""
        return self.pid == own_pid() and self.is_owner_alive

    @property
    def is_owner_alive(self) -> bool:
        """Whether the process that owns it still lives (one with a reused number does not count)."""
        identity = identity_of(self.pid)
        return identity is not None and identity.start_ticks == self.start_ticks

    def data_bytes(self) -> int:
        """Size of the data so far, 0 when there is none."""
        try:
            return os.stat(self.data_path).st_size
        except OSError:
            return 0


def parse_partial_name(path: str) -> PartialFolder | None:
    """A partial folder by its name, `None` for any other path."""
    match = _NAME.fullmatch(os.path.basename(path))
    if match is None:
        return None
    return PartialFolder(path, match["base"], int(match["pid"]), int(match["ticks"]))


def find_partials(folder: str, base: str) -> tuple[PartialFolder, ...]:
    """Partial files of one final name in its folder."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ()
    found = (parse_partial_name(os.path.join(folder, name)) for name in names)
    return tuple(partial for partial in found if partial is not None and partial.base == base)


def create_partial(folder: str, base: str) -> PartialFolder:
    """A new, empty partial folder of ours.

    Raises:
        FileTrouble: no rights, disk full.
    """
    make_private_folder(folder)
    path = _own_name(folder, base)
    with file_errors("create", path):
        os.mkdir(path, 0o700)
    partial = parse_partial_name(path)
    assert partial is not None
    return partial


def claim_partial(partial: PartialFolder) -> PartialFolder | None:
    """Make a dead process's partial ours, `None` when another process was quicker."""
    path = _own_name(os.path.dirname(partial.path), partial.base)
    try:
        os.rename(partial.path, path)
    except OSError:
        return None
    return parse_partial_name(path)


def remove_partial(partial: PartialFolder) -> None:
    """Remove a partial folder and all in it; what is not there any more is no error."""
    from shutil import rmtree  # a costly import, which few commands pay

    with file_errors("remove", partial.path), contextlib.suppress(FileNotFoundError):
        rmtree(partial.path)


def _own_name(folder: str, base: str) -> str:
    identity = identity_of(own_pid())
    ticks = identity.start_ticks if identity is not None else 0
    return os.path.join(folder, f".{base}.{own_pid()}-{ticks}-{os.urandom(4).hex()}.partial")


class PartialData:
    """The open data file of a partial folder."""

    def __init__(self, partial: PartialFolder) -> None:
        self.path = partial.data_path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with file_errors("open", self.path):
            self._descriptor = os.open(self.path, flags, 0o600)

    def __enter__(self) -> PartialData:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def size_bytes(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._descriptor).st_size

    def truncate(self, size_bytes: int) -> None:
        """Cut the file."""
        with file_errors("write", self.path):
            os.ftruncate(self._descriptor, size_bytes)

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of `data` at an offset.

        Raises:
            FileTrouble: disk full (`disk-full`), quota, input/output error.
        """
        view = memoryview(data)
        with file_errors("write", self.path):
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                view, offset = view[written:], offset + written

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes."""
        with file_errors("read", self.path):
            return os.pread(self._descriptor, length, offset)

    def sync(self) -> None:
        """Make what was written durable."""
        with file_errors("write", self.path):
            os.fsync(self._descriptor)

    def restrict_to_reading(self) -> None:
        """Guard a finished file against being written into by mistake, where the file system allows it."""
        with contextlib.suppress(OSError):
            os.fchmod(self._descriptor, 0o444)


def publish(partial: PartialFolder, final_path: str, *, origin_path: str) -> None:
    """Give synced data its final name in one step, its record first, then make the names durable.

    An older file of that name goes before: the new record would vouch for it where we are killed in between.
    The partial folder is removed at last; a kill before that leaves an empty one, which the next run removes.

    Raises:
        FileTrouble: the rename was refused; the partial file is whole and stays.
    """
    with file_errors("rename the fetched file to", final_path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(final_path)
        os.rename(partial.origin_path, origin_path)
        os.rename(partial.data_path, final_path)
        sync_folder(os.path.dirname(final_path))
    remove_partial(partial)


def is_link(path: str) -> bool:
    """Whether the path itself is a symbolic link."""
    return os.path.islink(path)


def boot_id() -> str:
    """Identity of this boot of the machine; empty where it cannot be read."""
    identity = identity_of(own_pid())
    return identity.boot_id if identity is not None else ""
