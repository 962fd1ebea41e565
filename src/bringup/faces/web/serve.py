"""Run the local page: one server, loopback unless asked otherwise, its address printed with a token."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from bringup.actions.live_view import watching
from bringup.actions.page_server import check_port, export_token
from bringup.errors import WrongUse
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.web.access import TOKEN_PARAMETER, Access
from bringup.faces.web.app import Site
from bringup.machine import folders

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_CONNECTIONS_MOST = 256
_HEADERS_MOST_BYTES = 32 * 1024


def serve_page(console: Console, *, recording: str | None, host: str, port: int, interval_s: float) -> int:
    """Serve until Ctrl-C.

    Raises:
        WrongUse: there is no such recording.
        Failure: the port is taken.
    """
    check_port(port, host=host)
    shown = f"[{host}]" if ":" in host else host
    names = (
        {f"{name}:{port}" for name in (*_LOOPBACK, shown)}
        if host in ("127.0.0.1", "::1")
        else {f"{shown}:{port}"}
    )

    def tell(token: str) -> None:
        console.line("For another browser: ", f"http://{shown}:{port}/?{TOKEN_PARAMETER}={token}")

    access = Access(
        port=port, hosts=frozenset(names), export_token=export_token(folders.our_folders()), on_taken=tell
    )
    with watching(recording, interval_s=interval_s) as view:
        console.answer(f"http://{shown}:{port}/?{TOKEN_PARAMETER}={access.token}")
        console.line(
            "Open it in a browser; the token works once. ", Styled("Ctrl-C", Style.BOLD), " ends it."
        )
        uvicorn.Server(configuration(Site(view, access).app(), host=host, port=port)).run()
    return 0


def configuration(app: ASGIApp, *, host: str, port: int) -> uvicorn.Config:
    """How the server runs: nothing logged, no proxy believed, bounds on what one client may send."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http="h11",
        h11_max_incomplete_event_size=_HEADERS_MOST_BYTES,
        limit_concurrency=_CONNECTIONS_MOST,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
    )


def check_host(host: str) -> str:
    """An address to listen on.

    Raises:
        WrongUse: a wildcard, whose names nobody could check.
    """
    if host in ("0.0.0.0", "::", ""):
        raise WrongUse(
            f"refused to listen on {host or 'every address'}",
            hint="Give the one address that browsers will use: requests that name another one are refused.",
            reference="open-without-name",
        )
    return "127.0.0.1" if host == "localhost" else host
