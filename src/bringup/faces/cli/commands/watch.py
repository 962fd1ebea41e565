"""`bringup watch`: one look for the log, and the hooks that make it by themselves."""

from __future__ import annotations

import click

from bringup.errors import WrongUse


@click.command(name="watch", short_help="Keep the log without holes; hooks that tell after an upgrade.")
@click.option("--install", is_flag=True, help="Show the hooks, ask, and install them.")
@click.option("--remove", is_flag=True, help="Take the hooks away again, without a trace.")
@click.option("--print-hook", is_flag=True, help="Print the file for apt, which only root can write.")
@click.option("--yes", is_flag=True, help="With --install: do not ask.")
@click.option("--after-upgrade", is_flag=True, hidden=True, help="Called by apt's hook.")
@click.option("--notify", is_flag=True, hidden=True, help="Called by the timer: tell on the desktop.")
@click.pass_context
def command(context: click.Context, /, **options: bool) -> None:
    """Look once, and write down what differs and what the system's own logs tell: packages, boots, builds.

    --install puts this where the system offers it: a timer and a boot unit of your own systemd, and a hook
    of apt. After an upgrade that separates the loaded driver from its libraries it says so at once, in the
    terminal of the upgrade and on the desktop.
    """
    from bringup.faces.cli import watching

    if options["install"] + options["remove"] + options["print_hook"] > 1:
        raise WrongUse("--install, --remove and --print-hook exclude each other")
    if options["install"]:
        code = watching.install(context.obj, is_sure=options["yes"])
    elif options["remove"]:
        code = watching.remove(context.obj)
    elif options["print_hook"]:
        code = watching.print_hook(context.obj)
    else:
        code = watching.look(context.obj, after_upgrade=options["after_upgrade"], notify=options["notify"])
    context.exit(code)
