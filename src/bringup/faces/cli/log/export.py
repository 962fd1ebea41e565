"""`bringup log export`."""

from __future__ import annotations

import click


@click.command(name="export", short_help="Write the log as a Markdown document or as JSON.")
@click.option(
    "--json", "as_json", is_flag=True, help="Every entry as JSON, without the machine's raw answers."
)
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Print the log: what was learned, and each fault with its date, output, reason and solution.

    Names of people and machines, addresses and secrets were taken out before anything was kept.
    """
    from bringup.actions.log.entries import read_log
    from bringup.actions.log.export import export_json, export_redacted
    from bringup.actions.log.timeline import this_machine
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.machine.folders import our_folders

    if as_json:
        value, warning = read_log(our_folders(), export_json)
        context.obj.answer_json(value)
    else:
        text, warning = export_redacted(our_folders(), this_machine())
        context.obj.answer_piece(text)
    say_journal_trouble(context.obj, warning)
