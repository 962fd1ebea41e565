"""`bringup log verify`."""

from __future__ import annotations

import click


@click.command(name="verify", short_help="Check that nothing in the log was changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Read the whole log and check every entry against the chain of hashes; nothing is mended by that.

    Exit code 1 where something is not as it was written.
    """
    from bringup.actions.journal.verification import check_journal
    from bringup.faces.render.log import render_verified
    from bringup.faces.render.log_json import verified_json
    from bringup.machine.folders import our_folders

    found = check_journal(our_folders())
    if as_json:
        context.obj.answer_json(verified_json(found))
    else:
        context.obj.answer_lines(render_verified(found))
    context.exit(1 if found.problems else 0)
