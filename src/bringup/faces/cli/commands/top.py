"""`bringup top`: cards, memory, engines and processes, live."""

from __future__ import annotations

import click

from bringup.faces.cli.parameters import FiniteRange


@click.command(name="top", short_help="Watch cards, memory and engines live.")
@click.option("--once", is_flag=True, help="Print one look as text and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one look as JSON and end.")
@click.option(
    "--interval",
    "interval_s",
    type=FiniteRange(0.2, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks.",
)
@click.option("--from", "recording", metavar="FILE", help="Show a snapshot or a recorded machine.")
@click.pass_context
def command(
    context: click.Context, *, once: bool, as_json: bool, interval_s: float, recording: str | None
) -> int:
    """Show who holds the memory of each card, how full the context windows are, how fast tokens come.

    Keys: arrows or p n choose, s sorts, f filters, t is a tree, e explains what is chosen, k ends a process
    after a question, space pauses, ? helps, q leaves. Without a terminal it prints one look, as --once does.
    """
    from bringup.faces.cli.live import show_live, show_once

    # The screen is drawn on stderr, as prompts are, so all three streams have to be the terminal.
    is_screen = context.obj.is_interactive and context.obj.note_terminal.can_redraw
    if once or as_json or not is_screen:
        return show_once(context.obj, recording, interval_s=interval_s, as_json=as_json)
    return show_live(context.obj, recording, interval_s=interval_s)
