"""A real engine from start to stop: ready, facts, chat, a full window, no key, cut off, logs."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.stubs.ports import free_port

from bringup.engine.answer_errors import ContextFull, EngineGone, RequestRefused, StreamCutOff, Unauthorized
from bringup.engine.answers import ContentDelta, Finished
from bringup.engine.api import EngineApi
from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.engine.exits import EngineStopped, ExitKind, ExitReason
from bringup.engine.loading import LoadProgress, LoadWatch, StallLimits
from bringup.engine.server import RunningEngine
from bringup.engine.start import start_engine
from bringup.machine.process import command_line, identity_of, is_alive
from bringup.machine.sockets import is_port_free

MakeEnvironment = Callable[..., dict[str, str]]
Start = Callable[..., RunningEngine]
ROUTES = (
    *(("GET", path) for path in (
        "/", "/props", "/slots", "/metrics", "/models", "/v1/models", "/lora-adapters", "/index.html",
    )),
    *(("POST", path) for path in (
        "/v1/chat/completions", "/completion", "/v1/completions", "/tokenize", "/detokenize", "/infill",
        "/apply-template", "/v1/messages", "/v1/responses", "/embedding", "/v1/embeddings", "/rerank",
        "/props", "/slots/0?action=erase", "/api/chat", "/v1/messages/count_tokens",
    )),
)  # fmt: skip
HELLO = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def start(
    settings: EngineSettings, environment: MakeEnvironment, log_path: str
) -> Callable[..., RunningEngine]:
    def begin(
        build: EngineBuild, *, variables: dict[str, str] | None = None, **changes: object
    ) -> RunningEngine:
        wanted = replace(settings, **changes)  # type: ignore[arg-type]
        return start_engine(build, wanted, log_path=log_path, environment=environment(**(variables or {})))

    return begin


def test_an_engine_from_start_to_stop(
    start: Start, real: EngineBuild, settings: EngineSettings, log_path: str
) -> None:
    seen: list[LoadProgress] = []
    with start(real) as engine:
        info = engine.wait_ready(seen.append)
        assert (info.alias, info.n_ctx, info.n_slots) == ("smollm2", 1024, 1)
        assert info.model_path == settings.model_path
        assert seen and seen[-1].elapsed_s >= seen[0].elapsed_s
        api = engine.api()
        events = list(api.chat(HELLO, max_tokens=8, temperature=0))
        assert any(isinstance(event, ContentDelta) for event in events)
        end = events[-1]
        assert isinstance(end, Finished) and end.usage is not None and end.timings is not None
        assert end.finish_reason in ("stop", "length") and end.usage.completion_tokens <= 8
        again = list(api.chat(HELLO, max_tokens=8, temperature=0))[-1]
        assert isinstance(again, Finished) and again.timings is not None and again.timings.cached_tokens > 0
        assert [model.id for model in api.models()] == ["smollm2"]
        assert [slot.n_ctx for slot in api.slots()] == [1024]
        assert len(api.tokenize("hello there")) == 2
        assert api.apply_template(HELLO).endswith("<|im_start|>assistant\n")
        identity, keeper = engine.identity, engine.keeper_identity
        assert identity is not None and keeper is not None and engine.poll() is None
        reason = engine.stop()
    assert reason.kind is ExitKind.STOPPED and engine.poll() is reason
    assert not is_alive(identity) and not is_alive(keeper) and is_port_free(engine.port)
    assert "listening" in Path(log_path).read_text()


def test_a_full_window_is_said_with_its_figures(start: Start, real: EngineBuild) -> None:
    with start(real) as engine:
        engine.wait_ready()
        with pytest.raises(ContextFull) as caught:
            list(engine.api().chat([{"role": "user", "content": "word " * 1500}]))
    assert caught.value.n_ctx == 1024 and (caught.value.n_prompt_tokens or 0) > 1500


def test_only_health_answers_without_the_key(
    start: Start, real: EngineBuild, settings: EngineSettings
) -> None:
    with start(real, metrics=True) as engine:
        engine.wait_ready()
        for key in (None, "wrong", "bringup-"):
            for origin in (None, "http://evil.example", "null", "http://localhost:1"):
                assert EngineApi(engine.base_url, key).health()
                for method, path in ROUTES:
                    status, headers, body = ask(engine.port, method, path, key=key, origin=origin)
                    assert status in (401, 404), (method, path, status)
                    assert b"smollm" not in body.lower() and settings.model_path.encode() not in body
                    allowed = headers.get("access-control-allow-origin")
                    assert allowed in (None, "", "http://localhost:1"), (path, allowed)
        with pytest.raises(Unauthorized):
            EngineApi(engine.base_url, "wrong").info()
        key = Path(settings.api_key_file or "").read_text().strip()
        assert not any(key in word for pid in engine_tree(engine) for word in command_line(pid) or ())
        assert key not in Path(engine.log_path).read_text()
        for address in own_addresses():
            with pytest.raises(OSError), socket.create_connection((address, engine.port), timeout=1):
                pass


def killers() -> list[dict[str, object]]:
    """Request bodies that ended, hung or misled llama.cpp's server once, or look as if they could."""
    nested: object = {"type": "string"}
    deep_list: object = 1
    for _ in range(300):
        nested = {"type": "object", "properties": {"a": nested}, "required": ["a"]}
        deep_list = [deep_list]
    tool = {"type": "function", "function": {"name": "x", "parameters": nested}}
    odd: list[dict[str, object]] = [
        {"grammar": "root ::= " + "(" * 5000 + '"a"' + ")" * 5000},
        {"grammar": "root ::= root root"},
        {"grammar": 'root ::= "a"{1000000000}'},
        {"json_schema": nested},
        {"json_schema": {"type": "string", "pattern": "^(" * 2000 + "a" + ")" * 2000 + "$"}},
        {"json_schema": {"$ref": "#"}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": nested}}},
        {"tools": [tool] * 50},
        {"n_discard": -5, "n_keep": -9},
        {"n_predict": -(2**63)},
        {"n_probs": 10**9},
        {"logit_bias": [[10**9, 1]]},
        {"id_slot": -99999},
        {"lora": [{"id": 10**9, "scale": 1}]},
        {"samplers": ["x"] * 10000},
        {"stop": ["x" * 1000] * 1000},
        {"dry_sequence_breakers": []},
        {"mirostat": 99, "temperature": -1e308},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]},
        {"messages": deep_list},
    ]  # fmt: skip
    return [{"messages": HELLO, "prompt": "x", "max_tokens": 4, **body} for body in odd]


def test_killer_requests_do_not_get_past_the_key(start: Start, real: EngineBuild) -> None:
    assert len(killers()) == 20
    with start(real) as engine:
        engine.wait_ready()
        for body in killers():
            for path in ("/v1/chat/completions", "/completion"):
                status, _, _ = ask(engine.port, "POST", path, key=None, origin=None, body=body)
                assert status == 401
        assert engine.poll() is None and engine.api().info().alias == "smollm2"


def ask(
    port: int, method: str, path: str, *, key: str | None, origin: str | None, body: object = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", "Host": "evil.example"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    headers |= {"Origin": origin} if origin else {}
    try:
        data = json.dumps(body or {}).encode() if method == "POST" else None
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def engine_tree(engine: RunningEngine) -> list[int]:
    keeper = engine.keeper_identity
    return [pid for pid in (engine.pid, keeper.pid if keeper else None) if pid is not None]


def own_addresses() -> list[str]:
    found = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    return [address for address in found if "." in address]


def test_a_wrong_request_is_refused_in_the_engine_s_words(start: Start, embedded: EngineBuild) -> None:
    with start(embedded) as engine:
        engine.wait_ready()
        with pytest.raises(RequestRefused) as caught:
            list(engine.api().chat([{"role": "nobody"}]))
        assert caught.value.context


def test_an_engine_killed_in_an_answer_cuts_it_off(start: Start, real: EngineBuild) -> None:
    with start(real) as engine:
        engine.wait_ready()
        answer = engine.api().chat(HELLO, max_tokens=600, ignore_eos=True)
        while not isinstance(next(answer), ContentDelta):
            pass
        os.kill(engine.pid or 0, signal.SIGKILL)
        with pytest.raises(StreamCutOff):
            list(answer)
        assert wait_end(engine).kind is ExitKind.KILLED
        with pytest.raises(EngineGone):
            engine.api().info()


def wait_end(engine: RunningEngine) -> ExitReason:
    until = time.monotonic() + 60
    while (reason := engine.poll()) is None and time.monotonic() < until:
        time.sleep(0.01)
    assert reason is not None
    return reason


def test_closing_an_answer_frees_the_slot(
    start: Start, embedded: EngineBuild, settings: EngineSettings, tmp_path: Path
) -> None:
    """The model's file has a name that is no UTF-8, which the embedded engine's library does not take."""
    model = tmp_path / "caf\udce9.gguf"
    model.symlink_to(settings.model_path)
    with start(embedded, model_path=str(model)) as engine:
        engine.wait_ready()
        answer = engine.api().chat(HELLO, max_tokens=900, ignore_eos=True)
        while not isinstance(next(answer), ContentDelta):
            pass
        assert engine.api().slots()[0].is_processing
        answer.close()  # type: ignore[attr-defined]
        until = time.monotonic() + 60
        while engine.api().slots()[0].is_processing:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_stranger_on_the_port_is_never_taken_for_the_engine(
    start: Start, embedded: EngineBuild, fake: EngineBuild, settings: EngineSettings
) -> None:
    """The stranger answers health and props like an engine; our key must not reach it either."""
    stranger = subprocess.Popen(
        [fake.path, "--port", str(settings.port), "--alias", "stranger"], env=dict(os.environ)
    )
    try:
        while is_port_free(settings.port):
            time.sleep(0.02)
        with start(embedded) as engine, pytest.raises(EngineStopped) as caught:
            engine.wait_ready()
        assert caught.value.reason.kind is ExitKind.PORT_TAKEN
        assert caught.value.reason.reference == "port-in-use"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_stalled_start_is_ended_and_named(start: Start, fake: EngineBuild) -> None:
    with start(fake, variables={"FAKE": '{"stall_s": 60}'}) as engine:
        began = time.monotonic()
        with pytest.raises(EngineStopped) as caught:
            engine.wait_ready(limits=StallLimits(idle_s=1.0))
    assert caught.value.reason.kind is ExitKind.STALLED and "no log line" in caught.value.reason.cause
    assert time.monotonic() - began < 50


def test_a_load_that_only_computes_is_given_up_at_last(tmp_path: Path) -> None:
    """CPU time is a sign of life for long, and not for ever: no log line and no byte of the model comes."""
    log = tmp_path / "log"
    log.write_text("loading\n")
    watch = LoadWatch()
    watch.look(os.getpid(), str(log))
    assert watch.stalled(StallLimits()) is None
    stall = watch.stalled(StallLimits(busy_s=-1.0))
    assert stall is not None
    assert (stall.reference, stall.why.split()[0]) == ("engine-stalled", "busy")


def test_an_endless_template_is_ended_and_named(
    start: Start, embedded: EngineBuild, small_model: Path, tmp_path: Path
) -> None:
    """llama.cpp renders the model's template once before it is ready; this one loops for years."""
    data = small_model.read_bytes()
    at = data.index(b"{% for message in messages %}")
    size = int.from_bytes(data[at - 8 : at], "little")
    loops = b"".join(b"{% for x in range(100000) %}" for _ in range(4)) + b"{% endfor %}" * 4
    path = tmp_path / "model.gguf"
    path.write_bytes(data[:at] + loops.ljust(size) + data[at + size :])
    with start(embedded, model_path=str(path)) as engine, pytest.raises(EngineStopped) as caught:
        engine.wait_ready(limits=StallLimits(template_s=2.0))
    assert caught.value.reason.reference == "chat-template-failed"
    assert caught.value.reason.kind is ExitKind.STALLED


def test_a_slow_start_is_waited_for(start: Start, fake: EngineBuild) -> None:
    with start(fake, variables={"FAKE": '{"loading_s": 1.5}'}) as engine:
        assert engine.wait_ready(limits=StallLimits(idle_s=30.0)).alias == "smollm2"


def test_the_log_of_the_run_before_is_kept_and_not_judged(
    start: Start, fake: EngineBuild, log_path: str
) -> None:
    bad = {"FAKE": '{"print": "E error loading model: unknown model architecture: \'x\'\\n", "exit": 1}'}
    with start(fake, variables=bad) as engine, pytest.raises(EngineStopped) as first:
        engine.wait_ready()
    assert first.value.reason.reference == "model-architecture-unknown"
    with start(fake, variables={"FAKE": '{"exit": 3}'}) as engine, pytest.raises(EngineStopped) as second:
        engine.wait_ready()
    assert second.value.reason.kind is ExitKind.FAILED and second.value.reason.exit_code == 3
    assert "unknown model" in Path(log_path + ".previous").read_text()


def test_an_engine_started_in_a_thread_outlives_the_thread(start: Start, fake: EngineBuild) -> None:
    started: list[RunningEngine] = []
    thread = threading.Thread(target=lambda: started.append(start(fake)))
    thread.start()
    thread.join()
    with started[0] as engine:
        engine.wait_ready()
        time.sleep(0.5)
        assert engine.poll() is None


def test_a_memory_limit_is_felt(settings: EngineSettings, embedded: EngineBuild, environment: MakeEnvironment,
                                log_path: str) -> None:  # fmt: skip
    engine = start_engine(
        embedded, settings, log_path=log_path, environment=environment(), memory_limit_bytes=150 * 1024**2
    )
    with engine, pytest.raises(EngineStopped) as caught:
        engine.wait_ready()
    assert caught.value.reason.kind is ExitKind.OUT_OF_MEMORY


def test_the_engine_s_environment_is_what_was_given(
    start: Start, fake: EngineBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "77")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with start(fake) as engine:
        engine.wait_ready()
        data = Path(f"/proc/{engine.pid}/environ").read_bytes()
    assert b"LLAMA_ARG" not in data and b"PROXY" not in data and b"PATH=" in data


def test_no_descriptor_of_ours_reaches_the_engine(start: Start, fake: EngineBuild) -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    with start(fake) as engine:
        engine.wait_ready()
        links = open_files(engine.pid or 0)
        pipe = os.readlink(f"/proc/self/fd/{write_end}")
    os.close(read_end)
    os.close(write_end)
    assert links and pipe not in links


def open_files(pid: int) -> list[str]:
    """What a living process holds open; a descriptor that it closes meanwhile is passed over."""
    links: list[str] = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return links


def test_ten_starts_at_once_give_ten_engines(
    settings: EngineSettings, fake: EngineBuild, environment: MakeEnvironment, tmp_path: Path
) -> None:
    engines = [
        start_engine(
            fake,
            replace(settings, port=free_port()),
            log_path=str(tmp_path / f"{n}.log"),
            environment=environment(),
        )
        for n in range(10)
    ]
    try:
        assert {engine.wait_ready().alias for engine in engines} == {"smollm2"}
        assert len({engine.port for engine in engines}) == 10
    finally:
        for engine in engines:
            engine.stop()


def test_the_keeper_is_light() -> None:
    """It is started before each engine: its imports are counted, not its milliseconds."""
    code = "import sys, bringup.engine.keeper; print(len(sys.modules)); print(*sorted(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    heavy = {
        "rich",
        "click",
        "httpx",
        "asyncio",
        "http.client",
        "ssl",
        "xllamacpp",
        "platformdirs",
        "logging",
    }
    assert not heavy & set(told.split())


def test_an_identity_is_more_than_a_number() -> None:
    me = identity_of(os.getpid())
    assert me is not None and is_alive(me)
    assert not is_alive(replace(me, start_ticks=me.start_ticks + 1))
    assert not is_alive(replace(me, boot_id="another"))
