"""`bringup snapshot`: everything that the doctor read, redacted, in one file."""

from __future__ import annotations

import click

from bringup.faces.render.console import Console


@click.command(name="snapshot", short_help="Write what the doctor read, redacted, to one file.")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--root", metavar="DIR", help="Of the system mounted at DIR.")
@click.option("--from", "recording", metavar="FILE", help="Of a snapshot or a recorded machine, once more.")
@click.option("--list", "list_only", is_flag=True, help="List what it would hold, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context,
    file: str | None,
    root: str | None,
    recording: str | None,
    *,
    list_only: bool,
    as_json: bool,
) -> None:
    """Examine this machine and write every answer to FILE, for a bug report or another pair of eyes.

    Names of users and of the machine, addresses, serial numbers, UUIDs and secrets are replaced by
    stand-ins; what the file holds is said before it is written. `bringup doctor --from FILE` gives the
    same verdict as here. Without FILE the name is bringup-snapshot-DATE.tar.zst in the current folder.
    """
    from bringup.actions.doctor import choose_machine
    from bringup.actions.snapshot import default_name, take_snapshot, write_snapshot
    from bringup.faces.render.snapshot import render_contents, snapshot_json

    console: Console = context.obj
    machine, subject = choose_machine(root=root, recording=recording)
    console.status("looking at the machine")
    snapshot = take_snapshot(machine, subject=subject)
    path = None if list_only else file or default_name()
    shown = render_contents(snapshot, with_list=list_only)
    for line in shown if not (as_json and list_only) else []:
        (console.answer if list_only else console.line)(*line)
    if path is not None:
        write_snapshot(snapshot, path)
    if as_json:
        console.answer_json(snapshot_json(snapshot, path))
    elif path is not None:
        console.answer(path)
