"""HTTP to an engine on this machine: plain sockets, no proxy, no redirect, bounded answers.

Proxy variables of the environment are never looked at here, so a dead `HTTP_PROXY` cannot stand
between us and loopback.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bringup.records import dataclass

if TYPE_CHECKING:
    import http.client
    import socket


_ANSWER_LIMIT_BYTES = 64 * 1024**2
_LINE_LIMIT_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status and body (bytes)."""

    status: int
    body: bytes


class HttpTrouble(Exception):
    """The connection failed, broke, timed out or the answer broke a bound; `args[0]` says which."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the engine listens, and the key it wants (`None`: no key)."""

    host: str
    port: int
    key: str | None = None

    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        return headers


def request(endpoint: Endpoint, method: str, path: str, *, body: object = None, timeout_s: float) -> Answer:
    """One request, whole answer. A body of bytes is sent as it is, any other as JSON.

    `timeout_s` bounds the whole answer: one that comes a byte at a time keeps nobody waiting for longer.

    Raises:
        HttpTrouble: no connection, broken off, timed out, or larger than 64 MiB.
    """
    with _exchange(endpoint, method, path, body=body, timeout_s=timeout_s, is_hurried=True) as response:
        data = response.read(_ANSWER_LIMIT_BYTES + 1)
        if len(data) > _ANSWER_LIMIT_BYTES:
            raise HttpTrouble("the answer is larger than 64 MiB")
        return Answer(response.status, data)


@contextmanager
def stream(
    endpoint: Endpoint, path: str, *, body: object, timeout_s: float
) -> Iterator[tuple[int, str, Iterator[bytes]]]:
    """POST and yield `(status, content type, lines)`; closing the block ends the connection at once.

    `timeout_s` bounds each silence, not the whole answer. Lines come without their line end.

    Raises:
        HttpTrouble: as `request`; also while lines are read.
    """
    with _exchange(endpoint, "POST", path, body=body, timeout_s=timeout_s) as response:
        yield response.status, response.headers.get("Content-Type", ""), _lines(response)


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    import http.client

    while True:
        try:
            line = response.readline(_LINE_LIMIT_BYTES + 1)
        except (OSError, http.client.HTTPException) as problem:
            raise HttpTrouble(_words(problem)) from problem
        if not line:
            return
        if len(line) > _LINE_LIMIT_BYTES:
            raise HttpTrouble("one line of the answer is longer than 16 MiB")
        yield line.rstrip(b"\r\n")


@contextmanager
def _exchange(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    body: object,
    timeout_s: float,
    is_hurried: bool = False,
) -> Iterator[http.client.HTTPResponse]:
    # Imported here: it takes as long as all of ours together, and an engine is loading meanwhile.
    import http.client

    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=timeout_s)
    made: list[http.client.HTTPResponse] = []

    def make(connected: socket.socket, *arguments: Any, **options: Any) -> http.client.HTTPResponse:  # noqa: ANN401
        response = http.client.HTTPResponse(connected, *arguments, **options)
        made.append(response)
        if is_hurried:
            response.fp.close()
            response.fp = io.BufferedReader(_Hurried(connected, time.monotonic() + timeout_s))
        return response

    connection.response_class = make  # type: ignore[assignment] # called, and nothing else
    if isinstance(body, bytes):
        payload: bytes | None = body
    else:
        payload = None if body is None else json.dumps(body, ensure_ascii=True).encode()
    try:
        connection.request(method, path, payload, endpoint.headers())
        yield connection.getresponse()
    except (OSError, http.client.HTTPException) as problem:
        raise HttpTrouble(_words(problem)) from problem
    finally:
        for response in made:  # one whose beginning failed is closed by nobody else
            response.close()
        connection.close()


class _Hurried(io.RawIOBase):
    """What comes from a socket until a moment; the limit of the socket itself bounds each wait alone."""

    def __init__(self, connected: socket.socket, until_s: float) -> None:
        self._socket = connected
        self._raw = connected.makefile("rb", buffering=0)
        self._until_s = until_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _words(problem: Exception) -> str:
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    return str(problem) or type(problem).__name__
