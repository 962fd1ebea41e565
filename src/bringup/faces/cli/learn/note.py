"""`bringup learn note`."""

from __future__ import annotations

import click


@click.command(name="note", short_help="Keep a note beside the page of a term.")
@click.argument("term")
@click.argument("text", nargs=-1, required=True)
@click.pass_context
def command(context: click.Context, term: str, text: tuple[str, ...]) -> None:
    """Keep TEXT beside the page of TERM; it stands there and in the log's export."""
    from bringup.actions.explaining.explain import add_note
    from bringup.faces.cli.journal_warning import say_journal_trouble

    found, warning = add_note(term, " ".join(text))
    say_journal_trouble(context.obj, warning)
    if not warning:
        context.obj.line(f"Kept beside {found.title}.")
