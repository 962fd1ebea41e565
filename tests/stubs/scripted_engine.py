"""A made engine: llama.cpp's chat API on loopback, answering from a script.

Each request to /v1/chat/completions takes the next `Reply`; a token is a word, so that windows can be filled
exactly. What was asked is kept in `requests`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One scripted answer."""

    content: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    finish_reason: str = "stop"
    has_end_mark: bool = True
    status: int = 200
    error: dict[str, Any] | None = None
    pause: threading.Event | None = None
    """Held after the first delta until it is set."""


@dataclass
class ScriptedEngine:
    """The script and what was asked."""

    n_ctx: int = 1000
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    base_url: str = ""


def count_words(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"].split()) + 1 for message in messages)


class Handler(BaseHTTPRequestHandler):
    """Answers for the engine that its server carries."""

    server: ScriptedServer

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.engine.asked.append((self.path, body))  # type: ignore[attr-defined]
        if self.path == "/tokenize":
            self.send_object(200, {"tokens": list(range(len(body["content"].split())))})
        elif self.path == "/apply-template":
            words = " ".join("<m> " + message["content"] for message in body["messages"])
            self.send_object(200, {"prompt": words})
        else:
            engine = self.server.engine
            engine.requests.append(body)
            self.send_reply(engine.replies.pop(0), count_words(body["messages"]), engine.n_ctx)

    def send_object(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_reply(self, reply: Reply, n_prompt: int, n_ctx: int) -> None:
        if reply.error is not None:
            self.send_object(reply.status, {"error": reply.error})
        elif n_prompt > n_ctx:
            error = {"code": 400, "type": "exceed_context_size_error", "message": "too long"}
            self.send_object(400, {"error": error | {"n_prompt_tokens": n_prompt, "n_ctx": n_ctx}})
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.send_stream(reply, n_prompt)

    def send_stream(self, reply: Reply, n_prompt: int) -> None:
        for name, texts in (("reasoning_content", reply.reasoning), ("content", reply.content)):
            for text in texts:
                self.send_event({"choices": [{"delta": {name: text}}]})
                if reply.pause is not None:
                    reply.pause.wait(10)
        if reply.has_end_mark:
            n_words = sum(len("".join(texts).split()) for texts in (reply.reasoning, reply.content))
            self.send_event({"choices": [{"delta": {}, "finish_reason": reply.finish_reason}]})
            usage = {"prompt_tokens": n_prompt, "completion_tokens": n_words}
            timings = {"cache_n": n_prompt - 1, "prompt_n": 1, "prompt_ms": 1.0}
            timings |= {"predicted_n": n_words, "predicted_ms": 100.0 * n_words}
            self.send_event({"choices": [], "usage": usage, "timings": timings})
            self.wfile.write(b"data: [DONE]\n\n")

    def send_event(self, value: object) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()


class ScriptedServer(ThreadingHTTPServer):
    """The server of one scripted engine."""

    daemon_threads = True

    def __init__(self, engine: ScriptedEngine) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine = engine


@contextmanager
def serving(engine: ScriptedEngine) -> Iterator[ScriptedEngine]:
    """Serve until the block ends."""
    server = ScriptedServer(engine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    engine.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield engine
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
