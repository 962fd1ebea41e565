"""What `bringup` adds to the engine: `run`, `serve` and the server module against the engine by hand.

Run: `.venv-test/bin/python benchmarks/run_overhead.py MODEL [ROUNDS] [LLAMA_SERVER]`. Time to first token
is taken from the start of the outermost process to the first piece of the answer, tokens per second from the
engine's own timings. Rounds of all ways are interleaved, so that a busy machine slows them alike. Aims: at
most 200 ms more to the first token, at least 0.98 of the tokens per second.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bringup.engine.answers import ContentDelta, Finished
from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings, arguments, parameters
from bringup.engine.environment import clean_environment
from bringup.engine.start import start_engine

AIM_MORE_MS = 200.0
AIM_RATIO = 0.98
N_CTX = 2048
N_TOKENS = 64
PROMPT = "Explain in one paragraph why the sky is blue."
PROGRAM = os.path.join(os.path.dirname(sys.executable), "bringup")
BY_HAND = """
import json, signal, sys, xllamacpp
from bringup.engine.embedded import set_parameters
p = xllamacpp.CommonParams()
set_parameters(xllamacpp, p, json.loads(sys.argv[1]))
server = xllamacpp.Server(p)
signal.pause()
"""


@dataclass(frozen=True)
class Sample:
    """One answer: milliseconds to its first piece, tokens per second."""

    first_ms: float
    tokens_per_s: float


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask_raw(port: int, key: str | None, started: float) -> Sample:
    """One streamed chat with the standard library alone; waits for the engine as a shell script would."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/health")
            is_ready = connection.getresponse().status == 200
        except OSError:
            is_ready = False
        connection.close()
        if is_ready:
            break
        time.sleep(0.01)
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": N_TOKENS, "stream": True,
            "temperature": 0, "ignore_eos": True}  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    first = 0.0
    rate = 0.0
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if not first and any(choice["delta"].get("content") for choice in chunk["choices"]):
            first = (time.perf_counter() - started) * 1000
        rate = chunk.get("timings", {}).get("predicted_per_second", rate)
    connection.close()
    return Sample(first, rate)


@contextmanager
def process(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block."""
    running = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        running.terminate()
        running.wait()
        assert running.stdout is not None
        running.stdout.close()


def by_hand(build: EngineBuild, settings: EngineSettings) -> Sample:
    """The engine itself, with the very settings that `bringup` gives it."""
    wanted = replace(settings, port=free_port())
    if build.is_external:
        argv = [build.path, *arguments(wanted)]
    else:
        argv = [sys.executable, "-c", BY_HAND, json.dumps(parameters(wanted))]
    started = time.perf_counter()
    with process(argv):
        return ask_raw(wanted.port, None, started)


def by_module(build: EngineBuild, settings: EngineSettings) -> Sample:
    """`engine.server` inside this process."""
    wanted = replace(settings, port=free_port())
    environment = clean_environment(os.environ, is_external=build.is_external).variables
    started = time.perf_counter()
    first = 0.0
    with tempfile.TemporaryDirectory() as folder:
        log_path = os.path.join(folder, "log")
        with start_engine(build, wanted, log_path=log_path, environment=environment) as engine:
            engine.wait_ready()
            messages = [{"role": "user", "content": PROMPT}]
            for event in engine.api().chat(messages, max_tokens=N_TOKENS, temperature=0, ignore_eos=True):
                if isinstance(event, ContentDelta) and not first:
                    first = (time.perf_counter() - started) * 1000
    assert isinstance(event, Finished) and event.timings is not None
    return Sample(first, event.timings.predicted_per_second or 0.0)


def options(build: EngineBuild, settings: EngineSettings) -> list[str]:
    """The same settings as options of the command."""
    engine = build.path if build.is_external else "embedded"
    return ["--ctx-size", str(N_CTX), "--threads", str(settings.n_threads), "--engine", engine]


def by_serve(build: EngineBuild, settings: EngineSettings) -> Sample:
    """`bringup serve` in front, asked over HTTP."""
    port = free_port()
    argv = [PROGRAM, "serve", settings.model_path, "--no-key", "--port", str(port), *options(build, settings)]
    started = time.perf_counter()
    with process(argv):
        return ask_raw(port, None, started)


def by_run(build: EngineBuild, settings: EngineSettings) -> Sample:
    """`bringup run --prompt`: the first byte on stdout; the rate is of a second run with --json."""
    argv = [PROGRAM, "run", settings.model_path, "--prompt", PROMPT, "--max-tokens", str(N_TOKENS)]
    argv += ["--temperature", "0", *options(build, settings)]
    started = time.perf_counter()
    with process(argv) as running:
        assert running.stdout is not None
        select.select([running.stdout], [], [], 60)
        first = (time.perf_counter() - started) * 1000
        running.stdout.read()
    told = subprocess.run([*argv, "--json"], capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    return Sample(first, float(json.loads(told)["timings"]["predicted_tokens_per_s"]))


WAYS: dict[str, Callable[[EngineBuild, EngineSettings], Sample]] = {
    "by hand": by_hand,
    "server module": by_module,
    "bringup serve": by_serve,
    "bringup run": by_run,
}


def main(model: str, rounds: int, llama_server: str | None) -> int:
    """Measure, print, and say whether the aims were met."""
    kind = EngineKind.EXTERNAL if llama_server else EngineKind.EMBEDDED
    build = EngineBuild(kind, llama_server or "", "", "given")
    settings = EngineSettings(
        model_path=os.path.abspath(model), alias="measured", port=1, n_ctx=N_CTX, n_threads=1
    )
    samples: dict[str, list[Sample]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name, way in WAYS.items():
            sample = way(build, settings)
            if number:  # the first round fills the page cache
                samples[name].append(sample)
    hand = samples["by hand"]
    is_met = True
    print(f"{kind.value} engine, medians of {rounds} interleaved rounds, counted from the process's start")
    for name, found in samples.items():
        first_ms = statistics.median(s.first_ms for s in found)
        rate = statistics.median(s.tokens_per_s for s in found)
        more_ms = first_ms - statistics.median(s.first_ms for s in hand)
        ratio = rate / statistics.median(s.tokens_per_s for s in hand)
        is_met &= more_ms <= AIM_MORE_MS and ratio >= AIM_RATIO
        first = f"first token {first_ms:7.0f} ms ({more_ms:+5.0f})"
        print(f"{name:14} {first}   {rate:6.1f} tokens/s (ratio {ratio:.3f})")
    aims = f"at most {AIM_MORE_MS:.0f} ms more, ratio at least {AIM_RATIO}"
    print("aims met" if is_met else f"aims missed: {aims}")
    return 0 if is_met else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], int((*sys.argv[2:3], "7")[0]), (*sys.argv[3:4], None)[0]))
