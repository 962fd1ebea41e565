"""What `snapshot` does: look, say what the file holds, ask, write."""

from __future__ import annotations

from typing import Final

from bringup.actions.diagnosis.doctor import choose_machine
from bringup.actions.diagnosis.snapshot import (
    Snapshot,
    check_place,
    default_name,
    take_snapshot,
    write_snapshot,
)
from bringup.errors import WrongUse
from bringup.faces.render.console import Console
from bringup.faces.render.snapshot import render_contents, snapshot_json
from bringup.records import dataclass

_STANDARD_OUTPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class SnapshotOptions:
    """What was typed."""

    file: str | None
    root: str | None
    recording: str | None
    list_only: bool
    yes: bool
    as_json: bool


def write_or_list(console: Console, options: SnapshotOptions) -> int:
    """Take a snapshot and write it, or list what it would hold; the exit code.

    Raises:
        WrongUse: something is at the path, or a terminal would get the archive.
        FileTrouble: it cannot be written.
    """
    path = None if options.list_only else options.file or default_name()
    if path == _STANDARD_OUTPUT:
        _check_standard_output(console, options)
    elif path is not None:
        check_place(path)
    machine, subject = choose_machine(root=options.root, recording=options.recording)
    console.status("looking at the machine")
    snapshot = take_snapshot(machine, subject=subject)
    if not (options.as_json and options.list_only):
        for line in render_contents(snapshot, console.reading_columns, with_list=options.list_only):
            (console.answer if options.list_only else console.line)(*line)
    if path is not None and not _may_write(console, options, path):
        console.line("Nothing was written.")
        return 1
    _write(console, snapshot, path)
    if options.as_json:
        console.answer_json(snapshot_json(snapshot, path))
    elif path not in (None, _STANDARD_OUTPUT):
        console.answer(path)
    return 0


def _may_write(console: Console, options: SnapshotOptions, path: str) -> bool:
    """Who asks for it in a script has said so by the command; a person at a terminal is asked."""
    if options.yes or not console.can_ask:
        return True
    place = "standard output" if path == _STANDARD_OUTPUT else path
    return console.confirm(f"Write this to {place}?")


def _write(console: Console, snapshot: Snapshot, path: str | None) -> None:
    if path == _STANDARD_OUTPUT:
        console.answer_bytes(snapshot.data)
    elif path is not None:
        write_snapshot(snapshot, path)


def _check_standard_output(console: Console, options: SnapshotOptions) -> None:
    if options.as_json:
        raise WrongUse("standard output cannot be both the archive and JSON", hint="Give a file's name.")
    if console.answer_terminal.is_terminal:
        raise WrongUse(
            "a terminal is no place for an archive",
            hint="Give a file's name, or redirect: bringup snapshot - > FILE",
        )
