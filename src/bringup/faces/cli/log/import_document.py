"""`bringup log import`."""

from __future__ import annotations

import click


@click.command(name="import", short_help="Read such a document, also one written by hand.")
@click.argument("file")
@click.option("--dry-run", is_flag=True, help="Show what would be kept, and keep nothing.")
@click.pass_context
def command(context: click.Context, file: str, *, dry_run: bool) -> None:
    """Read the Markdown document FILE (or - for standard input) into the log.

    Sections `## Learning` and `## Debug`; entries that are headings, numbered or dated; dates such as
    16/9/25; **Reason** and **Solution** in any of their usual forms. Each entry is matched to the known
    faults. What is in the log already is left out.
    """
    from bringup.actions.log.export import import_markdown, preview_import
    from bringup.faces.cli.examination import read_paste
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.machine.folders import our_folders

    text, name = read_paste(context.obj, file)
    warning = ""
    if dry_run:
        entries, n_known = preview_import(our_folders(), text)
    else:
        entries, n_known, warning = import_markdown(our_folders(), text, name=name)
    width = max((len(entry.section) for entry in entries), default=0)
    for entry in entries:
        about = f"  [{entry.fault}]" if entry.fault else ""
        context.obj.answer(
            f"{entry.section:{width}} {entry.date or 'no date':10} {entry.title.splitlines()[0]}{about}"
        )
    there = f", {n_known} were there already" if n_known else ""
    context.obj.line(f"{len(entries)} entries {'would be kept' if dry_run else 'kept'}{there}.")
    say_journal_trouble(context.obj, warning)
