"""`bringup faults`: what the doctor knows."""

from __future__ import annotations

import click

from bringup.faces.cli.parameters import complete_fault
from bringup.faces.render.console import Console


@click.command(name="faults", short_help="List the faults that the doctor knows, or show one.")
@click.argument("fault", required=False, metavar="[ID]", shell_complete=complete_fault)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, fault: str | None, *, as_json: bool) -> None:
    """List every fault that the doctor knows, layer by layer, or show the page of the fault ID."""
    from bringup.actions.diagnosis.faults import get_fault, list_faults
    from bringup.faces.render.faults import fault_json, list_json, render_fault, render_list

    console: Console = context.obj
    if fault is None:
        faults = list_faults()
        if as_json:
            console.answer_json(list_json(faults))
            return
        shown = console.answer_terminal
        lines = render_list(faults, width_columns=shown.width_columns if shown.is_terminal else None)
    else:
        one = get_fault(fault)
        if as_json:
            console.answer_json(fault_json(one))
            return
        lines = render_fault(one, console.reading_columns)
    for line in lines:
        console.answer(*line)
