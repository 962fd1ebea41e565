"""`bringup log add`."""

from __future__ import annotations

from typing import Any

import click


@click.command(name="add", short_help="Write down what was learned, or a fault.")
@click.argument("text", required=False)
@click.option("--learned", metavar="TEXT", help="The same as TEXT.")
@click.option("--title", metavar="TEXT", help="One line: what happened.")
@click.option("--symptom", metavar="TEXT", help="What was seen.")
@click.option("--output", metavar="TEXT", help="What a program printed.")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--solution", metavar="TEXT", help="What cured it.")
@click.option("--fault", metavar="ID", help="The known fault that it is about; its page is the start.")
@click.pass_context
def command(context: click.Context, /, **said: Any) -> None:  # noqa: ANN401 - one text or None each
    """Keep an entry of your own, with the machine's present facts beside it.

    TEXT is something learned and goes under Learning; the options write down a fault. Without any text,
    your editor opens ($VISUAL, $EDITOR) with the parts to fill in; as root it does not.
    """
    from bringup.faces.cli.log_adding import add

    text = said.pop("text")
    add(context.obj, {**said, "learned": said["learned"] if text is None else text})
