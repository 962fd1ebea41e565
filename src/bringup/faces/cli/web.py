"""What `bringup web` does with its options."""

from __future__ import annotations

from bringup.errors import Failure
from bringup.faces.render.console import Console
from bringup.faces.web.served import Page
from bringup.machine.folders import our_folders
from bringup.records import replace

_WANTED = frozenset({"starlette", "uvicorn", "prometheus_client"})


def serve_web(console: Console, page: Page) -> int:
    """Serve until Ctrl-C.

    Raises:
        Failure: what serves it is not installed, or the port is taken.
        WrongUse: a wrong address, or no such recording.
    """
    try:
        from bringup.faces.web.serve import check_host, serve_page
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in _WANTED:
            raise
        raise Failure(
            "the page needs packages that are not installed",
            context=(str(problem),),
            hint="Install bringup[web].",
            reference="extra-missing",
        ) from problem
    host = check_host(page.host)
    return serve_page(console, replace(page, host=host))


def detach_web(console: Console, page: Page) -> int:
    """Serve in a session of its own.

    Raises:
        Failure: it did not start; says why.
    """
    from bringup.actions.page_server import check_port, page_address, start_detached

    if page.host:
        check_port(page.port, host="127.0.0.1" if page.host == "localhost" else page.host)
    words = ["web", "--port", str(page.port), "--host", page.host, "--interval", str(page.interval_s)]
    words += ["--from", page.recording] if page.recording is not None else []
    token, process_id = start_detached(tuple(words), our_folders(), port=page.port)
    console.answer(page_address(page.host, page.port, token))
    console.line("Open it in a browser; the token works once, and no file holds it. The page itself has")
    console.line("another one for another browser.")
    console.line(f"It goes on in the background as process {process_id}: kill {process_id} ends it.")
    return 0
