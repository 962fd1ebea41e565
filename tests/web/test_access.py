"""Promise 18: only the holder of the token acts. Every route and method, against every wrong credential."""

from __future__ import annotations

import asyncio
import http.client
import itertools
from collections.abc import Iterator

import pytest
from starlette.types import Message
from tests.web.site import Served, serving

from bringup.faces.web.access import SECURITY_HEADERS, Access, Gate
from bringup.faces.web.html import join, tag, text

ROUTES = (
    "/",
    "/memory",
    "/live",
    "/plan",
    "/plan.svg?model=0",
    "/plan/result?model=0",
    "/log",
    "/log/compare?first=first&second=now",
    "/log/since?what=kernel",
    "/log/entry/1",
    "/explain/result?q=bus",
    "/events/term-vram",
    "/static/look.js",
    "/invitation",
    "/doctor",
    "/prompt?engine=8080&text=x",
    "/explain/term/vram",
    "/explain",
    "/explain/gpu-fell-off-bus",
    "/events/live",
    "/events/stack",
    "/static/style.css",
    "/static/live.js",
    "/metrics",
    "/healthz",
    "/engines/8080/stop",
    "/nothing-here",
    "//evil.example/",
    "/static/../access.py",
    "/static/%2e%2e%2faccess.py",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")
OPEN = "/healthz"


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    with serving() as running:
        yield running


def ask(
    site: Served, method: str, path: str, headers: dict[str, str], *, host: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", site.access.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or f"127.0.0.1:{site.access.port}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        is_stream = "event-stream" in (answer.getheader("content-type") or "")
        body = b"" if is_stream else answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body
    finally:
        connection.close()


def is_passed(status: int) -> bool:
    return status < 400


ALL = list(itertools.product(ROUTES, METHODS))


@pytest.mark.parametrize("what", ["nothing", "cookie", "bearer", "other-port", "empty"])
def test_without_the_token_nothing_passes(site: Served, what: str) -> None:
    headers = {
        "nothing": {},
        "cookie": {"Cookie": f"{site.access.cookie_name}=wrong"},
        "bearer": {"Authorization": f"Bearer {site.access.session}"},
        "other-port": {"Cookie": f"bringup_1={site.access.session}"},
        "empty": {"Cookie": f"{site.access.cookie_name}="},
    }[what]
    headers["Origin"] = site.base_url
    headers["X-Bringup-Action"] = site.access.action
    for path, method in ALL:
        status, _, body = ask(site, method, path, headers)
        if path == OPEN and method in ("GET", "HEAD"):
            assert status == 200
            continue
        assert not is_passed(status), (method, path, status)
        assert b"gpt-oss" not in body


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:{port}", "[::1]:{port}", ""],
)
def test_a_wrong_host_never_passes(site: Served, host: str) -> None:
    shown = host.format(port=site.access.port)
    headers = site.cookie | {"Origin": site.base_url, "X-Bringup-Action": site.access.action}
    for path, method in ALL:
        status, _, _ = ask(site, method, path, headers, host=shown or " ")
        assert not is_passed(status), (method, path, status)


def test_two_hosts_never_pass(site: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.access.port, timeout=10)
    connection.putrequest("GET", "/live", skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{site.access.port}")
    connection.putheader("Host", "evil.example")
    for name, value in site.cookie.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert not is_passed(connection.getresponse().status)
    connection.close()


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1"]
)
def test_a_foreign_origin_never_passes(site: Served, origin: str) -> None:
    headers = site.cookie | {"Origin": origin.format(port=site.access.port)}
    headers["X-Bringup-Action"] = site.access.action
    for path, method in ALL:
        status, told, _ = ask(site, method, path, headers)
        assert not is_passed(status), (method, path, status)
        assert not [name for name in told if name.startswith("access-control-")]


@pytest.mark.parametrize("missing", ["origin", "action", "wrong-action", "cross-site"])
def test_an_action_needs_our_own_page(site: Served, missing: str) -> None:
    headers = site.cookie | {"Origin": site.base_url, "X-Bringup-Action": site.access.action}
    if missing == "origin":
        del headers["Origin"]
    elif missing == "action":
        del headers["X-Bringup-Action"]
    elif missing == "wrong-action":
        headers["X-Bringup-Action"] = "wrong"
    else:
        headers["Sec-Fetch-Site"] = "cross-site"
    for path, method in ALL:
        if method not in ("GET", "HEAD"):
            status, _, _ = ask(site, method, path, headers)
            assert not is_passed(status), (method, path, status)


def test_two_hosts_stop_at_the_gate_too() -> None:
    """uvicorn's parser refuses them by itself; the gate does not hang on that."""
    access = Access(port=80, hosts=frozenset({"localhost:80"}), export_token="e" * 20)
    said: list[Message] = []

    async def inside(*_: object) -> None:
        raise AssertionError("it passed")

    async def hear(message: Message) -> None:
        said.append(message)

    for hosts in (("localhost:80", "localhost:80"), ("localhost:80", "evil.example"), ()):
        headers = [(b"host", host.encode()) for host in hosts]
        scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": headers}
        asyncio.run(Gate(inside, access)(scope, hear, hear))  # type: ignore[arg-type] # nothing is received
        assert said[-2]["status"] == 421, hosts


def test_nothing_foreign_gets_into_markup() -> None:
    """Neither as text nor as an attribute: no tag, no quote, and nothing that deceives the eye."""
    foreign = "<b>&'\"\x1b[31m\u202e\x9b\u200b\0end"
    for made in (text(foreign), tag("p", foreign), tag("p", title=foreign), join([foreign])):
        inner = (
            made.removeprefix("<p").removesuffix("</p>").replace(' title="', "").replace('">', "").strip(">")
        )
        assert not set(inner) & set("<>\"'\x1b\u202e\x9b\u200b\0"), made
        assert "end" in inner


def test_an_action_by_get_is_none(site: Served) -> None:
    headers = site.cookie | {"Origin": site.base_url, "X-Bringup-Action": site.access.action}
    assert ask(site, "GET", "/engines/8080/stop", headers)[0] == 405
    status, _, body = ask(site, "POST", "/engines/8080/stop", headers)
    assert (status, body) == (200, b"no engine is running on port 8080"), "with all of it the action is tried"


def test_the_holder_lets_another_browser_in_once(site: Served) -> None:
    headers = site.cookie | {"Origin": site.base_url, "X-Bringup-Action": site.access.action}
    status, _, body = ask(site, "POST", "/invitation", headers)
    address = body.decode()
    assert (status, address.partition("?")[0]) == (200, f"{site.base_url}/")
    token = address.partition("token=")[2]
    assert ask(site, "GET", f"/?token={token}", {})[0] == 303
    assert ask(site, "GET", f"/?token={token}", {})[0] == 401
    assert ask(site, "GET", "/invitation", headers)[0] == 405


def test_the_holder_is_let_in(site: Served) -> None:
    for path in ("/", "/memory", "/live", "/explain", "/static/style.css", "/events/live", "/metrics"):
        assert ask(site, "GET", path, site.cookie)[0] == 200, path
    for path in (
        "/nothing-here",
        "/static/../access.py",
        "/static/%2e%2e%2faccess.py",
        "/events/nothing",
        "/events/term-nothing",
        "/events/term-dkms",
    ):
        assert ask(site, "GET", path, site.cookie)[0] == 404, path


def test_the_token_works_once_and_leaves_no_trace(site: Served) -> None:
    used = site.access.token
    status, told, _ = ask(site, "GET", f"/memory?token={used}&a=b", {})
    assert (status, told["location"]) == (303, "/memory?a=b")
    cookie = told["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert used not in cookie
    assert told["referrer-policy"] == "no-referrer"
    for again in (used, "", "wrong", f"{used}&token={used}"):
        status, told, _ = ask(site, "GET", f"/?token={again}", {})
        assert status == 401
        assert "set-cookie" not in told
    assert site.access.token != used


def test_a_redirect_stays_here(site: Served) -> None:
    for path in ("//evil.example/x", "/\\evil.example", "///evil.example"):
        status, told, _ = ask(site, "GET", f"{path}?token={site.access.token}", {})
        assert status == 303
        assert told["location"].startswith("/")
        assert told["location"][1:2] not in ("/", "\\")


def test_prometheus_has_a_secret_of_its_own(site: Served) -> None:
    good = {"Authorization": f"Bearer {site.access.export_token}"}
    assert ask(site, "GET", "/metrics", good)[0] == 200
    assert ask(site, "GET", "/live", good)[0] == 401, "it opens nothing else"
    assert ask(site, "GET", "/metrics", {"Authorization": "Bearer wrong"})[0] == 401


def test_every_answer_carries_the_policy(site: Served) -> None:
    for path, method in ALL:
        if method == "CONNECT":
            continue
        for headers in ({}, site.cookie):
            status, told, _ = ask(site, method, path, headers)
            if status == 400:
                continue  # refused by the parser before any of it
            for name, value in SECURITY_HEADERS:
                assert told.get(name) == value, (method, path, status, name)
            assert "server" not in told
            assert "set-cookie" not in told
