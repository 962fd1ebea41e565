"""What `bringup models` shows, by its options."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.actions.models import on_disk
from bringup.errors import WrongUse
from bringup.faces.render.console import Console
from bringup.faces.render.format import format_bytes
from bringup.faces.render.models import (
    catalogue_lines,
    report_json,
    report_lines,
    unfinished_json,
    unfinished_lines,
)
from bringup.faces.render.pull import JSON_SCHEMA
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


def show_models(console: Console, options: ModelsOptions) -> None:
    """One listing, or the removal of partial files.

    Raises:
        WrongUse: two listings at once.
    """
    if options.unfinished + options.remove_unfinished + options.with_catalogue > 1:
        raise WrongUse("give one of --unfinished, --remove-unfinished and --catalogue")
    terminal = console.answer_terminal
    width_columns = terminal.width_columns if terminal.is_terminal else None
    if options.with_catalogue:
        for line in catalogue_lines(on_disk.list_catalogue(), width_columns=width_columns):
            console.answer(line)
        return
    report = on_disk.list_models()
    parts = report.survey.unfinished
    if options.remove_unfinished:
        _remove(console, parts, yes=options.yes)
    elif options.unfinished and options.as_json:
        console.answer_json({"schema": JSON_SCHEMA, "unfinished": [unfinished_json(one) for one in parts]})
    elif options.unfinished:
        for line in unfinished_lines(parts):
            console.answer(line)
    elif options.as_json:
        console.answer_json(report_json(report))
    else:
        for pieces in report_lines(report, width_columns=width_columns, with_paths=options.with_paths):
            console.answer(*pieces)


def _remove(console: Console, parts: tuple[Unfinished, ...], *, yes: bool) -> None:
    idle = tuple(one for one in parts if one.in_use_by_pid is None)
    for line in unfinished_lines(parts):
        console.line(line)
    if not idle:
        return
    total = format_bytes(sum(one.done_bytes for one in idle))
    if yes or console.confirm(f"Remove {len(idle)} unfinished, {total}?"):
        console.line(f"Removed; {format_bytes(on_disk.remove_unfinished(idle))} are free again.")
    else:
        console.line("Nothing was removed; that needs a yes at a terminal, or --yes.")
