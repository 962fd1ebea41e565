"""Running a command to look: no shell, a clean environment, bounded in time and in output."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import field
from typing import IO, TYPE_CHECKING, Final

from bringup.machine import rights
from bringup.machine.protocol import CommandResult
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import dataclass

if TYPE_CHECKING:  # they take long to import, and many a look runs no command
    import selectors
    import subprocess

OUTPUT_LIMIT_BYTES: Final = 16 * 1024**2
"""Most that a command may print on stdout and stderr together."""

SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where the system itself keeps programs."""

_GRACE_S: Final = 0.5
"""How long what a command left behind may go on printing into its pipe once the command has ended."""

_POLL_S: Final = 0.01
"""How often a command is looked at where the kernel does not tell of its end."""


OWN_PROGRAMS: Final = {
    "bringup-nvml": "nvml_child.py",
    "bringup-cuda": "cuda_child.py",
    "bringup-memory": "memory_child.py",
}
"""Looks that run in a process of their own: name, as recordings keep it, and the file beside this one."""


def source_of(argv: tuple[str, ...]) -> str:
    """The command as it would be typed; the source of its readings."""
    from shlex import join

    return join(argv)


def run_command(argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
    """Run it to its end or its time limit; then it and all of its process group are killed.

    The environment is `PATH` (the caller's absolute folders, then the system's, sbin too), `HOME` and
    `LC_ALL=C`; the working folder is `/`. A program that is not installed is absent. A program of
    `OWN_PROGRAMS` is a part of ours, which sees the caller's libraries. As root only folders that are root's
    own are searched, and only programs that are root's own run: under `sudo` the caller's may hold anything.
    """
    source = source_of(argv)
    search = _search_path()
    environment = {"PATH": search, "LC_ALL": "C", "HOME": os.path.expanduser("~")}
    words = argv
    if argv and argv[0] in OWN_PROGRAMS:
        words = _own_words(OWN_PROGRAMS[argv[0]], argv[1:])
        environment |= _own_environment()
    program = find_program(words[0], search) if words else None
    if program is None:
        return Absent(source)
    if rights.is_root() and words is argv and not rights.is_roots_own(program):
        return Unreadable(source, f"{program} is not root's own, so root does not run it")
    return run_program(words, program=program, environment=environment, timeout_s=timeout_s, asked=argv)


def run_program(
    words: tuple[str, ...],
    *,
    program: str,
    environment: dict[str, str],
    timeout_s: float,
    asked: tuple[str, ...] = (),
    is_merged: bool = False,
) -> Reading[CommandResult]:
    """Run a found program with an environment given whole; bounded like `run_command`.

    `asked` is the command that the reading names, where that is another one than the words. `is_merged` has
    stderr stand in stdout, in the order in which both were printed.
    """
    import subprocess

    asked = asked or words
    source = source_of(asked)
    try:
        child = subprocess.Popen(
            words,
            executable=program,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if is_merged else subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        return Unreadable(source, f"{program} cannot start: its interpreter or loader is missing")
    except (OSError, ValueError) as problem:
        return Unreadable(source, f"{program} cannot start: {getattr(problem, 'strerror', None) or problem}")
    try:
        output = _Output()
        why = _watch(child, output, timeout_s=timeout_s)
    finally:
        _end_group(child)
    if why:
        return Unreadable(source, why)
    return Known(CommandResult(asked, child.returncode, *output.texts()), source)


def run_bounded(
    argv: tuple[str, ...], *, environment: dict[str, str], timeout_s: float, may_fail: bool = False
) -> str | None:
    """What a short command prints (stdout and stderr together), bounded like `run_command`.

    `None` when it cannot be started, prints too much or takes too long, and when it fails, unless its last
    words are wanted.
    """
    done = run_program(argv, program=argv[0], environment=environment, timeout_s=timeout_s, is_merged=True)
    if not isinstance(done, Known) or (done.value.exit_code and not may_fail):
        return None
    return done.value.stdout


def find_program(name: str, search: str) -> str | None:
    """The file that a command's name stands for, `None` when there is none."""
    places = [name] if "/" in name else [os.path.join(folder, name) for folder in search.split(":")]
    with contextlib.suppress(ValueError):
        for place in places:
            if os.path.isfile(place) and os.access(place, os.X_OK):
                return place
    return None


def own_command(file: str, arguments: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Words and environment that start one of our own looks, for a process that stays."""
    environment = {"PATH": _search_path(), "LC_ALL": "C", "HOME": os.path.expanduser("~")}
    return _own_words(file, arguments), environment | _own_environment()


def _own_words(file: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Our Python with one file of ours, without the time that site packages take to start."""
    return (sys.executable, "-P", "-s", "-S", os.path.join(os.path.dirname(__file__), file), *arguments)


def _own_environment() -> dict[str, str]:
    """Where our own libraries lie, and what decides which driver library and card a program gets."""
    kept = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES",) if name in os.environ}
    libraries = os.environ.get("LD_LIBRARY_PATH")
    if libraries is not None and rights.is_root():
        libraries = ":".join(folder for folder in libraries.split(":") if rights.is_roots_own(folder)) or None
    if libraries is not None:
        kept["LD_LIBRARY_PATH"] = libraries
    return {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part.startswith("/")), **kept}


def _search_path() -> str:
    given = [folder for folder in os.environ.get("PATH", "").split(":") if folder.startswith("/")]
    if rights.is_root():
        given = [folder for folder in given if rights.is_roots_own(folder)]
    return ":".join(dict.fromkeys([*given, *SYSTEM_FOLDERS]))


@dataclass(slots=True)
class _Output:
    """What came so far on both streams."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def is_too_much(self) -> bool:
        return len(self.stdout) + len(self.stderr) > OUTPUT_LIMIT_BYTES

    def texts(self) -> tuple[str, str]:
        return self.stdout.decode("utf-8", "replace"), self.stderr.decode("utf-8", "replace")


def _watch(child: subprocess.Popen[bytes], output: _Output, *, timeout_s: float) -> str:
    """Collect output until the command has ended; why it was given up, or an empty text."""
    import selectors

    deadline = time.monotonic() + timeout_s
    has_ended = False
    with _end_of(child.pid) as handle, selectors.DefaultSelector() as waiting:
        _watch_stream(waiting, child.stdout, output.stdout)
        if child.stderr is not None:
            _watch_stream(waiting, child.stderr, output.stderr)
        if handle is not None:
            waiting.register(handle, selectors.EVENT_READ, None)
        while waiting.get_map() or not has_ended:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            ready = waiting.select(left_s if handle is not None or has_ended else min(left_s, _POLL_S))
            for key, _ in ready:
                if key.data is None or not _take(key.fd, key.data):
                    waiting.unregister(key.fileobj)
            told = any(key.data is None for key, _ in ready)
            if told or (handle is None and not has_ended and _is_over(child.pid)):
                has_ended = True
                deadline = min(deadline, time.monotonic() + _GRACE_S)
            if output.is_too_much():
                return f"it printed more than {OUTPUT_LIMIT_BYTES:,} bytes"
    return "" if has_ended else f"it did not end within {timeout_s:g} s"


@contextlib.contextmanager
def _end_of(pid: int) -> Iterator[int | None]:
    """A descriptor that is readable once our child has ended; `None` before Linux 5.3 and where refused."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _is_over(pid: int) -> bool:
    """Whether our child has ended; it stays to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _watch_stream(waiting: selectors.BaseSelector, stream: IO[bytes] | None, into: bytearray) -> None:
    assert stream is not None
    from selectors import EVENT_READ

    os.set_blocking(stream.fileno(), False)
    waiting.register(stream.fileno(), EVENT_READ, into)


def _take(descriptor: int, into: bytearray) -> bool:
    """Read what waits; whether more can come."""
    piece = os.read(descriptor, 64 * 1024)
    into += piece
    return bool(piece)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left, while the not yet waited-for child still holds the group's number."""
    from signal import SIGKILL

    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, SIGKILL)
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
