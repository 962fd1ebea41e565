"""Running a command that may change the machine, after a yes: argv only, an environment of our own making.

Nothing of the caller's environment reaches it: not `PATH`, not `LD_*`, not `PYTHON*`. No pager, no editor and
no dialogue starts from it. It never gets the terminal: it is in a session of its own and prints into memory,
so it neither draws nor dies half-way when we or the terminal go. What it asks (apt's own question) a person
answers; the line is handed on, and a line that is typed while nothing is asked is not.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from enum import Enum
from types import FrameType
from typing import IO, Any, Final, Self, TextIO

from bringup.machine import rights
from bringup.machine.commands import SYSTEM_FOLDERS, find_program, run_program, source_of
from bringup.machine.process import ProcessIdentity, identity_of
from bringup.machine.protocol import CommandResult
from bringup.reading import Absent, Reading
from bringup.records import dataclass

_SEARCH: Final = ":".join((*SYSTEM_FOLDERS, "/usr/lib/wsl/lib", "/run/current-system/sw/bin"))
_OWN: Final = "bringup"
_POLL_S: Final = 0.05
_CHUNK_BYTES: Final = 64 * 1024
_INTERRUPTS_UNTIL_LEFT: Final = 3

_QUIET: Final = {
    "LC_ALL": "C",
    "TERM": "dumb",
    "PAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "EDITOR": "/bin/false",
    "VISUAL": "/bin/false",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_MODE": "l",
    "UCF_FORCE_CONFFOLD": "1",
}


@dataclass(frozen=True, slots=True)
class EffectEnd:
    """How it ended: an exit code or a signal; neither where we left before it ended."""

    exit_code: int | None
    signal_number: int | None = None

    @property
    def is_success(self) -> bool:
        """Whether it said that all went well."""
        return self.exit_code == 0

    @property
    def is_known(self) -> bool:
        """Whether we saw it end."""
        return self.exit_code is not None or self.signal_number is not None


def system_environment() -> dict[str, str]:
    """The whole environment of a command: constants, and who we are by the system's own list of accounts."""
    name = rights.own_name()
    return {"PATH": _SEARCH, "HOME": rights.own_home(), "USER": name, "LOGNAME": name, **_QUIET}


def find_system_program(name: str) -> str | None:
    """The file that a command's name stands for in the system's own folders; `bringup` is ourselves."""
    if name == _OWN:
        return find_program(os.path.join(os.path.dirname(sys.executable), _OWN), "")
    return find_program(name, _SEARCH)


def look_by_command(argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
    """Run a command that only looks, in the same environment; bounded in time and output, it asks nothing."""
    program = find_system_program(argv[0]) if argv else None
    if program is None:
        return Absent(source_of(argv))
    return run_program(argv, program=program, environment=system_environment(), timeout_s=timeout_s)


class Answered(Enum):
    """A person typed a line to the command; the terminal has shown it."""

    LINE = "line"


class Effect:
    """A command that is started on entering the block. Iterate over `output()`, then read `end`.

    Meanwhile Ctrl-C goes to the command; the third one leaves it running.
    """

    def __init__(self, argv: tuple[str, ...], *, stdin: TextIO | None) -> None:
        """Prepare it.

        Args:
            argv: program and arguments.
            stdin: the terminal at which a person answers what it asks; `None`: it reads the end of input.
        """
        self._argv = argv
        self._person = stdin
        self._process: subprocess.Popen[bytes] | None = None
        self._printed = -1
        self._former: Any = None
        self._is_main = threading.current_thread() is threading.main_thread()
        self._interrupts = 0
        self._is_asking = False
        self.identity: ProcessIdentity | None = None
        self.end = EffectEnd(None)

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            OSError: it cannot be started, or is not in the system's folders.
        """
        program = find_system_program(self._argv[0])
        if program is None:
            raise FileNotFoundError(errno.ENOENT, f"not in {_SEARCH}")
        if self._is_main:
            self._former = signal.signal(signal.SIGINT, self._pass_on)
        try:
            self._printed = os.memfd_create("output", os.MFD_CLOEXEC)
            self._process = self._start(program)
        except BaseException:
            self.__exit__()
            raise
        self.identity = identity_of(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_answers()
        if self._printed >= 0:
            os.close(self._printed)
            self._printed = -1
        if self._is_main:
            signal.signal(signal.SIGINT, self._former or signal.SIG_DFL)

    def _start(self, program: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._argv,
            executable=program,
            env=system_environment(),
            cwd="/",
            umask=0o022,
            stdin=subprocess.DEVNULL if self._person is None else subprocess.PIPE,
            stdout=self._printed,
            stderr=self._printed,
            start_new_session=True,
            close_fds=True,
        )

    def output(self) -> Iterator[str | Answered]:
        """What it prints, as it comes, until it has ended; `ANSWERED` where a person typed a line to it."""
        assert self._process is not None
        handle = os.pidfd_open(self._process.pid)
        try:
            yield from self._until_end(self._process, handle)
        finally:
            os.close(handle)

    def _until_end(self, process: subprocess.Popen[bytes], handle: int) -> Iterator[str | Answered]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        at, has_ended = 0, False
        while not has_ended and self._interrupts < _INTERRUPTS_UNTIL_LEFT:
            ready = select.select([handle, *self._typed_at()], [], [], _POLL_S)[0]
            has_ended = handle in ready
            while piece := os.pread(self._printed, _CHUNK_BYTES, at):
                at += len(piece)
                self._is_asking = not piece.endswith((b"\n", b"\r"))
                yield decoder.decode(piece)
            if len(ready) > has_ended and self._answer():
                yield Answered.LINE
        yield decoder.decode(b"", final=True)
        if has_ended:
            code = process.wait()
            self.end = EffectEnd(code) if code >= 0 else EffectEnd(None, -code)

    def _typed_at(self) -> list[int]:
        """Where a person types, while somebody listens."""
        return [self._person.fileno()] if self._person is not None and self._answers is not None else []

    def _answer(self) -> bool:
        """Pass on what was typed; whether it was. Where nothing is asked it is thrown away."""
        assert self._person is not None
        line = os.read(self._person.fileno(), _CHUNK_BYTES)
        if line and not self._is_asking:
            return False
        if not line:
            self._end_answers()
            return False
        assert self._answers is not None
        try:
            self._answers.write(line)
            self._answers.flush()
        except OSError:
            self._end_answers()
        self._is_asking = False
        return True

    @property
    def _answers(self) -> IO[bytes] | None:
        """Where the command reads what a person types; `None` where it reads no more."""
        stream = self._process.stdin if self._process is not None else None
        return None if stream is None or stream.closed else stream

    def _end_answers(self) -> None:
        if self._answers is not None:
            with contextlib.suppress(OSError):
                self._answers.close()

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGINT)
