"""`bringup` alone: the stack on one screen."""

from __future__ import annotations

from bringup.faces.render.console import Console


def show_stack(console: Console) -> int:
    """Look at this machine and print one line a layer; the exit code is the doctor's."""
    from bringup.actions.doctor import choose_machine, examine
    from bringup.actions.overview import view_layers
    from bringup.faces.render.stack import render_stack

    machine, subject = choose_machine(root=None, recording=None)
    examination = examine(machine, subject=subject)
    width = min(console.answer_terminal.width_columns, 100)
    for line in render_stack(examination, view_layers(examination), width_columns=width):
        console.answer(*line)
    return examination.verdict.value
