"""`bringup snapshot`: everything that the doctor read, redacted, in one file."""

from __future__ import annotations

from typing import Any

import click

from bringup.faces.render.console import Console


@click.command(name="snapshot", short_help="Write what the doctor read, redacted, to one file.")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--root", metavar="DIR", help="Of the system mounted at DIR.")
@click.option("--from", "recording", metavar="FILE", help="Of a snapshot or a recorded machine, once more.")
@click.option("--list", "list_only", is_flag=True, help="List what it would hold, and write nothing.")
@click.option("--yes", is_flag=True, help="Write it without a question.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context,
    /,
    **options: Any,  # noqa: ANN401 - as click gives them
) -> int:
    """Examine this machine and write every answer to FILE, for a bug report or another pair of eyes.

    Names of users and of the machine, addresses, serial numbers, UUIDs and secrets are replaced by
    stand-ins. What the file holds is said before it is written, and asked at a terminal.
    `bringup doctor --from FILE` gives the same verdict as here. Without FILE the name is
    bringup-snapshot-DATE.tar.zst in the current folder; - writes to standard output.
    """
    from bringup.faces.cli.snapshot_writing import SnapshotOptions, write_or_list

    console: Console = context.obj
    return write_or_list(console, SnapshotOptions(**options))
