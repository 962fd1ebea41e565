"""`bringup show`: what is in a model file."""

from __future__ import annotations

from collections.abc import Mapping

import click

from bringup.errors import WrongUse
from bringup.faces.cli.completing import complete_model
from bringup.faces.render.console import Console


@click.command(name="show", short_help="Show what is in a model file.")
@click.argument("model", shell_complete=complete_model)
@click.option(
    "--tensors", "with_tensors", is_flag=True, help="List every tensor: shape, type, bytes, offset."
)
@click.option("--template", "with_template", is_flag=True, help="Print the chat template and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON (with --tensors also those).")
@click.pass_context
def command(
    context: click.Context, model: str, *, with_tensors: bool, with_template: bool, as_json: bool
) -> None:
    """Show what is in MODEL: figures, where its bytes are, tokenizer, template, and what is wrong.

    MODEL is a path or any name that `bringup models` lists. Only the file's header is read, nothing is
    fetched. Exits 1 when an engine would refuse the file or end with it.
    """
    from bringup.actions.models.show import show_model
    from bringup.faces.render.show import report_lines, tensor_lines
    from bringup.faces.render.show_json import report_json

    console: Console = context.obj
    report = show_model(model)
    terminal = console.answer_terminal
    width = terminal.width_columns if terminal.is_terminal else None
    if as_json:
        console.answer_json(report_json(report, with_tensors=with_tensors))
    elif with_template:
        _print_template(console, report.templates)
    elif with_tensors:
        for line in tensor_lines(report.tensors, width_columns=width):
            console.answer(line)
    else:
        for pieces in report_lines(report, width_columns=width):
            console.answer(*pieces)
    if report.is_refused:
        context.exit(1)


def _print_template(console: Console, templates: Mapping[str, str]) -> None:

    text = templates.get("default")
    if text is None:
        raise WrongUse(
            "there is no chat template in this file",
            hint="It is a base model, or one whose template an engine has built in.",
            reference="no-template",
        )
    console.answer(text.rstrip("\n"))
