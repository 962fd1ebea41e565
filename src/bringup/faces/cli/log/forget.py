"""`bringup log forget`."""

from __future__ import annotations

import click


@click.command(name="forget", short_help="Take the text of an entry out of the log.")
@click.argument("number", type=click.IntRange(1))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def command(context: click.Context, number: int, *, yes: bool) -> int:
    """Remove what the entry NUMBER says, for good. Its place stays, and that it was forgotten is kept."""
    from bringup.actions.log.notes import forget
    from bringup.machine.folders import our_folders

    if not yes and not context.obj.agrees(f"Remove the text of entry {number} for good?", done="removed"):
        return 1
    kind = forget(our_folders(), number)
    context.obj.line(f"The text of entry {number} ({kind}) is gone.")
    return 0
