"""The speed model against the real engine on this machine's processor: one thread, generation.

Main memory is measured with one processor first (the engine runs with one thread), then the engine generates
behind a short and behind a long prompt. Its speed is tokens over its own processor time, so that other
programs on a busy machine do not count.

Run: `taskset -c 0 .venv-test/bin/python benchmarks/plan_here.py MODEL`
"""

from __future__ import annotations

import http.client
import json
import mmap
import os
import socket
import subprocess
import sys
import time

from bringup.machine.live import LiveMachine
from bringup.model.shards import read_split
from bringup.model.source import BufferSource
from bringup.plan.anatomy import Anatomy, take_apart
from bringup.plan.place import Placement
from bringup.plan.predict import predict
from bringup.plan.rates import host_device, host_rates
from bringup.plan.request import CPU, Request
from bringup.plan.run import make_run
from bringup.stack.memory_rate import measure_memory

PROGRAM = os.path.join(os.path.dirname(sys.executable), "bringup")
N_TOKENS = 48
N_CTX = 2048
WORDS = (12, 1400)
"""Words of the short and the long prompt; one word is about one token."""


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processor_s(pid: int) -> float:
    """Processor time of a process and all below it so far, in seconds."""
    parents, times = {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(name)] = int(fields[1])
        times[int(name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    ours, grew = {pid}, True
    while grew:
        more = {one for one, parent in parents.items() if parent in ours} - ours
        ours, grew = ours | more, bool(more)
    return sum(times.get(one, 0.0) for one in ours)


def ask(port: int, words: int, n_tokens: int) -> dict[str, float]:
    """One completion; the engine's own timings."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    prompt = " ".join(["one", "two", "three", "four"][i % 4] for i in range(words))
    body = json.dumps(
        {"prompt": prompt, "n_predict": n_tokens, "ignore_eos": True, "cache_prompt": True, "temperature": 0}
    )
    connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    return dict(answer["timings"])


def anatomy_of(path: str) -> Anatomy:
    """The model's header."""
    with open(path, "rb") as file:
        source = BufferSource(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), name=path)
        return take_apart(read_split((path,), lambda _: source))


def wait_for(port: int, limit_s: float) -> None:
    """Until the engine is ready."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise SystemExit("the engine did not become ready")


def main() -> int:
    """Measure, predict, print."""
    path = os.path.abspath(sys.argv[1])
    rates = host_rates(measured=measure_memory(LiveMachine()), n_cores=1)
    anatomy = anatomy_of(path)
    figures = anatomy.architecture
    run = make_run(Request(n_ctx=N_CTX), n_ctx=N_CTX, n_swa=figures.n_swa, flash_attention=True)
    placement = Placement((CPU,) * len(anatomy.layers), CPU)
    port = free_port()
    argv = [
        PROGRAM,
        "serve",
        path,
        "--threads",
        "1",
        "--ctx-size",
        str(N_CTX),
        "--port",
        str(port),
        "--no-key",
    ]
    server = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    print(f"main memory {rates.bandwidth_bytes_per_s / 1e9:.1f} GB/s ({rates.origin.value})")
    try:
        wait_for(port, 120)
        for words in WORDS:
            n_past = int(ask(port, words, 1)["prompt_n"])
            before = processor_s(server.pid)
            ask(port, words, N_TOKENS)
            measured = N_TOKENS / (processor_s(server.pid) - before)
            told = predict(
                anatomy, placement, run, (host_device(rates),), n_prompt=1, n_past=n_past
            ).generation_tokens_per_s
            inside = "inside" if told.low <= measured <= told.high else "outside"
            print(
                f"behind {n_past} tokens: measured {measured:.1f} tokens/s, predicted {told.value:.1f} "
                f"({told.low:.1f} to {told.high:.1f}): {inside} the band"
            )
    finally:
        server.terminate()
        server.wait(timeout=30)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
