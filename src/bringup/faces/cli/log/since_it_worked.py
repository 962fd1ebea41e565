"""`bringup log since-it-worked`."""

from __future__ import annotations

import click


@click.command(name="since-it-worked", short_help="What changed since it last worked.")
@click.argument("what", required=False)
@click.option("--as-seen-last", is_flag=True, help="Do not look at the machine again: take the last look.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, what: str | None, *, as_seen_last: bool, as_json: bool) -> None:
    """Compare now with the last time that it worked, and rank what changed by how far it can be the cause.

    Without WHAT: with the last look that did not find the faults of now. WHAT is a model (then with its last
    good run), a fault's id or a layer.
    """
    from bringup.actions.log.entries import bring_up_to_date
    from bringup.actions.log.since import look_and_compare
    from bringup.actions.log.timeline import this_machine
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.faces.render.log import render_comparison
    from bringup.faces.render.log_json import comparison_json
    from bringup.machine.folders import our_folders

    place = our_folders()
    warning = bring_up_to_date(place)
    found, later = look_and_compare(place, this_machine(), what, is_looking=not as_seen_last)
    if as_json:
        context.obj.answer_json(comparison_json(found))
    else:
        context.obj.answer_lines(render_comparison(found))
    say_journal_trouble(context.obj, warning or later)
