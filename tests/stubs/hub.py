"""A model hub on loopback that can be told to misbehave.

Serves `/api/models/USER/REPO/revision/REV` and `/USER/REPO/resolve/REV/FILE` as the real hub does
(including the redirect to another host's address, when asked), counts every byte that it sends, and
keeps what it was asked. `behave` is a function called for each file request; it may answer itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

PIECE_BYTES = 64 * 1024


def gguf_bytes(size_bytes: int, seed: int = 0) -> bytes:
    """Bytes that begin like a GGUF file; the rest is noise that compresses badly and repeats nowhere."""
    return (b"GGUF\x03\0\0\0" + random.Random(seed).randbytes(size_bytes))[:size_bytes]


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    sent_bytes: int = 0
    range_start: int = 0


@dataclass
class StubFile:
    """A file of a repository. `sha256` and `size_bytes` are what the hub publishes, right by default."""

    data: bytes
    etag: str = ""
    sha256: str | None = ""
    size_bytes: int = -1

    def __post_init__(self) -> None:
        digest = hashlib.sha256(self.data).hexdigest()
        self.etag = self.etag or f'"{digest}"'
        self.sha256 = digest if self.sha256 == "" else self.sha256
        self.size_bytes = len(self.data) if self.size_bytes < 0 else self.size_bytes


Behave = Callable[["Handler", StubFile], bool]


@dataclass
class StubHub:
    """The hub's state; tests change it while it runs."""

    repos: dict[str, dict[str, StubFile]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    behave: Behave | None = None
    answer_api: Callable[[Handler, str], bool] | None = None
    revisions: tuple[str, ...] = ("main",)
    bytes_per_s: float = 0.0
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.port}"

    def file_requests(self) -> list[Asked]:
        """Requests for bytes."""
        return [one for one in self.asked if "/resolve/" in one.path or one.path.startswith("/cdn/")]

    def sent_bytes(self) -> int:
        """Bytes of files that were sent."""
        return sum(one.sent_bytes for one in self.file_requests())


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    hub: StubHub
    asked: Asked

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def setup(self) -> None:
        """Keep what is on its way small, so that bytes counted as sent are nearly those that arrived."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
        super().setup()

    def do_GET(self) -> None:
        """Note the request, then answer."""
        self.asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()})
        with self.hub.lock:
            self.hub.asked.append(self.asked)
        with contextlib.suppress(ConnectionError):
            self._answer(unquote(urlsplit(self.path).path))

    def _answer(self, path: str) -> None:
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path)
        if api:
            if self.hub.answer_api is None or not self.hub.answer_api(self, api[1]):
                self._listing(api[1], api[2])
            return
        file = re.fullmatch(r"/(?:cdn/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        stub = self.hub.repos.get(file[1], {}).get(file[2]) if file else None
        if stub is None:
            self.plain(404, b"no such file")
        elif self.hub.behave is None or not self.hub.behave(self, stub):
            self.send_file(stub)

    def _listing(self, repo: str, revision: str) -> None:
        files = self.hub.repos.get(repo)
        if files is None or revision not in self.hub.revisions:
            self.plain(404, b"{}", {"X-Error-Code": "RepoNotFound" if files is None else "RevisionNotFound"})
            return
        siblings = [
            {
                "rfilename": name,
                "size": file.size_bytes,
                "blobId": "0" * 40,
                **(
                    {"lfs": {"sha256": file.sha256, "size": file.size_bytes, "pointerSize": 134}}
                    if file.sha256
                    else {}
                ),
            }
            for name, file in files.items()
        ]
        body = {"_id": "1", "id": repo, "modelId": repo, "sha": "a" * 40, "siblings": siblings, "tags": []}
        self.plain(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def plain(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """A short answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def wanted_range(self, stub: StubFile) -> int | None:
        """First byte asked for, where Range and If-Range allow to continue."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.asked.headers.get("range", ""))
        condition = self.asked.headers.get("if-range")
        if match is None or (condition is not None and condition != stub.etag):
            return None
        self.asked.range_start = int(match[1])
        return int(match[1])

    def send_file(self, stub: StubFile) -> None:
        """The file or the part that was asked for, as a good server does."""
        start, end = self.wanted_range(stub), len(stub.data)
        last = re.fullmatch(r"bytes=\d+-(\d+)", self.asked.headers.get("range", ""))
        if start is not None and start >= end:
            self.plain(416, b"", {"Content-Range": f"bytes */{end}"})
            return
        if start is not None and last:
            end = min(end, int(last[1]) + 1)
        self.send_response(200 if start is None else 206)
        self.send_header("ETag", stub.etag)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - (start or 0)))
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(stub.data)}")
        self.end_headers()
        self.send_pieces(stub.data[start or 0 : end])

    def send_pieces(self, data: bytes, *, piece_bytes: int = PIECE_BYTES) -> None:
        """Body bytes, counted, at the hub's pace."""
        for at in range(0, len(data), piece_bytes):
            piece = data[at : at + piece_bytes]
            self.wfile.write(piece)
            self.asked.sent_bytes += len(piece)
            if self.hub.bytes_per_s:
                time.sleep(len(piece) / self.hub.bytes_per_s)

    def drop(self) -> None:
        """Break the connection without a goodbye."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a handler that stalls on purpose must not hold up the end of a test

    def handle_error(self, *_: object) -> None:
        """A client that was killed is what these tests are about."""


@contextlib.contextmanager
def running_hub(repos: dict[str, dict[str, StubFile]] | None = None) -> Iterator[StubHub]:
    """A hub that serves until the block ends."""
    hub = StubHub(repos or {})
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", 0), handler)
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
