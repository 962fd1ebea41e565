"""What `doctor` and `diagnose` share: reading a paste, showing what came out."""

from __future__ import annotations

from typing import Final

from bringup.actions.doctor import Examination
from bringup.errors import WrongUse
from bringup.faces.render.console import Console
from bringup.machine import files

PASTE_LIMIT_BYTES: Final = 256 * 1024**2


def read_paste(console: Console, name: str) -> tuple[str, str]:
    """The text of a file, or of standard input for `-`, and what to call it.

    Raises:
        WrongUse: no text is given.
        FileTrouble: the file cannot be read, or is larger than 256 MiB.
    """
    if name != "-":
        data = files.read_small(name, limit_bytes=PASTE_LIMIT_BYTES)
        if data is None:
            raise WrongUse(f"{name}: no such file", hint="Give a file, or - for standard input.")
        return data.decode("utf-8", "replace"), name
    if console.stdin is None:
        raise WrongUse("there is no standard input to read", hint="Give a file, or pipe the text in.")
    if console.is_interactive:
        console.line("Paste what was printed, then press Ctrl-D.")
    return console.stdin.buffer.read(PASTE_LIMIT_BYTES).decode("utf-8", "replace"), "pasted text"


def show_examination(console: Console, examination: Examination, *, as_json: bool) -> int:
    """Print it; the exit code that says what came out."""
    if as_json:
        from bringup.faces.render.diagnosis_json import examination_json

        console.answer_json(examination_json(examination))
    else:
        from bringup.faces.render.diagnosis import render_examination

        for line in render_examination(examination):
            console.answer(*line)
    return examination.verdict.value
