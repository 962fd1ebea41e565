"""`bringup learn`: what was learned about the terms."""

from __future__ import annotations

import click

from bringup.faces.cli.subcommands import Subcommands

_TABLE = (("note", "Keep a note beside the page of a term."),)


@click.group(
    name="learn",
    cls=Subcommands,
    package="bringup.faces.cli.learn",
    table=_TABLE,
    short_help="Keep notes beside the terms.",
)
def command() -> None:
    """Keep what you learned beside the pages of `bringup explain`."""
