"""`bringup models`: the models on this machine."""

from __future__ import annotations

import click

from bringup.faces.cli.completing import complete_model
from bringup.faces.render.console import Console
from bringup.faces.render.format import format_bytes


@click.group(name="models", invoke_without_command=True, short_help="List the models on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.option("--paths", "with_paths", is_flag=True, help="Show the path of every file.")
@click.option("--unfinished", is_flag=True, help="List transfers that were cut short.")
@click.option("--remove-unfinished", is_flag=True, help="Remove them, after a yes.")
@click.option("--catalogue", "with_catalogue", is_flag=True, help="List the short names.")
@click.option("--yes", is_flag=True, help="Answer yes.")
@click.pass_context
def command(context: click.Context, /, **options: bool) -> int:
    """List the models on this machine, where each lies and which are here twice.

    Found and used in place: what bringup fetched, the hub's cache, llama.cpp's cache, Ollama, LM Studio.
    """
    if context.invoked_subcommand is None:
        from bringup.faces.cli.models_listing import ModelsOptions, show_models

        return show_models(context.obj, ModelsOptions(**options))
    return 0


@command.command(name="remove", short_help="Remove a model that bringup fetched.")
@click.argument("model", shell_complete=complete_model)
@click.option("--yes", is_flag=True, help="Answer yes.")
@click.pass_context
def remove(context: click.Context, model: str, *, yes: bool) -> None:
    """Remove MODEL from the disk. Only what bringup fetched; files of other tools are left to them."""
    from bringup.actions.models.on_disk import find_removable, remove_model

    console: Console = context.obj
    found = find_removable(model)
    question = f"Remove {found.name} ({format_bytes(found.size_bytes)}) at {found.paths[0]}?"
    if not yes and not console.agrees(question, done="removed"):
        context.exit(1)
    console.line(f"Removed; {format_bytes(remove_model(found))} are free again.")
