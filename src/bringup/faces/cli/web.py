"""What `bringup web` does with its options."""

from __future__ import annotations

from bringup.errors import Failure
from bringup.faces.render.console import Console

_WANTED = frozenset({"starlette", "uvicorn", "prometheus_client"})


def serve_web(console: Console, *, recording: str | None, host: str, port: int, interval_s: float) -> int:
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
    return serve_page(console, recording=recording, host=check_host(host), port=port, interval_s=interval_s)
