"""What `bringup web` does with its options."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.errors import Failure
from bringup.faces.render.console import Console
from bringup.machine.folders import our_folders

_WANTED = frozenset({"starlette", "uvicorn", "prometheus_client"})


@dataclass(frozen=True, slots=True)
class Page:
    """What is served: where, of which machine (`None`: this one), looked at how often."""

    host: str
    port: int
    recording: str | None
    interval_s: float


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
    return serve_page(
        console, recording=page.recording, host=host, port=page.port, interval_s=page.interval_s
    )


def detach_web(console: Console, page: Page) -> int:
    """Serve in a session of its own.

    Raises:
        Failure: it did not start; says why.
    """
    from bringup.actions.page_server import start_detached

    words = ["web", "--port", str(page.port), "--host", page.host, "--interval", str(page.interval_s)]
    words += ["--from", page.recording] if page.recording is not None else []
    address, process_id = start_detached(tuple(words), our_folders(), port=page.port)
    console.answer(address)
    console.line(f"It goes on in the background as process {process_id}: kill {process_id} ends it.")
    return 0
