"""A crash of ours, written where its finder can send it from; without key or home path."""

from __future__ import annotations

import traceback

from bringup import __version__
from bringup.errors import BringupError
from bringup.machine import clock, files, folders, paths
from bringup.machine.live import LiveMachine
from bringup.machine.redaction import redactor_for
from bringup.records import dataclass

_KEY_LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class CrashReport:
    """What went wrong in one line, and the file with the traceback.

    `path` is `None` where it could not be written; `problem` then says why.
    """

    summary: str
    where: str
    path: str | None
    problem: str = ""


def report_crash(error: BaseException) -> CrashReport:
    """Write the traceback of our own mistake to the state folder (0600)."""
    summary = _redact("".join(traceback.format_exception_only(error)).strip())
    where = _innermost(error)
    text = _redact("".join(traceback.format_exception(error)))
    stamp = clock.local_time_text(clock.wall_s()).replace(" ", "T").replace(":", "")
    try:
        path = paths.join(folders.our_folders().state, "crashes", f"{stamp}.txt")
        files.write_atomic(path, f"bringup {__version__}\n\n{text}".encode("utf-8", "replace"))
    except BringupError as problem:
        return CrashReport(summary, where, None, problem.message)
    return CrashReport(summary, where, path)


def _innermost(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{paths.basename(frames[-1].filename)}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _redact(text: str) -> str:
    """Take out our key, the home folder, and whatever else names a person or the machine."""
    try:
        key_file = folders.our_folders().key_file
        key = (files.read_small(key_file, limit_bytes=_KEY_LIMIT_BYTES) or b"").decode("ascii", "replace")
    except BringupError:
        key = ""
    home = folders.home()
    text = text.replace(home, "~") if len(home) > 1 else text
    return redactor_for(LiveMachine(), secrets=key.split()).redact(text)
