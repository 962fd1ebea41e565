"""`bringup log compare`."""

from __future__ import annotations

import click


@click.command(name="compare", short_help="Compare the machine at two moments.")
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, first: str, second: str, *, as_json: bool) -> None:
    """Show every fact that differs between FIRST and SECOND, and what happened in between.

    Each is the number of an entry, `first`, `now`, or a moment such as 7d, yesterday or 2026-11-01.
    """
    from bringup.actions.log.entries import read_log
    from bringup.actions.log.since import compare_named
    from bringup.actions.log.timeline import outside_items, this_machine
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.faces.render.log import render_comparison
    from bringup.faces.render.log_json import comparison_json
    from bringup.machine.folders import our_folders

    outside, _ = outside_items(this_machine())
    found, warning = read_log(
        our_folders(), lambda journal: compare_named(journal, first, second, outside=outside)
    )
    if as_json:
        context.obj.answer_json(comparison_json(found))
    else:
        context.obj.answer_lines(render_comparison(found))
    say_journal_trouble(context.obj, warning)
