"""Who can use the port, and where the key can be seen: nobody without the key, and nowhere."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Served, serve_in_front
from tests.stubs.command_line import LOOPBACK, Home, engine_processes, listeners, run_cli
from tests.stubs.ports import free_port

# Every route of llama.cpp b11434 (tools/server/server.cpp) and the two pages of its web interface.
ROUTES = (
    *(("GET", path) for path in ("/metrics", "/props", "/models", "/v1/models", "/lora-adapters", "/slots")),
    *(("GET", path) for path in ("/v1/stream", "/cors-proxy", "/tools", "/models/sse", "/", "/index.html")),
    *(("DELETE", path) for path in ("/v1/stream", "/models")),
    *(("POST", path) for path in ("/props", "/completion", "/completions", "/v1/completions", "/infill")),
    *(
        ("POST", path)
        for path in ("/chat/completions", "/v1/chat/completions", "/v1/responses", "/responses")
    ),
    *(("POST", path) for path in ("/v1/chat/completions/control", "/v1/messages", "/v1/systemone")),
    *(("POST", path) for path in ("/v1/audio/transcriptions", "/audio/transcriptions", "/v1/streams/lookup")),
    *(("POST", path) for path in ("/embedding", "/embeddings", "/v1/embeddings", "/rerank", "/reranking")),
    *(
        ("POST", path)
        for path in ("/v1/rerank", "/v1/reranking", "/tokenize", "/detokenize", "/apply-template")
    ),
    *(("POST", path) for path in ("/chat/completions/input_tokens", "/v1/chat/completions/input_tokens")),
    *(("POST", path) for path in ("/responses/input_tokens", "/v1/responses/input_tokens")),
    *(("POST", path) for path in ("/v1/messages/count_tokens", "/lora-adapters", "/slots/0", "/models")),
    *(("POST", path) for path in ("/models/load", "/models/unload", "/cors-proxy", "/tools", "/api/show")),
)
ORIGINS = ("https://evil.example", "null", "http://localhost.evil.example", "file://")
ASKED = {"model": "small", "prompt": "secretword", "messages": [{"role": "user", "content": "secretword"}]}
DEEP = '{"type":"array","items":' * 2000 + "{}" + "}" * 2000


def killers() -> list[tuple[str, str]]:
    """Requests that have ended or upset servers of this kind (RELIABILITY: grammar depth, sizes, types)."""
    chat = {"messages": [{"role": "user", "content": "x"}]}
    grammars = (
        "root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000,
        "root ::= root root",
        'root ::= "a"{99999999}',
    )
    schemas: tuple[dict[str, Any], ...] = (
        {"type": "string", "pattern": "^(" * 5000 + "a" + ")" * 5000 + "$"},
        {"type": "string", "minLength": 2**31, "maxLength": 2**40},
        {"$ref": "#"},
    )
    fields: tuple[dict[str, Any], ...] = (
        {"n_discard": -1},
        {"n_predict": -(2**63)},
        {"n_keep": -(2**31)},
        {"top_k": -(2**31), "repeat_last_n": 2**31 - 1},
        {"samplers": ["x"] * 10_000},
        {"logit_bias": [[2**31, 1]] * 1000},
        {"id_slot": 2**31},
        {"stop": ["a" * 100_000]},
        {"n_probs": 2**31 - 1},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"pattern": "(" * 9999}}}]},
    )
    bodies = [chat | {"grammar": grammar} for grammar in grammars]
    bodies += [
        chat | {"response_format": {"type": "json_schema", "json_schema": {"schema": s}}} for s in schemas
    ]
    bodies += [chat | more for more in fields]
    made = [("/v1/chat/completions", json.dumps(body)) for body in bodies]
    deep = '{"messages": [], "response_format": {"type": "json_object", "schema": ' + DEEP + "}}"
    made += [("/v1/chat/completions", deep), ("/completion", "[" * 100_000), ("/tokenize", '{"content":')]
    return [*made, ("/detokenize", '{"tokens": [-1, 99999999]}')]


def ask(
    port: int, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else body.encode()
        connection.request(method, path, data, {"Content-Type": "application/json"} | named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def tells(data: bytes) -> bool:
    """Whether an answer says anything of the model, its files or what was asked of it."""
    return bool(re.search(rb"smol|gguf|small|secretword|n_ctx|llama\.cpp", data, re.IGNORECASE))


@pytest.mark.parametrize("how", ["no key", "wrong key", "foreign host", "query key", *ORIGINS])
def test_without_the_key_only_health_answers(served: Served, how: str) -> None:
    headers = {
        "wrong key": {"Authorization": "Bearer bringup-guess"},
        "foreign host": {"Host": "evil.example"},
    }.get(how, {"Origin": how} if how in ORIGINS else {})
    query = f"?api_key={served.home.key}" if how == "query key" else ""
    for method, path in ROUTES:
        body = json.dumps(ASKED) if method == "POST" else None
        status, got, data = ask(served.port, method, path + query, body, **headers)
        assert status in (401, 403, 404), f"{method} {path}: {status}"
        assert not tells(data), f"{method} {path}: {data[:200]!r}"
        assert got.get("Access-Control-Allow-Origin") in (None, "")
    status, _, data = ask(served.port, "GET", "/health", **headers)
    assert status == 200
    assert not tells(data)


def test_with_the_key_a_foreign_origin_is_not_let_in_by_the_browser(served: Served) -> None:
    key = {"Authorization": f"Bearer {served.home.key}"}
    for origin in ORIGINS:
        _, got, _ = ask(served.port, "GET", "/v1/models", Origin=origin, **key)
        assert got.get("Access-Control-Allow-Origin") in (None, "")
    _, got, _ = ask(served.port, "GET", "/v1/models", Origin="http://localhost:3000", **key)
    assert got.get("Access-Control-Allow-Origin") == "http://localhost:3000"


def test_killer_requests_without_the_key_are_refused_and_the_engine_lives(served: Served) -> None:
    made = killers()
    assert len(made) == 20
    for path, body in made:
        status, _, data = ask(served.port, "POST", path, body)
        assert status == 401, (path, body[:80])
        assert not tells(data)
    key = {"Authorization": f"Bearer {served.home.key}"}
    assert ask(served.port, "GET", "/v1/models", **key)[0] == 200
    assert served.process.poll() is None


def test_the_key_is_in_no_argv_environment_log_or_record(served: Served) -> None:
    ask(served.port, "GET", "/v1/models", Authorization=f"Bearer {served.home.key}")
    key = served.home.key.encode()
    engines = engine_processes(served.home)
    assert len(engines) >= 2
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            for part in ("cmdline", "environ"):
                try:
                    assert key not in (process / part).read_bytes(), f"{process}/{part}"
                except OSError:
                    continue
    holders = [path for path in served.home.path.rglob("*") if path.is_file() and key in path.read_bytes()]
    assert holders == [served.home.state / "key"]
    assert holders[0].stat().st_mode & 0o777 == 0o600
    for path in (*served.home.state.rglob("*.log"), *served.home.state.rglob("*.json")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_key_is_in_no_output_of_a_pipe_or_journal(served: Served) -> None:
    """`serve` in a pipe names the key's file; ps and logs never say it."""
    port = str(served.port)
    for arguments in (("ps",), ("ps", "--json"), ("logs", port), ("serve", "x" * 300), ("stop", "nobody")):
        answer = run_cli(served.home, *arguments)
        assert served.home.key not in answer.stdout + answer.stderr


def test_everything_listens_on_loopback_only(small_model: Path, home: Home) -> None:
    port = free_port()
    with serve_in_front(home, str(small_model), "--port", str(port)):
        opened = listeners(home)
        assert {number for _, number in opened} == {port}
        assert {address for address, _ in opened} <= LOOPBACK
        run_cli(home, "ps")
        run_cli(home, "logs", str(port))
        assert listeners(home) == opened
    run_cli(home, "run", str(small_model), "-p", "hi", "--max-tokens", "1", "--threads", "1")
    for arguments in (("models",), ("show", str(small_model)), ("ps",), ("--version",)):
        run_cli(home, *arguments)
    assert listeners(home) == set()


def test_another_address_needs_the_flag_and_the_key(small_model: Path, home: Home) -> None:
    detached = run_cli(home, "serve", str(small_model), "--host", "0.0.0.0", "--no-key", "--detach")
    assert detached.returncode == 2 and "refused" in detached.stderr
    assert json.loads(run_cli(home, "ps", "--json").stdout)["engines"] == [], (
        "nothing was started that failed"
    )
    refused = run_cli(home, "serve", str(small_model), "--host", "0.0.0.0", "--no-key")
    assert refused.returncode == 2
    assert "refused to listen on 0.0.0.0 without a key" in refused.stderr
    with serve_in_front(home, str(small_model), "--host", "0.0.0.0", "--port", str(free_port())) as running:
        assert listeners(home) == {("00000000", running.port)}
        assert ask(running.port, "GET", "/v1/models")[0] == 401
        assert running.process.stderr is not None
        said = next(line for line in running.process.stderr if b"Listening on" in line).decode()
    assert "everyone on the network who has the key" in said
    assert "Nothing is encrypted" in said


def test_no_key_is_a_spoken_choice_that_says_what_it_opens(small_model: Path, home: Home) -> None:
    with serve_in_front(home, str(small_model), "--no-key", "--port", str(free_port())) as running:
        assert ask(running.port, "GET", "/v1/models")[0] == 200
        assert {address for address, _ in listeners(home)} <= LOOPBACK
        _, got, _ = ask(running.port, "GET", "/v1/models", Origin="https://evil.example")
        assert got.get("Access-Control-Allow-Origin") in (None, "")
        running.process.terminate()
        assert running.process.stderr is not None
        assert "No key: every program and every user" in running.process.stderr.read().decode()


def test_a_key_file_of_ones_own(small_model: Path, home: Home) -> None:
    key_file = home.path / "mine"
    key_file.write_text("# comment\nmy-own-key\n")
    more = ("--key-file", str(key_file), "--port", str(free_port()))
    with serve_in_front(home, str(small_model), *more) as running:
        assert ask(running.port, "GET", "/v1/models", Authorization="Bearer my-own-key")[0] == 200
        assert ask(running.port, "GET", "/v1/models")[0] == 401
        (listed,) = json.loads(run_cli(home, "ps", "--json").stdout)["engines"]
        assert listed["context_tokens"], "it was asked with the key that it wants"
        asked = run_cli(home, "prompt", str(small_model), "Hi")
        assert "the engine that runs it on port" in asked.stdout, asked.stderr
    key_file.write_text("\n")
    assert "there is no key in" in run_cli(home, "serve", str(small_model), *more).stderr
    for line in (b"windows\r\n", b"blank \n", "schl\u00fcssel\n".encode()):
        key_file.write_bytes(b"# comment\nmy-own-key\n" + line)
        said = run_cli(home, "serve", str(small_model), *more).stderr
        assert f"line 3 of {key_file} holds a key that no client can send" in said


def test_nothing_needs_the_network(small_model: Path, home: Home) -> None:
    """In a network namespace with loopback only, everything but pull works."""
    unshare = subprocess.run(
        ["unshare", "--net", "--map-root-user", "sh", "-c", "ip link set lo up"],
        capture_output=True,
        check=False,
    )
    if unshare.returncode:
        pytest.skip("no unshare")
    from tests.stubs.command_line import argv

    words = " ".join(argv("run", str(small_model), "-p", "hi", "--max-tokens", "2", "--threads", "1"))
    answer = subprocess.run(
        ["unshare", "--net", "--map-root-user", "sh", "-c", f"ip link set lo up; exec {words}"],
        env=home.environment(HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="socks5://127.0.0.1:9"),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stderr.count(b"error")) == (0, 0)
    assert answer.stdout.strip()
