"""Loads files with the real engine, in children that may die: run as a program it is that child.

The child answers each path on its standard input with one line: `loaded` (after it has also generated two
tokens) or `error: reason`. A child that dies gives no line; the parent notes how it died and starts another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 20


@dataclass(frozen=True)
class Outcome:
    """How a load ended: `loaded`, `error` (an exception of the engine) or `died`, and what was said last."""

    kind: str
    text: str


def try_files(paths: Sequence[Path]) -> list[Outcome]:
    """Outcome of each file."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(paths):
        outcomes += _run_child(paths[len(outcomes) :])
    return outcomes


def _run_child(paths: Sequence[Path]) -> list[Outcome]:
    """Outcomes up to the first death, that one included."""
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    child = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    outcomes: list[Outcome] = []
    try:
        for path in paths:
            child.stdin.write(f"{path}\n")
            child.stdin.flush()
            line = child.stdout.readline()
            if not line:
                code = child.wait(timeout=_TIMEOUT_S)
                return [*outcomes, Outcome("died", f"exit {code}")]
            answer = json.loads(line)
            outcomes.append(Outcome(answer["kind"], answer["text"]))
        return outcomes
    except BrokenPipeError:
        return [*outcomes, Outcome("died", f"exit {child.wait(timeout=_TIMEOUT_S)}")]
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def _load(path: str) -> tuple[str, str]:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 256
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = 1
    try:
        server = xllamacpp.Server(parameters)
        answer = server.handle_completions({"prompt": "ab", "n_predict": 2, "stream": False})
    except Exception as problem:  # noqa: BLE001 - whatever the binding makes of a C++ exception
        return "error", str(problem)[:200]
    return ("loaded", "") if "choices" in answer else ("error", json.dumps(answer)[:200])


def _main() -> None:
    # The engine writes its log to file descriptor 1 too: answers go to a copy, the log nowhere.
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    for line in sys.stdin:
        kind, text = _load(line.strip())
        answers.write(json.dumps({"kind": kind, "text": text}) + "\n")
        answers.flush()
    os._exit(0)


if __name__ == "__main__":
    _main()
