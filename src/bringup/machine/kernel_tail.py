"""What the kernel says from now on, as it says it: read again and again at the cost of one system call."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from errno import EINVAL
from typing import Final

KERNEL_LOG: Final = "/dev/kmsg"
_FILES: Final = ("/var/log/kern.log", "/var/log/messages", "/var/log/syslog")
_RECORD_BYTES: Final = 8192
_RECORDS_MOST: Final = 10_000
_TEXT_LIMIT_BYTES: Final = 1024**2


def waiting_records(descriptor: int, *, most: int | None = None) -> Iterator[bytes]:
    """Records of the kernel's log that can be read without waiting, one after the other; `most` at once.

    Raw record: `4,123,5678901234,-;NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.`

    Raises:
        OSError: the log cannot be read; what was read before it was handed out.
    """
    for _ in itertools.count() if most is None else range(most):
        try:
            record = os.read(descriptor, _RECORD_BYTES)
        except BlockingIOError:
            return
        except BrokenPipeError:  # records were overwritten meanwhile; the next read goes on
            continue
        except OSError as problem:
            if (
                problem.errno == EINVAL
            ):  # a record longer than the kernel lets anybody write; it is passed over
                continue
            raise
        if not record:  # not the kernel's: in a container it may be /dev/null under this name
            return
        yield record


class KernelTail:
    """New messages of this machine's kernel.

    They come from the kernel itself where this user may read it, else from the file that a log service writes
    them to. Where neither can be read there never are any.
    """

    def __init__(self, *, device: str = KERNEL_LOG, log_files: Sequence[str] = _FILES) -> None:
        """From now on; what was said before is passed over."""
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._log_files = tuple(log_files)
        self._path = ""
        self._position = 0
        with contextlib.suppress(OSError):
            self._descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with contextlib.suppress(OSError):
                os.lseek(self._descriptor, 0, os.SEEK_END)
        if self._descriptor is None:
            self._watch_a_file()

    def new_lines(self) -> list[str]:
        """Lines that came since the last call; those of a burst may be cut at a mebibyte."""
        with self._lock:  # a closed descriptor's number may soon be another file's
            text = self._from_file() if self._descriptor is None else self._from_kernel(self._descriptor)
        return text.decode("utf-8", "replace").splitlines()

    def close(self) -> None:
        """Read no more."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            self._path = ""

    def _from_kernel(self, descriptor: int) -> bytes:
        """All records that wait; a kernel that refuses to be read is left for the file."""
        found: list[bytes] = []
        try:
            found += waiting_records(descriptor, most=_RECORDS_MOST)
        except OSError:
            os.close(descriptor)
            self._descriptor = None
            self._watch_a_file()
        return b"".join(found)

    def _watch_a_file(self) -> None:
        self._path = next((path for path in self._log_files if os.access(path, os.R_OK)), "")
        self._position = self._size()

    def _from_file(self) -> bytes:
        size = self._size()
        # A file that is shorter than it was is a new one.
        begin = 0 if size < self._position else self._position
        begin = max(begin, size - _TEXT_LIMIT_BYTES)
        self._position = size
        if size <= begin:
            return b""
        with contextlib.suppress(OSError), open(self._path, "rb") as log:
            log.seek(begin)
            return log.read(size - begin)
        return b""

    def _size(self) -> int:
        with contextlib.suppress(OSError):
            return os.stat(self._path).st_size if self._path else 0
        return 0
