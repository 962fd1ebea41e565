"""`bringup ps`: the running engines."""

from __future__ import annotations

import click

from bringup.faces.render.console import Console, Style, Styled


@click.command(name="ps", short_help="List the running engines.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """List the engines that bringup runs for you: chats, servers, and detached servers that have failed.

    Each is asked whether it answers; a failed one stays listed with its cause until it is stopped
    (bringup stop PORT) or started again.
    """
    from bringup.actions.running.engine_ends import note_ends
    from bringup.actions.running.engines import list_engines, unread_engines
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.faces.render.engines import engine_lines, engines_json
    from bringup.machine import clock, folders

    console: Console = context.obj
    place = folders.our_folders()
    say_journal_trouble(console, note_ends(place))
    for path in unread_engines(place):
        words = "damaged, or of a newer bringup; its engine is not listed. Remove it once none runs there"
        console.line(Styled("warning:", Style.YELLOW), f" {path} cannot be read: {words}")
    engines = list_engines(place)
    if as_json:
        console.answer_json(engines_json(engines))
    elif not engines:
        console.note(
            "No engine of bringup's is running. bringup serve MODEL starts one; bringup top shows others too."
        )
    else:
        terminal = console.answer_terminal
        width = terminal.width_columns if terminal.is_terminal else None
        for line in engine_lines(engines, now_s=clock.wall_s(), width_columns=width):
            console.answer(line)
