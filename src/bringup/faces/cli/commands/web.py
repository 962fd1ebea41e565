"""`bringup web`: the stack, memory and engines in a browser."""

from __future__ import annotations

import click

from bringup.faces.cli.parameters import FiniteRange


@click.command(name="web", short_help="Show the stack, memory and engines in a browser.")
@click.option("--port", type=click.IntRange(1, 65535), default=8645, show_default=True, help="TCP port.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on; another than loopback can be reached by others, who need the token.",
)
@click.option("--from", "recording", metavar="FILE", help="Show a snapshot or a recorded machine.")
@click.option(
    "--interval",
    "interval_s",
    type=FiniteRange(0.2, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks.",
)
@click.option("--token-on-stdin", "reads_token", is_flag=True, hidden=True)
@click.option("--detach", is_flag=True, help="Go on in the background; kill its process to end it.")
@click.pass_context
def command(context: click.Context, /, *, detach: bool, **options: object) -> int:
    """Serve a page of this machine: its layers, who holds its memory, its engines, charts, and /metrics.

    Prints an address with a token; it works once and becomes a cookie of that browser. Requests that name
    another host or come from another page are refused. Nothing outside this machine is asked. Prometheus
    reads /metrics with the token in the file web-metrics-token of the state folder.
    """
    from bringup.faces.cli.web import detach_web, serve_web
    from bringup.faces.web.served import Page

    page = Page(**options)  # type: ignore[arg-type]  # click's types
    return detach_web(context.obj, page) if detach else serve_web(context.obj, page)
