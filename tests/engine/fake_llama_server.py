"""A made llama-server: it speaks health, props, slots and chat, and fails the way FAKE says.

FAKE is a JSON object: `print` (text on stderr), `exit` or `signal` (end at once), `after_s` (when to do that,
counted from ready), `per_request` (end at the end of each chat), `ignore_term`, `stall_s` (do nothing before
listening), `loading_s` (503 for so long), `props`
(status and body of that route), `count` (a file that gets a line with the time at each start, and
one beside it, `.ends`, with the time of each end that FAKE wants).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HELP = """\
-h,    --help, --usage                  print usage and exit
-m,    --model FNAME                    model path to load
-a,    --alias STRING                   set model name aliases
--host HOST                             ip address to listen
--port PORT                             port to listen
-c,    --ctx-size N                     size of the prompt context
-np,   --parallel N                     number of parallel sequences
-t,    --threads N                      number of threads
-tb,   --threads-batch N                number of threads for the prompt
-ub,   --ubatch-size N                  physical maximum batch size
-ngl,  --gpu-layers, --n-gpu-layers N   layers in VRAM
-ctk,  --cache-type-k TYPE              KV cache data type for K
-ctv,  --cache-type-v TYPE              KV cache data type for V
-fa,   --flash-attn [on|off|auto]       set Flash Attention use
--embedding, --embeddings               embeddings only
--metrics                               enable prometheus compatible metrics endpoint
--api-key-file FNAME                    path to file containing API keys
--cors-origins ORIGINS                  allowed origins
"""

FAKE = json.loads(os.environ.get("FAKE", "{}"))


def note(suffix: str) -> None:
    """A line with the time in the file `count`."""
    if "count" in FAKE:
        with open(FAKE["count"] + suffix, "a") as count:
            count.write(f"{time.monotonic()}\n")


def fail() -> None:
    sys.stderr.write(FAKE.get("print", ""))
    sys.stderr.flush()
    note(".ends")
    if "signal" in FAKE:
        os.kill(os.getpid(), FAKE["signal"])
        time.sleep(5)
    os._exit(FAKE.get("exit", 1))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: object, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def may(self) -> bool:
        if time.monotonic() < READY_S:
            self.reply(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
            return False
        if self.path != "/health" and KEY and self.headers.get("Authorization") != f"Bearer {KEY}":
            self.reply(401, {"error": {"code": 401, "message": "Invalid API Key"}})
            return False
        return True

    def do_GET(self) -> None:
        if not self.may():
            return
        if self.path == "/props" and "props" in FAKE:
            self.reply(*FAKE["props"])
            return
        slot = {"id": 0, "n_ctx": 1024, "is_processing": False}
        answers = {
            "/health": {"status": "ok"},
            "/props": {
                "default_generation_settings": {"n_ctx": 1024},
                "total_slots": 1,
                "model_alias": ALIAS,
            },
            "/slots": [slot],
        }
        self.reply(200 if self.path in answers else 404, answers.get(self.path, {}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.may():
            return
        chunk = {"choices": [{"delta": {"content": "hello"}, "finish_reason": None}]}
        last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
        lines = "".join(f"data: {json.dumps(c)}\n\n" for c in (chunk, last)) + "data: [DONE]\n\n"
        self.reply(200, lines.encode(), "text/event-stream")
        if FAKE.get("per_request"):
            fail()


def option(name: str, default: str = "") -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


if "--help" in sys.argv:
    print(HELP)
    sys.exit(0)
if "--version" in sys.argv:
    print("version: 9999 (made)\nbuilt by hand", file=sys.stderr)
    sys.exit(0)
note("")
if FAKE.get("ignore_term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(FAKE.get("stall_s", 0))
ENDS = "exit" in FAKE or "signal" in FAKE
if ENDS and "after_s" not in FAKE and not FAKE.get("per_request"):
    fail()
KEY_FILE = option("--api-key-file")
KEY = Path(KEY_FILE).read_text().strip() if KEY_FILE else ""
ALIAS = option("--alias", "made")
READY_S = time.monotonic() + FAKE.get("loading_s", 0)
SERVER = ThreadingHTTPServer((option("--host", "127.0.0.1"), int(option("--port", "8080"))), Handler)
if ENDS and "after_s" in FAKE:
    threading.Timer(FAKE["after_s"], fail).start()
SERVER.serve_forever()
