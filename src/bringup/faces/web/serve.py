"""Run the local page: one server, loopback unless asked otherwise, its address printed with a token."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from bringup.actions.live.engine_map import open_maps
from bringup.actions.live.view import watching
from bringup.actions.page_server import check_port, export_token, told_token
from bringup.errors import WrongUse
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.web.access import Access
from bringup.faces.web.app import Site
from bringup.faces.web.served import Page
from bringup.machine import folders

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_CONNECTIONS_MOST = 256
_HEADERS_MOST_BYTES = 32 * 1024


def serve_page(console: Console, page: Page) -> int:
    """Serve until Ctrl-C.

    Raises:
        WrongUse: there is no such recording.
        Failure: the port is taken.
    """
    host, port = page.host, page.port
    check_port(port, host=host)
    shown = f"[{host}]" if ":" in host else host
    names = {*_LOOPBACK, shown} if host in ("127.0.0.1", "::1") else {shown}
    access = Access(
        port=port,
        hosts=frozenset(f"{name}:{port}" for name in names),
        export_token=export_token(folders.our_folders()),
        host=host,
    )
    if page.reads_token:
        access.token = told_token() or access.token
    else:
        access.on_taken = lambda address: console.line("For another browser: ", address)
    with watching(page.recording, interval_s=page.interval_s) as view:
        if not page.reads_token:
            console.answer(access.address())
            console.line(
                "Open it in a browser; the token works once. ", Styled("Ctrl-C", Style.BOLD), " ends it."
            )
        site = Site(view, access, open_maps(is_live=view.is_live).of)
        uvicorn.Server(configuration(site.app(), host=host, port=port)).run()
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
