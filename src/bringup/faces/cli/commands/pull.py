"""`bringup pull`: fetch a model and verify it."""

from __future__ import annotations

import click

from bringup.faces.cli.completing import complete_model
from bringup.faces.render.console import Console


@click.command(name="pull", short_help="Fetch a model and verify it.")
@click.argument("model", shell_complete=complete_model)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--use-token", is_flag=True, help="Send your hub token to the hub if it asks for one.")
@click.pass_context
def command(context: click.Context, model: str, *, as_json: bool, use_token: bool) -> None:
    """Fetch MODEL, check its SHA-256 and keep it. What is on this disk already is not fetched again.

    \b
    MODEL is one of
      smollm2-135m                       a short name (bringup models --catalogue)
      user/repo[:QUANT or :file.gguf]    a repository of the model hub; Q4_K_M when nothing is named
      https://host/file.gguf             a file on the web

    An interrupted transfer continues where it ended. The path of the model is printed on stdout.
    """
    from bringup.actions.models.pull import pull_model
    from bringup.faces.cli.pulling import PullWatcher, token_question
    from bringup.faces.render.pull import JSON_SCHEMA, finished_line, model_json

    console: Console = context.obj
    watcher = PullWatcher(console)
    try:
        result = pull_model(
            model,
            on_plan=watcher.plan,
            on_progress=watcher.progress,
            may_send_token=lambda refused: use_token or console.confirm(token_question(refused)),
            on_warning=watcher.warning,
            checks_changed=True,
        )
    except KeyboardInterrupt:
        watcher.interrupted(model)
        raise
    fetched = result.plan is not None
    console.line(finished_line(result.model, fetched=fetched, duration_s=result.duration_s))
    if as_json:
        console.answer_json({"schema": JSON_SCHEMA, "fetched": fetched, **model_json(result.model)})
    else:
        console.answer(result.model.paths[0])
