"""`bringup` alone: the stack on one screen."""

from __future__ import annotations

from bringup.faces.render.console import Console


def show_stack(console: Console) -> int:
    """Look at this machine and print one line a layer; the exit code is the doctor's."""
    from bringup.actions.diagnosis.doctor import choose_machine
    from bringup.actions.diagnosis.overview import embedded_engine, served_engines, view_layers
    from bringup.actions.fixing.unfinished import list_unfinished
    from bringup.actions.log.kept_look import examine_and_keep
    from bringup.faces.cli.journal_warning import say_journal_trouble
    from bringup.faces.render.stack import render_stack
    from bringup.faces.render.unfinished import render_unfinished

    machine, subject = choose_machine(root=None, recording=None)
    examination = examine_and_keep(machine, subject=subject)
    console.answer_lines(render_unfinished(list_unfinished(), console.reading_columns))
    width = min(console.answer_terminal.width_columns, 100)
    views = view_layers(examination)
    served = served_engines()
    console.answer_lines(
        render_stack(examination, views, width_columns=width, embedded=embedded_engine(), served=served)
    )
    say_journal_trouble(console, examination.journal_trouble)
    return examination.verdict.value
