"""`bringup doctor`: the full check of a machine."""

from __future__ import annotations

import click


@click.command(name="doctor", short_help="Find the one root cause, its reason and its cure.")
@click.option("--root", metavar="DIR", help="Examine the system mounted at DIR; nothing there is run.")
@click.option(
    "--from", "recording", metavar="FILE", help="Examine a snapshot, or the folder of a recorded machine."
)
@click.option("--verbose", "-v", is_flag=True, help="Also list each fact with its source and time.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context, root: str | None, recording: str | None, *, verbose: bool, as_json: bool
) -> int:
    """Look at every layer of the machine, bottom up, and name the one root cause of what is wrong.

    Needs no root, changes nothing, asks no network. Exit code: 0 healthy, 1 faults, 3 could not tell.
    """
    from bringup.actions.diagnosis.doctor import choose_machine
    from bringup.actions.fixing.unfinished import list_unfinished
    from bringup.actions.log.kept_look import examine_and_keep
    from bringup.faces.cli.examination import show_examination

    machine, subject = choose_machine(root=root, recording=recording)
    unfinished = list_unfinished() if root is None and recording is None else None
    return show_examination(
        context.obj,
        examine_and_keep(machine, subject=subject),
        as_json=as_json,
        with_facts=verbose,
        unfinished=unfinished,
    )
