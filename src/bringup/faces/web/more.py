"""Pages that stand still: asked for, computed beside the server's own thread, shown."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bringup.actions.live.view import LiveView
from bringup.actions.planning.devices import known_cards
from bringup.errors import BringupError
from bringup.faces.web.drawer import TERM, Drawer
from bringup.faces.web.html import Html, join, tag
from bringup.faces.web.layout import Frame, page, parts
from bringup.faces.web.pages.explain import (
    fault_page,
    fault_title,
    found,
    index,
    term_page,
    term_title,
)
from bringup.faces.web.pages.log import compare_page, entry_page, log_page, since_page
from bringup.faces.web.pages.plan import PlanForm, plan_page, plan_picture, plan_result
from bringup.faces.web.pages.prompt import PromptForm, prompt_page
from bringup.machine.folders import our_folders
from bringup.stack.stack import Stack

_LONGEST = 200
_LONGEST_TEXT = 8000


class StillPages:
    """Handlers of the pages that somebody asks for.

    Args:
        frame: gives what stands around a page.
        view: the machine, and what the doctor saw of it.
        drawer: draws what follows along.
    """

    def __init__(self, frame: Callable[[], Frame], view: LiveView, drawer: Drawer) -> None:
        """Looks at nothing."""
        self._frame = frame
        self._view = view
        self._drawer = drawer

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        return [
            Route("/plan", self._plan, methods=["GET"]),
            Route("/plan/result", _plan_result, methods=["GET"]),
            Route("/plan.svg", _plan_picture, methods=["GET"]),
            Route("/log", self._log, methods=["GET"]),
            Route("/log/compare", self._compare, methods=["GET"]),
            Route("/log/since", self._since, methods=["GET"]),
            Route("/log/entry/{seq:int}", self._entry, methods=["GET"]),
            Route("/prompt", self._prompt, methods=["GET"]),
            Route("/explain/term/{name}", self._term, methods=["GET"]),
            Route("/explain", self._index, methods=["GET"]),
            Route("/explain/result", _found, methods=["GET"]),
            Route("/explain/{name}", self._fault, methods=["GET"]),
        ]

    def _page(self, title: str, path: str, *body: Html, status: int = 200, live: str = "") -> Response:
        return HTMLResponse(page(self._frame(), title, path, *body, live=live), status)

    def _own(self, title: str, path: str, drawn: Html, status: int = 200) -> Response:
        """A page that is always of this machine, also where a recording is shown beside it."""
        if self._view.is_live:
            return self._page(title, path, drawn, status=status)
        say = tag("p", "This is of the machine that you are at, not of the recording.", class_="note warn")
        return self._page(title, path, say, drawn, status=status)

    async def _plan(self, request: Request) -> Response:
        form = PlanForm.of(request.query_params)
        return self._own("Plan", "/plan", await run_in_threadpool(lambda: plan_page(form, known_cards())))

    async def _log(self, request: Request) -> Response:
        words = [_typed(request, name) for name in ("since", "layer", "q")]
        return self._own("Log", "/log", await run_in_threadpool(log_page, *words))

    async def _compare(self, request: Request) -> Response:
        words = [_typed(request, name) for name in ("first", "second")]
        return self._own("Two moments", "/log/compare", await run_in_threadpool(compare_page, *words))

    async def _since(self, request: Request) -> Response:
        drawn = await run_in_threadpool(since_page, _typed(request, "what"))
        return self._own("Since it worked", "/log/since", drawn)

    async def _entry(self, request: Request) -> Response:
        seq = min(request.path_params["seq"], 2**62)
        drawn = await run_in_threadpool(entry_page, seq)
        if drawn is not None:
            return self._own(f"Entry {seq}", "/log/entry", drawn)
        return self._own("No such entry", "/log", await run_in_threadpool(log_page, "", "", ""), status=404)

    async def _prompt(self, request: Request) -> Response:
        query = request.query_params
        texts = [query.get(name, "")[:_LONGEST_TEXT] for name in ("text", "system")]
        form = PromptForm(_typed(request, "engine"), texts[0], texts[1], query.get("sends") == "1")
        return self._own("Prompt", "/prompt", await run_in_threadpool(prompt_page, form))

    async def _term(self, request: Request) -> Response:
        name = request.path_params["name"]
        seen = self._view.faults.examination
        stack = seen.stack if seen is not None else Stack()
        place = our_folders() if self._view.is_live else None
        stream = f"{TERM}{name}"
        is_live = self._drawer.is_stream(stream)
        now = join(parts({"now": self._drawer.draw(stream)["now"]})) if is_live else Html("")
        drawn = await run_in_threadpool(term_page, name, stack, place, now)
        if drawn is None:
            return self._page("Explain", "/explain", await run_in_threadpool(index, ""), status=404)
        return self._page(term_title(name), "/explain/term", drawn, live=stream if is_live else "")

    async def _index(self, request: Request) -> Response:
        drawn = await run_in_threadpool(index, _typed(request, "q"))
        return self._page("Explain", "/explain", drawn)

    async def _fault(self, request: Request) -> Response:
        name = request.path_params["name"]
        drawn = await run_in_threadpool(fault_page, name)
        if drawn is not None:
            return self._page(fault_title(name), "/explain/fault", drawn)
        return self._page("Explain", "/explain", await run_in_threadpool(index, ""), status=404)


def _typed(request: Request, name: str) -> str:
    return request.query_params.get(name, "").strip()[:_LONGEST]


async def _found(request: Request) -> Response:
    return HTMLResponse(await run_in_threadpool(found, _typed(request, "q")))


async def _plan_result(request: Request) -> Response:
    form = PlanForm.of(request.query_params)
    return HTMLResponse(await run_in_threadpool(plan_result, form))


async def _plan_picture(request: Request) -> Response:
    try:
        drawn = await run_in_threadpool(plan_picture, PlanForm.of(request.query_params))
    except BringupError as problem:
        return PlainTextResponse(problem.message, 400)
    return Response(drawn, media_type="image/svg+xml")
