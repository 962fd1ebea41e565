"""A child bound to us: it dies when we die, within limits, and how it ended is told exactly.

Meant for a small process with one thread (the engine's keeper): code runs between fork and exec.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
from typing import Final

from bringup.machine.process import ProcessIdentity, identity_of
from bringup.records import dataclass

_PR_SET_PDEATHSIG: Final = 1
_READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a process ended: an exit code or a signal, with what it used (user plus system CPU, peak RAM)."""

    exit_code: int | None
    signal_number: int | None
    cpu_s: float
    peak_bytes: int


class BoundChild:
    """A started child in a session of its own; SIGKILL reaches it when its starter dies, however that dies.

    `output` is a descriptor with its stdout and stderr together, non-blocking.
    """

    _input: int | None = None

    def __init__(
        self,
        argv: tuple[str, ...],
        *,
        environment: dict[str, str],
        stdin: bytes | None,
        data_limit_bytes: int | None,
    ) -> None:
        """Start it. `stdin` is given whole on a file without a name, so its size is not bounded by a pipe.

        With `None` it waits at a pipe for what `give` brings.

        Args:
            argv: program and arguments.
            environment: the whole environment.
            stdin: bytes that it can read, then end of file.
            data_limit_bytes: bound of private writable memory (RLIMIT_DATA: heap, stacks, anonymous maps;
                a model that is mapped from its file does not count).

        Raises:
            OSError: the program cannot be run.
        """
        import ctypes  # who only reads a child's end, or waits for it, needs none

        # Loaded here: between fork and exec nothing may be loaded any more.
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        us = os.getpid()

        def bind() -> None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != us:
                os._exit(128 + signal.SIGKILL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            if data_limit_bytes is not None:
                resource.setrlimit(resource.RLIMIT_DATA, (data_limit_bytes, data_limit_bytes))

        if stdin is None:
            inside, self._input = os.pipe2(os.O_CLOEXEC)
        else:
            inside = _file_of(stdin)
        self.output, write_end = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                argv,
                env=environment,
                stdin=inside,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
                close_fds=True,
                preexec_fn=bind,
            )
        except BaseException:
            os.close(self.output)
            if self._input is not None:
                os.close(self._input)
            raise
        finally:
            os.close(inside)
            os.close(write_end)
        os.set_blocking(self.output, False)
        self.identity: ProcessIdentity | None = identity_of(self._process.pid)
        self._end: ChildEnd | None = None

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def poll(self) -> ChildEnd | None:
        """How it ended, `None` while it lives."""
        if self._end is None:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid == 0:
                return None
            code = os.waitstatus_to_exitcode(status)
            self._process.returncode = code
            self._end = ChildEnd(
                exit_code=code if code >= 0 else None,
                signal_number=-code if code < 0 else None,
                cpu_s=usage.ru_utime + usage.ru_stime,
                peak_bytes=usage.ru_maxrss * 1024,
            )
        return self._end

    def give(self, data: bytes, *, data_limit_bytes: int | None) -> bool:
        """What a waiting child reads, then end of file; first its limit. Whether it has got all of it.

        Never waits: more than fits into a pipe at once is not given.
        """
        if self._input is None or self.poll() is not None:
            return False
        descriptor, self._input = self._input, None
        try:
            if data_limit_bytes is not None:
                resource.prlimit(self.pid, resource.RLIMIT_DATA, (data_limit_bytes, data_limit_bytes))
            os.set_blocking(descriptor, False)
            return os.write(descriptor, data) == len(data)
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def end(self) -> None:
        """Kill it with whatever it started, wait for that, and let go of its pipes."""
        if self.poll() is None:
            self.kill_group()
            self._process.wait()
        os.close(self.output)
        if self._input is not None:
            os.close(self._input)
            self._input = None

    def send(self, number: signal.Signals) -> None:
        """Signal it; nothing happens once it was waited for, so no stranger can be hit."""
        if self._end is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill_group(self) -> None:
        """Kill it and whatever it started (they share its process group)."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def read_output(self) -> bytes | None:
        """What it printed since, `b""` when nothing waits, `None` at the end of the output."""
        try:
            return os.read(self.output, _READ_BYTES) or None
        except BlockingIOError:
            return b""


def _file_of(data: bytes) -> int:
    """A file without a name that holds these bytes, at its beginning."""
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def wait_readable(descriptors: tuple[int, ...], timeout_s: float | None) -> tuple[int, ...]:
    """Which of these descriptors can be read now, waiting at most so long."""
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    waited = poller.poll(None if timeout_s is None else max(0, timeout_s * 1000))
    return tuple(descriptor for descriptor, _ in waited)


def wake_on_signals(numbers: tuple[signal.Signals, ...]) -> int:
    """Catch these signals; each makes the returned descriptor readable (one byte a signal)."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return read_end


def read_descriptor(descriptor: int) -> bytes:
    """Bytes that wait on a readable descriptor, `b""` at its end."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return b""


def write_descriptor(descriptor: int, data: bytes) -> bool:
    """Write everything; whether somebody still reads."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        return False
    return True


def watch_process(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends, `None` when it is already gone."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


class RotatedFile:
    """Our log of a foreign program: appended to, renamed to `NAME.1` when it grows beyond its limit."""

    def __init__(self, path: str, *, limit_bytes: int) -> None:
        """Start it anew (mode 0600); a log of an earlier run becomes `NAME.previous`."""
        self._path = path
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + ".1")
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, path + ".previous")
        self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Append; a full disk loses log and does not stop the engine. One that was removed is begun anew."""
        is_full = self._size_bytes + len(data) > self._limit_bytes
        if is_full or os.fstat(self._descriptor).st_nlink == 0:
            with contextlib.suppress(OSError):
                if is_full:
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(self._path, self._path + ".1")
                # Opened before the old one is closed: where that fails, the old one is written on, and never
                # whatever has got its number since.
                fresh = self._open()
                os.close(self._descriptor)
                self._descriptor, self._size_bytes = fresh, 0
        if write_descriptor(self._descriptor, data):
            self._size_bytes += len(data)
