"""Running a command that may change the machine, after a yes: argv only, an environment of our own making.

Nothing of the caller's environment reaches it: not `PATH`, not `LD_*`, not `PYTHON*`. No pager, no editor and
no dialogue starts from it. It is in a session of its own and prints into memory, so it neither draws on the
terminal nor dies half-way when we or the terminal go; what it asks (apt's own question) a person answers.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final, TextIO

from bringup.machine import rights
from bringup.machine.commands import SYSTEM_FOLDERS, find_program, run_program, source_of
from bringup.machine.process import ProcessIdentity, identity_of
from bringup.machine.protocol import CommandResult
from bringup.reading import Absent, Reading

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


class Effect:
    """A started command. Iterate over `output()`, then read `end`."""

    def __init__(self, argv: tuple[str, ...], *, stdin: TextIO | None) -> None:
        """Start it.

        Args:
            argv: program and arguments.
            stdin: where a person answers what it asks; `None`: it reads the end of input.

        Raises:
            OSError: it cannot be started, or is not in the system's folders.
        """
        program = find_system_program(argv[0])
        if program is None:
            raise FileNotFoundError(f"{argv[0]} is not in {_SEARCH}")
        self._printed = os.memfd_create("output", os.MFD_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                argv,
                executable=program,
                env=system_environment(),
                cwd="/",
                umask=0o022,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=self._printed,
                stderr=self._printed,
                start_new_session=True,
                close_fds=True,
            )
        except BaseException:
            os.close(self._printed)
            raise
        self.identity: ProcessIdentity | None = identity_of(self._process.pid)
        self.end = EffectEnd(None)
        self._interrupts = 0

    def output(self) -> Iterator[str]:
        """What it prints, as it comes, until it has ended. Ctrl-C goes to it; the third leaves it running."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        at = 0
        is_main = threading.current_thread() is threading.main_thread()
        former = signal.signal(signal.SIGINT, self._pass_on) if is_main else None
        handle = os.pidfd_open(self._process.pid)
        try:
            has_ended = False
            while not has_ended and self._interrupts < _INTERRUPTS_UNTIL_LEFT:
                has_ended = bool(select.select([handle], [], [], _POLL_S)[0])
                while piece := os.pread(self._printed, _CHUNK_BYTES, at):
                    at += len(piece)
                    yield decoder.decode(piece)
            yield decoder.decode(b"", final=True)
            if has_ended:
                code = self._process.wait()
                self.end = EffectEnd(code) if code >= 0 else EffectEnd(None, -code)
        finally:
            os.close(handle)
            os.close(self._printed)
            if is_main:
                signal.signal(signal.SIGINT, former)

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGINT)
