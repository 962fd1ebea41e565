"""`bringup plan`: what a model needs, what fits, and how fast it will be."""

from __future__ import annotations

from typing import Any

import click

from bringup.faces.cli.completing import complete_model
from bringup.faces.cli.plan_options import plan_options


@click.command(name="plan", short_help="Say what fits, what it costs and how fast it will be.")
@click.argument("names", metavar="MODEL...", nargs=-1, required=True, shell_complete=complete_model)
@plan_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - PlanOptions has the types
    """Say what MODEL needs, which context fits, how fast it will be, and the llama-server command for it.

    MODEL is a path, user/repo[:QUANT] of the model hub, an https address, ollama:NAME or a short name.
    Only its header is read; of a model that is not here at most some 16 MB are fetched. Options that are
    not given are chosen, with the reason. Exits 1 when it does not fit or is not whole.

    \b
    bringup plan gpt-oss-20b
    bringup plan qwen3-4b --gpu "RTX 3060" --ctx-size 32k --parallel 4
    bringup plan --compare qwen3-4b gpt-oss-20b "RTX 3060" "RTX 4090"
    """
    from bringup.faces.cli.planning import PlanOptions, plan

    context.exit(plan(context.obj, PlanOptions(**options)))
