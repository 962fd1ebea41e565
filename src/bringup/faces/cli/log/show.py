"""`bringup log show`."""

from __future__ import annotations

import click


@click.command(name="show", short_help="Show everything that is kept of one entry.")
@click.argument("number", type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, number: int, *, as_json: bool) -> None:
    """Show everything that is kept of the entry NUMBER."""
    from bringup.actions.log.entries import get_entry
    from bringup.errors import WrongUse
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.faces.render.log import render_entry
    from bringup.faces.render.log_json import entries_json
    from bringup.machine.folders import our_folders

    entry, warning = get_entry(our_folders(), number)
    if entry is None:
        say_journal_trouble(context.obj, warning)
        raise WrongUse(f"there is no entry {number}", hint="bringup log lists them with their numbers.")
    if as_json:
        context.obj.answer_json(entries_json([entry]))
    else:
        context.obj.answer_lines(render_entry(entry))
    say_journal_trouble(context.obj, warning)
