"""Processes: starting them, telling one from another with the same number, seeing what it does."""

from __future__ import annotations

import contextlib
import os
import signal
import site
import subprocess
import sys
import threading
import time
from typing import IO, Final, TypeAlias

from bringup.records import dataclass

DEVNULL: Final = subprocess.DEVNULL
PIPE: Final = subprocess.PIPE
Child: TypeAlias = subprocess.Popen[bytes]
"""A child that was started and can be waited for."""
"""Ask `spawn` for a pipe, or for nothing."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be mistaken: a number is reused, number plus start time plus boot is not.

    `start_ticks` is field 22 of /proc/PID/stat (clock ticks since boot).
    """

    pid: int
    start_ticks: int
    boot_id: str


def own_pid() -> int:
    """Our process number."""
    return os.getpid()


def is_single_threaded() -> bool:
    """Whether no other thread of ours runs now."""
    return threading.active_count() == 1


def random_bytes(count: int) -> bytes:
    """Bytes that nobody can foresee."""
    return os.urandom(count)


def identity_of(pid: int) -> ProcessIdentity | None:
    """Identity of a live process, `None` when there is none (a zombie counts as none)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            fields = handle.read().rsplit(b")", 1)[1].split()
        with open("/proc/sys/kernel/random/boot_id") as handle:
            boot = handle.read().strip()
    except (OSError, IndexError):
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    return ProcessIdentity(pid, int(fields[19]), boot)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal or a debugger; not where it is gone or cannot be seen."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rsplit(b")", 1)[1].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still lives."""
    return identity_of(identity.pid) == identity


def send_signal(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Signal exactly this process; `False` when it is gone or somebody else has its number.

    A pidfd is opened before the identity is compared, so the number cannot change hands in between.
    """
    try:
        handle = os.pidfd_open(identity.pid)
    except OSError:
        return False
    try:
        if identity_of(identity.pid) != identity:
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def command_line(pid: int) -> tuple[str, ...] | None:
    """The argv of a process, `None` when it cannot be seen."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            raw = handle.read()
    except OSError:
        return None
    return tuple(part.decode("utf-8", "replace") for part in raw.split(b"\0")[:-1])


def python_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """Argv that runs a module of ours in a Python of its own.

    Isolated (`-I`): no PYTHON* variable, no current folder and no user site reach it, except where we
    are ourselves installed in the user's site, which then has to stay.
    """
    isolation = ("-E", "-P") if _in_user_site() else ("-I",)
    return (sys.executable, *isolation, "-m", module, *arguments)


def _in_user_site() -> bool:
    folder = site.getusersitepackages()
    return os.path.realpath(__file__).startswith(os.path.realpath(folder) + os.sep)


def own_modules(package: str) -> str:
    """The folder of a package of ours, `stack` or another, with its modules."""
    return os.path.join(os.path.dirname(os.path.dirname(__file__)), package)


def parent_pid() -> int:
    """Process number of who started us (or of who took us over)."""
    return os.getppid()


def wait_for_own_threads(timeout_s: float) -> bool:
    """Wait until all other threads of this process sleep, such as a log's writer; whether they do.

    A thread that was woken and got no processor yet counts as running, so a busy machine makes no difference.
    """
    until_s = time.monotonic() + timeout_s
    quiet_looks = 0
    while quiet_looks < 2:
        quiet_looks = quiet_looks + 1 if _others_sleep() else 0
        if time.monotonic() > until_s:
            return False
        time.sleep(0.01)
    return True


def _others_sleep() -> bool:
    us = threading.get_native_id()
    for name in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError, IndexError), open(f"/proc/self/task/{name}/stat", "rb") as handle:
            if int(name) != us and handle.read().rsplit(b")", 1)[1].split()[0] in (b"R", b"D"):
                return False
    return True


@dataclass(frozen=True, slots=True)
class ProcessWork:
    """What a live process has done so far. What cannot be seen counts as 0."""

    cpu_s: float
    read_bytes: int
    resident_bytes: int


def work_of(pid: int) -> ProcessWork:
    """CPU time (user plus system), bytes asked of files, bytes in RAM (mapped file pages included)."""
    cpu_s, resident_bytes, read_bytes = 0.0, 0, 0
    with contextlib.suppress(OSError, IndexError, ValueError):
        with open(f"/proc/{pid}/stat", "rb") as handle:
            fields = handle.read().rsplit(b")", 1)[1].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        resident_bytes = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/io") as lines:
        read_bytes = int(lines.readline().split()[1])
    return ProcessWork(cpu_s, read_bytes, resident_bytes)


def spawn(
    argv: tuple[str, ...],
    *,
    environment: dict[str, str],
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program: argv only, environment given whole, no descriptor inherited unasked."""
    return subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=new_session,
        close_fds=True,
    )


def spawn_told(
    argv: tuple[str, ...],
    told: bytes,
    *,
    environment: dict[str, str],
    output: IO[bytes],
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program and tell it something short that is not for others, on stdin; `tell` says more.

    Its stdin stays open, so that its end tells the program that we have ended, whatever ended us.
    """
    child = spawn(
        argv,
        environment=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        new_session=new_session,
    )
    tell(child, told)
    return child


def read_told(*, limit_bytes: int = 256) -> bytes:
    """A line of what `spawn_told` and `tell` say to this process; empty where they say no more.

    Read from the descriptor itself: the lock of a buffered stream, held by a thread that waits, would crash
    an interpreter that ends meanwhile.
    """
    line = b""
    while len(line) < limit_bytes and not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            break
        line += piece
    return line


def tell(child: subprocess.Popen[bytes], told: bytes) -> None:
    """Tell a child of `spawn_told` more; one that has ended hears nothing."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(told)
        child.stdin.flush()


def end_child(child: subprocess.Popen[bytes], *, timeout_s: float) -> int:
    """End a child of ours: TERM, wait, KILL; its return code (negative for a signal)."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(timeout_s)
        child.kill()
    return child.wait()


def package_folders() -> tuple[str, ...]:
    """Folders of the Python packages that this program runs with."""
    return tuple(dict.fromkeys(site.getsitepackages()))
