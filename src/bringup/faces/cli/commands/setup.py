"""`bringup setup`: the right llama.cpp for this machine, proved."""

from __future__ import annotations

from typing import Any

import click


@click.command(name="setup", short_help="Get the right llama.cpp for this machine and prove it.")
@click.option("--backend", type=click.Choice(["cuda", "vulkan", "cpu"]), help="What it computes on.")
@click.option(
    "--method",
    type=click.Choice(["auto", "existing", "wheel", "release", "source"]),
    default="auto",
    show_default=True,
    help="Take one that is here, a ready-made wheel or release archive, or build from source.",
)
@click.option(
    "--cuda-arch", multiple=True, metavar="X.Y", help="Build for this compute capability, not the card's."
)
@click.option(
    "--version", metavar="BUILD", help="Build of llama.cpp, such as b11434, or the wheel's version."
)
@click.option(
    "--source",
    metavar="DIR|ARCHIVE|GIT",
    help="Build from this instead; with --method release the archive, as FILE or URL#sha256=HEX.",
)
@click.option("--index", metavar="URL", help="Package index with wheels for the card; asked alone.")
@click.option(
    "--jobs", type=click.IntRange(1, 1024), help="Compilers at once; else by cores and free memory."
)
@click.option(
    "--proof-model", default="smollm2-135m", show_default=True, metavar="MODEL", help="Model that proves it."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what is missing for it.")
@click.option("--list", "lists", is_flag=True, help="List our builds; the current one has a star.")
@click.option("--use", metavar="NAME", help="Make this build the current one.")
@click.option("--remove", metavar="NAME", help="Remove this build, or one that was not proved.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - SetupOptions has the types
    """Get the right llama.cpp for this machine: one that is here and good, or one built for its card.

    It is proved before it is used: a real model loaded, a known question answered on the device that it
    claims, requests that have ended engines survived. The engine before it stays (--list, --use). A build
    that was stopped goes on where it stopped.
    """
    from bringup.faces.cli.setting_up import SetupOptions, set_up

    context.exit(set_up(context.obj, SetupOptions(**options)))
