"""The routes of the local page, behind the gate."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from bringup.actions.live.view import LiveView
from bringup.actions.running.engines import stop_engines
from bringup.errors import BringupError
from bringup.faces.web.access import Access, Gate
from bringup.faces.web.drawer import LIVE_PAGES, Drawer
from bringup.faces.web.exporter import exposition
from bringup.faces.web.layout import SCRIPTS, Frame, page, parts
from bringup.faces.web.more import StillPages
from bringup.faces.web.pages.live import span_choice
from bringup.faces.web.pages.memory import Maps
from bringup.faces.web.pages.stack import look_again
from bringup.machine import clock, folders
from bringup.reading import NOT_LOOKED

STREAMS_MOST: Final = 64
"""More viewers at once are told to come later: each is a connection that stays."""

_STREAM_LOOK_S: Final = 0.2
_BEAT_S: Final = 15.0
_STATIC: Final = {
    "style.css": "text/css; charset=utf-8",
    **{name: "text/javascript; charset=utf-8" for name in SCRIPTS},
    "icon.svg": "image/svg+xml",
}

Handler = Callable[[Request], Awaitable[Response]]


class Site:
    """The handlers; `view` is what they show, `access` who may see it."""

    def __init__(self, view: LiveView, access: Access, maps: Maps = lambda *_: NOT_LOOKED) -> None:
        """Looks at nothing by itself: the view's sampler looks, `maps` tells engines layer by layer."""
        self._view = view
        self._access = access
        self._drawer = Drawer(view, maps)
        self._streams = 0

    def app(self) -> ASGIApp:
        """The whole server's application."""
        routes = [
            *(Route(address, self._live_page(name), methods=["GET"]) for address, name, _ in LIVE_PAGES),
            *StillPages(self._frame, self._view, self._drawer).routes(),
            Route("/events/{name}", self._events, methods=["GET"]),
            Route("/static/{name}", _static, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/healthz", _health, methods=["GET"]),
            Route("/engines/{port:int}/stop", self._stop, methods=["POST"]),
            Route("/invitation", self._invite, methods=["POST"]),
            Route("/doctor", self._look_again, methods=["POST"]),
        ]
        return Gate(Starlette(routes=routes, exception_handlers={Exception: _crashed}), self._access)

    def _frame(self) -> Frame:
        sample = self._view.sampler.latest()
        subject = sample.subject if sample is not None else ""
        return Frame(self._access.action, subject, self._view.faults.health)

    def _live_page(self, name: str) -> Handler:
        address, _, title = next(one for one in LIVE_PAGES if one[1] == name)

        async def show(_: Request) -> Response:
            drawn = {part: inside for part, inside in self._drawer.draw(name).items() if part != "banner"}
            body = parts(drawn, before={"charts": span_choice()})
            beside = look_again() if name == "stack" else None
            return HTMLResponse(page(self._frame(), title, address, *body, live=name, beside=beside))

        return show

    async def _events(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not self._drawer.is_stream(name):
            return PlainTextResponse("There is no such stream.\n", 404)
        if self._streams >= STREAMS_MOST:
            return PlainTextResponse("Too many pages are open.\n", 503, headers={"retry-after": "10"})
        # Counted here, not when the first byte is asked for: a thousand requests at once would all pass.
        self._streams += 1
        return _Stream(self._stream(request, name), self._leave, media_type="text/event-stream")

    def _leave(self) -> None:
        self._streams -= 1

    async def _stream(self, request: Request, name: str) -> AsyncIterator[bytes]:
        from asyncio import sleep

        shown: dict[str, str] = {}
        drawn_for = (-1, -1)
        beat_s = clock.monotonic_s()
        while not await request.is_disconnected():
            version = self._drawer.version(name)
            if version != drawn_for:
                drawn_for = version
                now = self._drawer.draw(name)
                fresh = {part: inside for part, inside in now.items() if shown.get(part) != inside}
                shown.update(fresh)
                if fresh:
                    beat_s = clock.monotonic_s()
                    yield f"event: parts\ndata: {json.dumps(fresh)}\n\n".encode()
            if clock.monotonic_s() - beat_s > _BEAT_S:
                beat_s = clock.monotonic_s()
                yield b": still here\n\n"
            await sleep(_STREAM_LOOK_S)

    async def _metrics(self, _: Request) -> Response:
        sample = self._view.sampler.latest()
        if sample is None:
            return PlainTextResponse("The first look is still under way.\n", 503)
        text = exposition(sample, self._view.faults.health, now_s=clock.wall_s())
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _invite(self, _: Request) -> Response:
        """A fresh address for another browser of the holder, good once."""
        return PlainTextResponse(self._access.address())

    async def _look_again(self, _: Request) -> Response:
        self._view.faults.again()
        return PlainTextResponse("The doctor looks again: what it finds comes up by itself.")

    async def _stop(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        return PlainTextResponse(await run_in_threadpool(_stop_engine, request.path_params["port"]))


class _Stream(StreamingResponse):
    """A stream that says when it is over, also when it never began."""

    def __init__(self, content: AsyncIterator[bytes], on_end: Callable[[], None], *, media_type: str) -> None:
        super().__init__(content, media_type=media_type)
        self._on_end = on_end

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - as ASGI
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


def _stop_engine(port: int) -> str:

    try:
        ended = list(stop_engines(folders.our_folders(), str(port), every=False))
    except BringupError as problem:
        return problem.message
    return "stopped" if all(is_gone for _, is_gone in ended) else "it does not end"


async def _crashed(_: Request, problem: Exception) -> Response:
    """A mistake of ours: kept where a person finds it, and said."""
    from bringup.actions.crash_report import report_crash

    report = report_crash(problem)
    kept = f"The traceback is in {report.path}." if report.path is not None else f"It was at {report.where}."
    return PlainTextResponse(f"bringup itself failed: {report.summary}\n{kept}\n", 500)


async def _static(request: Request) -> Response:
    from importlib.resources import files

    name = request.path_params["name"]
    if name not in _STATIC:
        return PlainTextResponse("There is no such file.\n", 404)
    data = files("bringup.faces.web").joinpath("static", name).read_bytes()
    return Response(data, media_type=_STATIC[name])


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok\n")
