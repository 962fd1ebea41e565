"""A group of commands below a command; each is imported when it is called, not before."""

from __future__ import annotations

import importlib
from typing import Any

import click

from bringup.errors import WrongUse
from bringup.faces.render.clean import clean
from bringup.faces.render.format import truncate


class Subcommands(click.Group):
    """Commands that are known by name and one line of help; their modules lie in one package."""

    def __init__(self, *, package: str, table: tuple[tuple[str, str], ...], **more: Any) -> None:  # noqa: ANN401
        """`table` pairs each name with its help; the module is the name with underscores, its `command`."""
        super().__init__(**more)
        self._package = package
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table."""
        return [name for name, _ in self._table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in dict(self._table):
            return None
        # `import` is a word of Python's own and no name of a module.
        name = "import_document" if cmd_name == "import" else cmd_name.replace("-", "_")
        module = importlib.import_module(f"{self._package}.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._table))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is told with the nearest ones."""
        if args and not ctx.resilient_parsing and args[0] not in dict(self._table):
            from difflib import get_close_matches

            near = get_close_matches(args[0].lower(), dict(self._table), n=2, cutoff=0.5)
            shown = truncate(clean(args[0], keep_newlines=False), 60) or "''"
            hint = f"Did you mean {' or '.join(near)}?" if near else f"{ctx.command_path} --help lists them."
            raise WrongUse(
                f"no such command: {ctx.info_name} {shown}", hint=hint, reference="unknown-command"
            )
        return super().resolve_command(ctx, args)
