"""`bringup log search`."""

from __future__ import annotations

import click


@click.command(name="search", short_help="Find entries by their words.")
@click.argument("words", nargs=-1, required=True)
@click.option("--last", type=click.IntRange(1, 100_000), default=40, help="So many entries (40).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, words: tuple[str, ...], last: int, *, as_json: bool) -> None:
    """List the entries that hold all of WORDS, newest last; parts of words count, case does not.

    Exit code 1 where there is none.
    """
    from bringup.actions.log.entries import search
    from bringup.actions.log.timeline import Timeline, item_of
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.faces.render.log import render_timeline
    from bringup.faces.render.log_json import entries_json
    from bringup.machine.folders import our_folders

    found, warning = search(our_folders(), words, last=last)
    if as_json:
        context.obj.answer_json(entries_json(found))
    elif found:
        shown = context.obj.answer_terminal
        width = shown.width_columns if shown.is_terminal else 200
        context.obj.answer_lines(render_timeline(Timeline(tuple(map(item_of, found))), width_columns=width))
    else:
        context.obj.line("No entry holds all of these words.")
    say_journal_trouble(context.obj, warning)
    context.exit(0 if found else 1)
