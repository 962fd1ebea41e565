"""`bringup logs`: what an engine wrote to its log."""

from __future__ import annotations

import click

from bringup.faces.cli.completing import complete_engine
from bringup.faces.render.console import Console


@click.command(name="logs", short_help="Show what an engine wrote to its log.")
@click.argument("engine", required=False, shell_complete=complete_engine)
@click.option(
    "-f", "--follow", "follows", is_flag=True, help="Go on with what is added, until it ends or Ctrl-C."
)
@click.option("-n", "--lines", type=click.IntRange(0), default=40, show_default=True, help="How many lines.")
@click.pass_context
def command(context: click.Context, engine: str | None, *, follows: bool, lines: int) -> None:
    """Show the log of ENGINE: its port or its model's name as `bringup ps` lists them.

    A port whose engine is gone shows the log that it left. Escape sequences are taken out.
    """
    from bringup.actions.running.engines import find_log, follow, read_tail
    from bringup.machine import folders

    console: Console = context.obj
    path, record = find_log(folders.our_folders(), engine)
    text, position = read_tail(path, lines)
    console.answer_piece(text)
    if follows:
        for piece in follow(path, position, record):
            console.answer_piece(piece)
        console.line("The engine has ended.")
