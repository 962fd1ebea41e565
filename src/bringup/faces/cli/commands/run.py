"""`bringup run`: chat with a model, or get one answer."""

from __future__ import annotations

from typing import Any

import click

from bringup.faces.cli.completing import complete_model
from bringup.faces.cli.parameters import FiniteRange, engine_options


@click.command(name="run", short_help="Chat with a model, or get one answer.")
@click.argument("model", required=False, shell_complete=complete_model)
@click.option("-p", "--prompt", metavar="TEXT", help="Answer this and end; standard input is not read.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: text, usage, timings, engine, model."
)
@click.option("--system", default="", metavar="TEXT", help="System prompt.")
@engine_options
@click.option("--temperature", type=FiniteRange(0, 100), help="0 for always the likeliest token.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Same seed, same answer.")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest answer, thinking included.")
@click.option("--demo", is_flag=True, help="Without a terminal: answer a built-in question.")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what runs.")
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - RunOptions has the types
    """Chat with MODEL in the terminal; elsewhere answer --prompt or standard input and end.

    MODEL is a path, user/repo[:QUANT] of the model hub, an https address, ollama:NAME or a short name
    (bringup models --catalogue). What is on this disk is used in place; what is not is fetched, after
    saying what and from where. Without MODEL: the configured default, else smollm2-135m.

    \b
    bringup run
    bringup run qwen3-4b --ctx-size 16k
    echo "Why is the sky blue?" | bringup run --json
    """
    from bringup.actions.surroundings import starting_early

    keep = options["keep_engine_environment"]
    with starting_early(engine=options["engine"], keep_engine_environment=keep) as around:
        from bringup.faces.cli.running import RunOptions, run

        context.exit(run(context.obj, RunOptions(**options), around))
