"""`bringup log`: what happened on this machine."""

from __future__ import annotations

import click

from bringup.faces.cli.subcommands import Subcommands

_TABLE = (
    ("show", "Show everything that is kept of one entry."),
    ("since-it-worked", "What changed since it last worked, the likeliest cause first."),
    ("compare", "Compare the machine at two moments."),
    ("search", "Find entries by their words."),
    ("add", "Write down what was learned, or a fault with its reason and solution."),
    ("export", "Write the log as a Markdown document or as JSON."),
    ("import", "Read such a document, also one written by hand."),
    ("forget", "Take the text of an entry out of the log."),
    ("verify", "Check that nothing in the log was changed."),
)


@click.group(
    name="log",
    cls=Subcommands,
    package="bringup.faces.cli.log",
    table=_TABLE,
    invoke_without_command=True,
    short_help="Show what happened on this machine, and what changed since it worked.",
)
@click.option("--since", metavar="WHEN", help="Only from WHEN on: 7d, 12h, yesterday, 2026-11-01.")
@click.option("--layer", metavar="LAYER", help="Only what belongs to a layer: kernel, userspace, runtime ...")
@click.option("--last", type=click.IntRange(1, 100_000), default=40, help="So many lines (40).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context, since: str | None, layer: str | None, last: int, *, as_json: bool
) -> None:
    """Show what happened, newest last: faults, runs, pulls, fixes, notes, and what the system itself tells.

    The log writes itself. Entries have a number; what the system's own logs tell (packages, boots, kernels,
    DKMS builds) has none until `bringup watch` keeps it.
    """
    if context.invoked_subcommand is None:
        from bringup.faces.cli.log_timeline import show_timeline

        show_timeline(context.obj, since=since, layer=layer, last=last, as_json=as_json)
