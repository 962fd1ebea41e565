"""Pages that stand still: asked for, computed beside the server's own thread, shown."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bringup.actions.live_view import LiveView
from bringup.errors import BringupError
from bringup.faces.web.access import Access
from bringup.faces.web.html import Html
from bringup.faces.web.layout import page
from bringup.faces.web.pages.explain import fault_page, index, term_page
from bringup.faces.web.pages.log import log_page
from bringup.faces.web.pages.plan import PlanForm, plan_page, plan_picture
from bringup.faces.web.pages.prompt import prompt_page
from bringup.stack.stack import Stack

_LONGEST = 200
_LONGEST_TEXT = 8000


class StillPages:
    """Handlers; `access` has the token that our own script sends, `view` what the doctor saw."""

    def __init__(self, access: Access, view: LiveView) -> None:
        """Looks at nothing."""
        self._access = access
        self._view = view

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        return [
            Route("/plan", self._plan, methods=["GET"]),
            Route("/plan.svg", _plan_picture, methods=["GET"]),
            Route("/log", self._log, methods=["GET"]),
            Route("/prompt", self._prompt, methods=["GET"]),
            Route("/explain/term/{name}", self._term, methods=["GET"]),
            Route("/explain", self._index, methods=["GET"]),
            Route("/explain/{name}", self._fault, methods=["GET"]),
        ]

    def _page(self, title: str, path: str, body: Html, status: int = 200) -> Response:
        return HTMLResponse(page(title, path, body, action_token=self._access.action), status)

    async def _plan(self, request: Request) -> Response:
        form = PlanForm.of(request.query_params)
        return self._page("Plan", "/plan", await run_in_threadpool(plan_page, form))

    async def _log(self, request: Request) -> Response:
        words = [request.query_params.get(name, "").strip()[:_LONGEST] for name in ("since", "layer")]
        return self._page("Log", "/log", await run_in_threadpool(log_page, *words))

    async def _prompt(self, request: Request) -> Response:
        words = [request.query_params.get(name, "")[:_LONGEST_TEXT] for name in ("engine", "text", "system")]
        return self._page("Prompt", "/prompt", await run_in_threadpool(prompt_page, *words))

    async def _term(self, request: Request) -> Response:
        seen = self._view.faults.examination
        stack = seen.stack if seen is not None else Stack()
        found = await run_in_threadpool(term_page, request.path_params["name"], stack)
        if found is not None:
            return self._page("Explain", "/explain", found)
        return self._page("Explain", "/explain", await run_in_threadpool(index, ""), 404)

    async def _index(self, request: Request) -> Response:
        words = request.query_params.get("q", "")[:_LONGEST]
        return self._page("Explain", "/explain", await run_in_threadpool(index, words))

    async def _fault(self, request: Request) -> Response:
        found = await run_in_threadpool(fault_page, request.path_params["name"])
        if found is not None:
            return self._page("Explain", "/explain", found)
        return self._page("Explain", "/explain", await run_in_threadpool(index, ""), 404)


async def _plan_picture(request: Request) -> Response:
    try:
        drawn = await run_in_threadpool(plan_picture, PlanForm.of(request.query_params))
    except BringupError as problem:
        return PlainTextResponse(problem.message, 400)
    return Response(drawn, media_type="image/svg+xml")
