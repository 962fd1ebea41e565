"""What `bringup models` shows, by its options."""

from __future__ import annotations

from bringup.actions.models import on_disk
from bringup.errors import WrongUse
from bringup.faces.render.console import Console
from bringup.faces.render.format import format_bytes
from bringup.faces.render.models import (
    catalogue_lines,
    entry_json,
    report_json,
    report_lines,
    unfinished_json,
    unfinished_lines,
)
from bringup.faces.render.pull import JSON_SCHEMA
from bringup.records import dataclass
from bringup.store.local import Unfinished


@dataclass(frozen=True, slots=True)
class ModelsOptions:
    """The options of `bringup models`, as typed."""

    as_json: bool
    with_paths: bool
    unfinished: bool
    remove_unfinished: bool
    with_catalogue: bool
    yes: bool


def show_models(console: Console, options: ModelsOptions) -> int:
    """One listing, or the removal of partial files; the exit code.

    Raises:
        WrongUse: two listings at once, or JSON of a removal.
    """
    if options.unfinished + options.remove_unfinished + options.with_catalogue > 1:
        raise WrongUse("give one of --unfinished, --remove-unfinished and --catalogue")
    if options.as_json and options.remove_unfinished:
        raise WrongUse("--json lists, and removes nothing", hint="models --unfinished --json lists them.")
    if options.with_catalogue:
        _show_catalogue(console, as_json=options.as_json)
        return 0
    report = on_disk.list_models()
    parts = report.survey.unfinished
    if options.remove_unfinished:
        return _remove(console, parts, yes=options.yes)
    if options.unfinished and options.as_json:
        console.answer_json({"schema": JSON_SCHEMA, "unfinished": [unfinished_json(one) for one in parts]})
    elif options.unfinished:
        for line in unfinished_lines(parts):
            console.answer(line)
    elif options.as_json:
        console.answer_json(report_json(report))
    else:
        for pieces in report_lines(report, width_columns=_width(console), with_paths=options.with_paths):
            console.answer(*pieces)
    return 0


def _show_catalogue(console: Console, *, as_json: bool) -> None:
    entries = on_disk.list_catalogue()
    if as_json:
        console.answer_json({"schema": JSON_SCHEMA, "catalogue": [entry_json(one) for one in entries]})
        return
    for line in catalogue_lines(entries, width_columns=_width(console)):
        console.answer(line)


def _width(console: Console) -> int | None:
    terminal = console.answer_terminal
    return terminal.width_columns if terminal.is_terminal else None


def _remove(console: Console, parts: tuple[Unfinished, ...], *, yes: bool) -> int:
    idle = tuple(one for one in parts if one.in_use_by_pid is None)
    for line in unfinished_lines(parts):
        console.line(line)
    if not idle:
        return 0
    total = format_bytes(sum(one.done_bytes for one in idle))
    if not yes and not console.agrees(f"Remove {len(idle)} unfinished, {total}?", done="removed"):
        return 1
    console.line(f"Removed; {format_bytes(on_disk.remove_unfinished(idle))} are free again.")
    return 0
