"""`bringup completion`: the script that lets a shell complete commands and options."""

from __future__ import annotations

import click

from bringup.faces.render.console import Console


@click.command(name="completion", short_help="Print a shell completion script.")
@click.argument("shell", metavar="SHELL", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL (bash, zsh or fish) complete bringup's commands and options.

    To have it in every new shell, save it where that shell looks:

    \b
      bash  bringup completion bash > ~/.local/share/bash-completion/completions/bringup
      zsh   bringup completion zsh > ~/.zfunc/_bringup     (a folder of your $fpath)
      fish  bringup completion fish > ~/.config/fish/completions/bringup.fish
    """
    from click.shell_completion import get_completion_class

    from bringup.faces.cli.main import COMPLETION_VARIABLE, PROGRAM

    completer_class = get_completion_class(shell)
    assert completer_class is not None, "the argument's choices are click's own shells"
    completer = completer_class(context.find_root().command, {}, PROGRAM, COMPLETION_VARIABLE)
    # Not completer.source(): for bash that starts a shell to ask its version, which costs more than the rest.
    script = completer.source_template % completer.source_vars()
    console: Console = context.obj
    console.answer(script.strip())
