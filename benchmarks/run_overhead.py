"""What `bringup` adds to the engine: `run`, `serve`, a chat, the server module against the engine by hand.

Run: `.venv-test/bin/python benchmarks/run_overhead.py MODEL [ROUNDS] [LLAMA_SERVER]`. All ways answer the
same question with the same settings, one thread and a fresh home; by hand is a script of a dozen lines with
the same parameters and nothing of ours in it. Each round takes the ways in another order, and each figure is
compared with the one by hand of its own round, so that a busy machine slows them alike; medians are told.

- first: milliseconds from the start of the outermost process to the first piece of the answer.
- rate: pieces a second as they arrive, from the first to the last; of a chat, whose lines are held back to be
  wrapped, the engine's own figure against the one by hand.
- processor: milliseconds of all processes until the first piece; then those of ours, without the engine's,
  for each further piece. A busy machine hardly changes them: they tell waiting from working.

Aims: at most 200 ms more to the first piece, at least 0.98 of the rate. A chat is told for its rate alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bringup.engine.answers import ContentDelta
from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings, arguments, parameters
from bringup.engine.embedded import set_parameters
from bringup.engine.environment import clean_environment
from bringup.engine.start import start_engine

AIM_MORE_MS = 200.0
AIM_RATIO = 0.98
N_CTX = 2048
N_TOKENS = 128
PROMPT = "Tell me a very long story about the sea, with many chapters."
PROGRAM = os.path.join(os.path.dirname(sys.executable), "bringup")
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Sample:
    """One answer.

    `spent_ms` is processor time of all until the first piece, `ours_ms` ours for each further one;
    `engine_rate` the engine's own figure, 0 where it is not told.
    """

    first_ms: float
    rate: float
    spent_ms: float
    ours_ms: float
    engine_rate: float = 0.0


class Answer:
    """Takes the pieces of one answer and the time of each."""

    def __init__(self, root: int) -> None:
        """`root` is the outermost process."""
        self._root = root
        self._started = time.perf_counter()
        self._before = processor_ms(root)
        self._times: list[float] = []
        self._at_first = self._before

    def piece(self) -> None:
        """One more piece has come."""
        self._times.append(time.perf_counter())
        if len(self._times) == 1:
            self._at_first = processor_ms(self._root)

    def __len__(self) -> int:
        return len(self._times)

    def end(self) -> Sample:
        """What was measured; called as soon as the last piece is there."""
        after = processor_ms(self._root)
        begun, n_further = self._times[0], len(self._times) - 1
        rate = n_further / (self._times[-1] - begun) if n_further else 0.0
        ours = (after[0] - after[1]) - (self._at_first[0] - self._at_first[1])
        spent = self._at_first[0] - self._before[0]
        return Sample((begun - self._started) * 1000, rate, spent, ours / max(1, n_further))


def processor_ms(root: int) -> tuple[float, float]:
    """Processor time of a process with all below it, and the part of the one that worked most: the engine."""
    found: dict[int, tuple[int, float, float]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{name}/stat").read_bytes().rsplit(b")", 1)[1].split()
            own, ended = (TICK_MS * (int(fields[at]) + int(fields[at + 1])) for at in (11, 13))
            found[int(name)] = (int(fields[1]), own, ended)
    family = {root}
    while more := {pid for pid, (parent, _, _) in found.items() if parent in family} - family:
        family |= more
    parts = [found[pid] for pid in family if pid in found]
    engine = max((found[pid][1] for pid in family & set(found) - {os.getpid()}), default=0.0)
    return sum(own + ended for _, own, ended in parts), engine


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, answer: Answer) -> Sample:
    """One streamed chat with the standard library alone; waits for the engine as a shell script would."""
    open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    base = f"http://127.0.0.1:{port}"
    until = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError), open_url(f"{base}/health", timeout=PATIENCE_S):
            break
        assert time.monotonic() < until, "the engine does not come up"
        time.sleep(0.005)
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": N_TOKENS, "stream": True,
            "temperature": 0}  # fmt: skip
    question = urllib.request.Request(
        f"{base}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    rate = 0.0
    with open_url(question, timeout=PATIENCE_S) as lines:
        for line in lines:
            if line.startswith(b"data: {"):
                chunk = json.loads(line[6:])
                rate = chunk.get("timings", {}).get("predicted_per_second", rate)
                if any(choice["delta"].get("content") for choice in chunk["choices"]):
                    answer.piece()
            elif line.startswith(b"data: [DONE]"):
                return replace(answer.end(), engine_rate=rate)
    raise SystemExit("the answer was cut off")


@contextmanager
def process(
    argv: list[str], home: str, *, output: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with an empty home; ended with the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment |= {"HOME": home, "TERM": "xterm", "COLUMNS": "80", "PROMPT_TOOLKIT_NO_CPR": "1"}
    terminal = subprocess.DEVNULL if output in (subprocess.PIPE, subprocess.DEVNULL) else output
    errors = subprocess.DEVNULL if terminal == subprocess.DEVNULL else output
    running = subprocess.Popen(argv, stdin=terminal, stdout=output, stderr=errors, env=environment)
    try:
        yield running
    finally:
        running.terminate()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()


class Recorder:
    """Takes assignments, also to attributes of attributes, as lines of a script."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.__dict__.update(_name=name, _lines=lines)

    def __getattr__(self, name: str) -> Recorder:
        return Recorder(f"{self._name}.{name}", self._lines)

    def __setattr__(self, name: str, value: object) -> None:
        self._lines.append(f"{self._name}.{name} = {value!r}")

    def __repr__(self) -> str:
        return str(self._name)


def script(settings: EngineSettings) -> str:
    """What a person would write to serve a model with these settings."""
    lines = ["import signal, xllamacpp", "p = xllamacpp.CommonParams()"]
    names: Any = Recorder("xllamacpp", lines)
    set_parameters(names, Recorder("p", lines), parameters(settings))
    return "\n".join([*lines, "server = xllamacpp.Server(p)", "signal.pause()"])


def by_hand(build: EngineBuild, settings: EngineSettings, home: str) -> Sample:
    """The engine itself, with the very settings that `bringup` gives it."""
    wanted = replace(settings, port=free_port())
    alone = [sys.executable, "-I", "-c", script(wanted)]
    with process([build.path, *arguments(wanted)] if build.is_external else alone, home) as running:
        return ask(wanted.port, Answer(running.pid))


def by_module(build: EngineBuild, settings: EngineSettings, home: str) -> Sample:
    """`engine.start` inside this process."""
    wanted = replace(settings, port=free_port())
    environment = clean_environment(os.environ, is_external=build.is_external).variables
    answer = Answer(os.getpid())
    log_path = os.path.join(home, "log")
    with start_engine(build, wanted, log_path=log_path, environment=environment) as engine:
        engine.wait_ready()
        messages = [{"role": "user", "content": PROMPT}]
        for event in engine.api().chat(messages, max_tokens=N_TOKENS, temperature=0):
            if isinstance(event, ContentDelta):
                answer.piece()
        return answer.end()


def command(name: str, build: EngineBuild, settings: EngineSettings, *more: str) -> list[str]:
    """A command of ours with the same settings as options."""
    engine = build.path if build.is_external else "embedded"
    options = ["--ctx-size", str(N_CTX), "--threads", str(settings.n_threads), "--engine", engine]
    return [PROGRAM, name, settings.model_path, *options, *more]


def by_serve(build: EngineBuild, settings: EngineSettings, home: str) -> Sample:
    """`bringup serve` in front, asked over HTTP."""
    port = free_port()
    with process(command("serve", build, settings, "--no-key", "--port", str(port)), home) as running:
        return ask(port, Answer(running.pid))


SAMPLING = ("--temperature", "0", "--max-tokens", str(N_TOKENS))


def by_run(build: EngineBuild, settings: EngineSettings, home: str) -> Sample:
    """`bringup run --prompt`: pieces as they come out of its stdout."""
    argv = command("run", build, settings, "--prompt", PROMPT, *SAMPLING)
    with process(argv, home, output=subprocess.PIPE) as running:
        answer = Answer(running.pid)
        assert running.stdout is not None
        ended = None
        while data := os.read(running.stdout.fileno(), 65536):
            if data.strip():
                answer.piece()
                continue
            ended = answer.end()  # the line end behind the last piece
        assert ended is not None
        return ended


def by_chat(build: EngineBuild, settings: EngineSettings, home: str) -> Sample:
    """A chat in a terminal, where Markdown is painted as it arrives."""
    master, slave = pty.openpty()
    with process(command("run", build, settings, *SAMPLING), home, output=slave) as running:
        os.close(slave)
        read_until(master, rb"Ctrl-D leaves.*>")
        while select.select([master], [], [], 0.5)[0]:
            os.read(master, 65536)
        answer = Answer(running.pid)
        os.write(master, PROMPT.encode() + b"\r")
        seen = b""
        while not (usage := re.search(rb"(\d+) tokens \S+ ([\d.]+) tokens/s", seen)):
            seen += os.read(master, 65536)
            answer.piece()
        told = answer.end()
    os.close(master)
    # It paints whole words: its own processor time is shared among the tokens, not among what was seen.
    ours_ms = told.ours_ms * len(answer) / int(usage[1])
    return replace(told, engine_rate=float(usage[2]), ours_ms=ours_ms)


def read_until(descriptor: int, pattern: bytes) -> bytes:
    """What a terminal shows until it matches."""
    seen, until = b"", time.monotonic() + PATIENCE_S
    while not re.search(pattern, seen, re.DOTALL):
        assert time.monotonic() < until, seen[-500:]
        if select.select([descriptor], [], [], 1.0)[0]:
            seen += os.read(descriptor, 65536)
    return seen


WAYS: dict[str, Callable[[EngineBuild, EngineSettings, str], Sample]] = {
    "by hand": by_hand,
    "server module": by_module,
    "bringup serve": by_serve,
    "bringup run": by_run,
    "chat": by_chat,
}


def main(model: str, rounds: int, llama_server: str | None) -> int:
    """Measure, print, and say whether the aims were met."""
    kind = EngineKind.EXTERNAL if llama_server else EngineKind.EMBEDDED
    build = EngineBuild(kind, llama_server or "", "", "given")
    settings = EngineSettings(
        model_path=os.path.abspath(model), alias="measured", port=1, n_ctx=N_CTX, n_threads=1
    )
    samples: dict[str, list[Sample]] = {name: [] for name in WAYS}
    names = list(WAYS)
    with tempfile.TemporaryDirectory() as home:
        for number in range(rounds + 1):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                sample = WAYS[name](build, settings, home)
                if number:  # the first round fills the page cache and the caches of a home
                    samples[name].append(sample)
    return report(kind.value, samples, rounds)


def report(kind: str, samples: dict[str, list[Sample]], rounds: int) -> int:
    """Print medians; 1 where an aim is missed."""
    hand = samples["by hand"]
    missed = []
    print(f"{kind} engine, medians of {rounds} interleaved rounds, counted from the process's start")
    print(
        f"{'way':15} first ms   more    rate  ratio {'processor ms until first':>29}    more   ours a piece"
    )
    for name, found in samples.items():
        pairs = list(zip(found, hand, strict=True))
        is_timed, column = (False, "engine_rate") if name == "chat" else (True, "rate")
        more = statistics.median(one.first_ms - base.first_ms for one, base in pairs)
        extra = statistics.median(one.spent_ms - base.spent_ms for one, base in pairs)
        ratio = statistics.median(getattr(one, column) / getattr(base, column) for one, base in pairs)
        first, rate, spent, ours = (
            statistics.median(getattr(one, figure) for one in found)
            for figure in ("first_ms", column, "spent_ms", "ours_ms")
        )
        times = f"{first:8.0f} {more:+6.0f}" if is_timed else f"{'-':>8} {'-':>6}"
        spending = f"{spent:.0f} {extra:+7.0f}" if is_timed else f"- {'-':>7}"
        print(f"{name:15} {times} {rate:7.1f} {ratio:6.3f} {spending:>37} {ours:14.2f}")
        if (is_timed and more > AIM_MORE_MS) or ratio < AIM_RATIO:
            missed.append(name)
    aims = f"at most {AIM_MORE_MS:.0f} ms more, ratio at least {AIM_RATIO}"
    print(f"aims missed by {', '.join(missed)}: {aims}" if missed else "aims met")
    return 1 if missed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], int((*sys.argv[2:3], "7")[0]), (*sys.argv[3:4], None)[0]))
