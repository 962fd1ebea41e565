"""`bringup fix`: walk through a fault's steps."""

from __future__ import annotations

from typing import Any

import click

from bringup.faces.cli.parameters import complete_fault


@click.command(name="fix", short_help="Walk through a fault's steps: show, ask, run, verify.")
@click.argument("fault", metavar="ID", shell_complete=complete_fault)
@click.option("--dry-run", is_flag=True, help="Show the steps and run nothing.")
@click.option("--step", "number", type=click.IntRange(1, 99), metavar="N", help="Only step N.")
@click.option("--root", metavar="DIR", help="Show the steps for the system mounted at DIR; nothing is run.")
@click.option("--from", "recording", metavar="FILE", help="Show them for a snapshot or a recorded machine.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print the steps as JSON.")
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:  # noqa: ANN401 - FixOptions has the types
    """Find the fault ID on this machine, show every step of its cure, and take those that you say yes to.

    Each step says what it touches, how to take it back and how to see that it worked. Nothing runs without
    the word yes, typed at a terminal, and only what is shown runs: no shell, a clean environment. What needs
    root runs where you are root already; otherwise it is shown for you to type. Exit code: 0 the fault is
    gone (or the steps were only shown), 1 it is still there, or was not found, so that there is nothing to
    fix, 2 wrong use, 3 could not tell.
    """
    from bringup.faces.cli.fixing import FixOptions, fix

    return fix(context.obj, FixOptions(**options))
