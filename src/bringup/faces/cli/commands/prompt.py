"""`bringup prompt`: what a model is really sent."""

from __future__ import annotations

import click

from bringup.faces.cli.completing import complete_model
from bringup.faces.render.console import Console


@click.command(name="prompt", short_help="Show what a model is really sent for a text.")
@click.argument("model", shell_complete=complete_model)
@click.argument("text")
@click.option("--system", default="", metavar="TEXT", help="System prompt.")
@click.option("--reasoning", type=click.Choice(["low", "medium", "high"]), help="Effort, as run has it.")
@click.option("--engine", help="Ask this engine (embedded, external or a path), not the running one.")
@click.option(
    "--reuse",
    is_flag=True,
    help="Send it to the running engine for one token: how much of it is in the KV cache?",
)
@click.option(
    "--next",
    "n_next",
    type=click.IntRange(1, 50),
    default=None,
    metavar="N",
    help="Likewise: N tokens that it may go on with, and how likely each is.",
)
@click.option("--all", "shows_all", is_flag=True, help="List every token, also of a long prompt.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def command(context: click.Context, /, model: str, text: str, **options: object) -> None:
    """Show what MODEL is sent for TEXT: the rendered template, token by token, and what it costs.

    The engine is asked: the running one where it serves this model, else one that is started for a moment
    on a small copy of the model's tokenizer. Of the model only the header is read.
    """
    from bringup.actions.chat.prompt import PromptWishes, show_prompt
    from bringup.actions.surroundings import look_around
    from bringup.faces.render.prompt import prompt_json, prompt_lines

    console: Console = context.obj
    shows_all, as_json = options.pop("shows_all"), options.pop("as_json")
    options["measures_reuse"] = options.pop("reuse")
    options["n_next"] = options["n_next"] or 0
    console.status("asking the engine")
    report = show_prompt(model, PromptWishes(text, **options), look_around())  # type: ignore[arg-type]  # click's types
    if as_json:
        console.answer_json(prompt_json(report))
        return
    for line in prompt_lines(report, shows_all=bool(shows_all)):
        console.answer(*line)
