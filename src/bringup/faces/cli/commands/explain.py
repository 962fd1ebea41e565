"""`bringup explain`: what a term means, and what it is on this machine."""

from __future__ import annotations

import click

from bringup.faces.cli.completing import complete_term


@click.command(name="explain", short_help="Explain a term with this machine's own figures.")
@click.argument("term", nargs=-1, shell_complete=complete_term)
@click.option("--from", "recording", metavar="FILE", help="On a snapshot or a recorded machine instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, term: tuple[str, ...], recording: str | None, *, as_json: bool) -> None:
    """Say what TERM is, what it is on this machine, what goes wrong with it, and what to try.

    Without TERM: all terms in the order of learning, from the card up; those that a fault of this machine
    touched are marked. `bringup learn note TERM TEXT` keeps a note beside a page.
    """
    from bringup.actions.explaining.explain import explain, term_map
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.faces.render import explain as render
    from bringup.machine.folders import our_folders

    console = context.obj
    columns = console.reading_columns
    if not " ".join(term).strip():
        terms, warning = term_map(our_folders())
        lines, value = render.render_map(terms, columns), render.map_json(terms)
    else:
        from bringup.actions.diagnosis.doctor import choose_machine

        machine, _ = choose_machine(root=None, recording=recording)
        place = our_folders() if recording is None else None
        found, warning = explain(" ".join(term), machine=machine, place=place)
        lines, value = render.render_explanation(found, columns), render.explanation_json(found)
    if as_json:
        console.answer_json(value)
    else:
        for line in lines:
            console.answer(*line)
    say_journal_trouble(console, warning)
