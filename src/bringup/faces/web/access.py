"""Who may ask: only the holder of the token, only by our own name, only from our own pages.

A token in the printed address is taken once and becomes a cookie. Every request is checked here before any
route sees it: the Host (a foreign name that was bound to this address, DNS rebinding), the Origin, the
cookie; and for what changes something a header token besides, because a cookie does not know ports.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import field
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bringup.actions.page_server import TOKEN_PARAMETER, page_address
from bringup.records import dataclass

ACTION_HEADER: Final = "x-bringup-action"
_SAFE: Final = frozenset({"GET", "HEAD"})
_OPEN: Final = frozenset({"/healthz"})
"""Answers with one word, to anybody who names us rightly: a supervisor wants to know that we live."""

_EXPORT: Final = "/metrics"
_LONGEST_PATH: Final = 2000

SECURITY_HEADERS: Final = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types bringup",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("cache-control", "no-store"),
)


@dataclass(slots=True)
class Access:
    """The secrets of one server.

    Attributes:
        port: where it listens.
        hosts: names that a request may call us by, with the port.
        export_token: what Prometheus sends; kept in a file of the user.
        host: our address, for the one that another browser is given.
        on_taken: told when a token of the address was taken, with a fresh address for another browser.
    """

    port: int
    hosts: frozenset[str]
    export_token: str
    host: str = "127.0.0.1"
    on_taken: Callable[[str], None] = lambda _: None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    action: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def cookie_name(self) -> str:
        """A name of our own for each port: cookies of two servers on one address would collide."""
        return f"bringup_{self.port}"

    def is_holder(self, headers: Headers) -> bool:
        """Whether the cookie is ours."""
        try:
            jar = SimpleCookie(headers.get("cookie", "")[:8192])
        except CookieError:
            return False
        found = jar.get(self.cookie_name)
        return found is not None and _same(found.value, self.session)

    def is_exporter(self, headers: Headers) -> bool:
        """Whether Prometheus sent its token."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and _same(value, self.export_token)

    def take(self, given: str) -> bool:
        """Take a token of an address; it is worth nothing after that."""
        if not _same(given, self.token):
            return False
        self.token = secrets.token_urlsafe(24)
        self.on_taken(self.address())
        return True

    def address(self) -> str:
        """An address that lets another browser in, once."""
        return page_address(self.host, self.port, self.token)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


class Gate:
    """The one door before all routes."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """`app` sees only requests that may pass."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.encode() for name, _ in SECURITY_HEADERS} | {b"server"}
                kept = [(name, value) for name, value in message.get("headers", []) if name not in own]
                message["headers"] = kept + [(n.encode(), v.encode()) for n, v in SECURITY_HEADERS]
            await send(message)

        answer = self._judge(scope)
        await (self._app if answer is None else answer)(scope, receive, send_guarded)

    def _judge(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        refused = self._refuse_stranger(scope, headers)
        if refused is not None:
            return refused
        path = scope["path"]
        if path in _OPEN and scope["method"] in _SAFE:
            return None
        query = scope.get("query_string", b"").decode("latin-1")
        if f"{TOKEN_PARAMETER}=" in query and scope["method"] == "GET":
            return self._take_token(path, query)
        if path == _EXPORT and self._access.is_exporter(headers):
            return None
        if not self._access.is_holder(headers):
            return PlainTextResponse(
                "Open the address that `bringup web` printed: it holds the token that this page wants.\n", 401
            )
        if scope["method"] not in _SAFE and not _same(headers.get(ACTION_HEADER, ""), self._access.action):
            return PlainTextResponse("This needs the header of our own pages.\n", 403)
        return None

    def _refuse_stranger(self, scope: Scope, headers: Headers) -> Response | None:
        if len(headers.getlist("host")) != 1 or headers["host"].lower() not in self._access.hosts:
            return PlainTextResponse("This server is not called so.\n", 421)
        origins = headers.getlist("origin")
        ours = {f"http://{host}" for host in self._access.hosts}
        if any(origin.lower() not in ours for origin in origins) or len(origins) > 1:
            return PlainTextResponse("Requests of other pages are refused.\n", 403)
        if scope["method"] not in _SAFE and not origins:
            return PlainTextResponse("An action has to come from our own page.\n", 403)
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and scope["method"] not in _SAFE:
            return PlainTextResponse("Requests of other pages are refused.\n", 403)
        if len(scope["path"]) > _LONGEST_PATH:
            return PlainTextResponse("The address is too long.\n", 414)
        return None

    def _take_token(self, path: str, query: str) -> Response:
        pairs = parse_qsl(query, keep_blank_values=True)
        given = [value for name, value in pairs if name == TOKEN_PARAMETER]
        if len(given) != 1 or not self._access.take(given[0]):
            return PlainTextResponse("This token was used, or never was one.\n", 401)
        rest = urlencode([(name, value) for name, value in pairs if name != TOKEN_PARAMETER])
        # Only a path of ours: two slashes at the start would name another host.
        target = "/" + path.lstrip("/\\") + (f"?{rest}" if rest else "")
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            self._access.cookie_name, self._access.session, httponly=True, samesite="strict", path="/"
        )
        return answer
