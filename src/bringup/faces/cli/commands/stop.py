"""`bringup stop`: stop a running engine."""

from __future__ import annotations

import click

from bringup.errors import WrongUse
from bringup.faces.cli.completing import complete_engine
from bringup.faces.render.console import Console


@click.command(name="stop", short_help="Stop a running engine.")
@click.argument("engine", required=False, shell_complete=complete_engine)
@click.option("--all", "every", is_flag=True, help="Stop all engines of yours.")
@click.pass_context
def command(context: click.Context, engine: str | None, *, every: bool) -> None:
    """Stop ENGINE: its port or its model's name as `bringup ps` lists them. Without it: the only one.

    It is asked to end, and killed when it has not after 11 seconds.
    """
    from bringup.actions.running.engines import stop_engines
    from bringup.machine import folders

    console: Console = context.obj
    if every and engine is not None:
        raise WrongUse("name an engine or say --all, not both")
    are_gone, was_one = True, False
    for record, is_gone in stop_engines(folders.our_folders(), engine, every=every):
        words = "Stopped" if is_gone else "Could not stop"
        console.line(f"{words} {record.alias} on port {record.port}.")
        are_gone, was_one = are_gone and is_gone, True
    if not was_one:
        console.line("No engine of bringup's is running.")
    context.exit(0 if are_gone else 1)
