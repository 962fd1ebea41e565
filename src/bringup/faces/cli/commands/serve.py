"""`bringup serve`: an OpenAI-compatible server."""

from __future__ import annotations

from typing import Any

import click

from bringup.faces.cli.completing import complete_model
from bringup.faces.cli.parameters import engine_options


@click.command(name="serve", short_help="Serve a model as an OpenAI-compatible API.")
@click.argument("model", shell_complete=complete_model)
@click.argument("engine_arguments", nargs=-1, type=click.UNPROCESSED)
@engine_options
@click.option(
    "--host", metavar="ADDRESS", help="Address to listen on; this machine only unless said otherwise."
)
@click.option(
    "--parallel", type=click.IntRange(1, 256), default=1, show_default=True, help="Requests at once."
)
@click.option("--alias", metavar="NAME", help="The model's name in the API.")
@click.option("--embeddings", is_flag=True, help="Serve embeddings, and no chat.")
@click.option(
    "--key-file", type=click.Path(dir_okay=False), help="File with the key, instead of your own one."
)
@click.option("--no-key", is_flag=True, help="Serve everybody who can reach the port.")
@click.option("--page", is_flag=True, help="Serve llama.cpp's own chat page too; it asks for the key.")
@click.option("--detach", is_flag=True, help="Go on in the background; started again when it fails.")
@click.option("--unit", is_flag=True, help="Print a systemd user unit that serves the model, and end.")
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - ServeOptions has the types
    """Serve MODEL with llama.cpp's own API (OpenAI- and Anthropic-style routes) until Ctrl-C.

    It listens on this machine only and wants your key, which is made once and stays the same. What is
    printed on stdout are the two lines that clients read. What follows -- goes to an external llama-server.

    \b
    bringup serve smollm2-135m
    bringup serve qwen3-4b --detach --parallel 4 --ctx-size 32k
    """
    from bringup.actions.surroundings import starting_early

    with starting_early(
        engine=options["engine"],
        keep_engine_environment=options["keep_engine_environment"],
        is_wanted=not options["unit"],
        is_detached=options["detach"],
    ) as around:
        from bringup.faces.cli.serving import ServeOptions, serve

        context.exit(serve(context.obj, ServeOptions(**options), around))
