"""Processes: starting children that die with us, telling a process from another with the same number."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import IO

_PR_SET_PDEATHSIG = 1


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


def die_with_parent(number: signal.Signals, *, parent_pid: int) -> None:
    """Ask the kernel to send us a signal when the thread that started us ends.

    `parent_pid` is who started us: when it is already gone we end at once, which closes the gap
    between the start and this call. Kept across exec.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(128 + int(number))


def python_argv(module: str, *arguments: str) -> tuple[str, ...]:
    """Argv that runs a module of ours in a Python of its own, deaf to PYTHON* variables and user site."""
    return (sys.executable, "-I", "-m", module, *arguments)


def spawn(
    argv: tuple[str, ...],
    *,
    environment: dict[str, str],
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    new_session: bool = False,
    pass_descriptors: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a program: argv only, environment given whole, no descriptor inherited unasked."""
    return subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=new_session,
        pass_fds=pass_descriptors,
        close_fds=True,
    )


def end_child(child: subprocess.Popen[bytes], *, timeout_s: float) -> int:
    """End a child of ours: TERM, wait, KILL; its return code (negative for a signal)."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(timeout_s)
        child.kill()
    return child.wait()
