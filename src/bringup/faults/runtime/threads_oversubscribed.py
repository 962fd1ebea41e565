"""The engine computes with more threads than processor cores it may use.

Symptom: generation crawls (below one token per second) while all cores look busy and no line says why.
Reason: the threads of llama.cpp wait for each other many times for each token. If some of them have no
    core, because of a container quota, a job's share or hyper-threads, all the others wait for them.
Sources: https://github.com/ollama/ollama/issues/10814
    https://github.com/ggml-org/llama.cpp/blob/master/docs/development/token_generation_performance_tips.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need
from bringup.stack.engine_log import EngineLog
from bringup.units import parse_whole

SIGNS = (
    Sign(
        r"cplan requested more threads \(\d{1,10}\) than available",
        anchor="cplan requested more threads",
        example="cplan requested more threads (32) than available (16)",
    ),
    Sign(
        r"(?i)\bslow",
        anchor="slow",
        example="in a container limited with --cpus=2 generation is much slower than the quota should allow",
        certainty=Certainty.LIKELY,
        needs=("--cpus",),
        is_weak=True,
    ),
    Sign(
        r"(?i)\bslow",
        anchor="slow",
        example="generation is slow since the pod has a CPU quota",
        certainty=Certainty.LIKELY,
        needs=("cpu quota",),
        is_weak=True,
    ),
)

STEPS = (
    Step("See how many cores this process may use.", ("nproc",), safety=Safety.LOOK),
    Step(
        "Give as many threads as physical cores, or fewer: -t 8 (num_thread in ollama), within the"
        " quota of the container or job.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former number",
        verify=("bringup", "ps"),
    ),
)

_MANY_THREADS = 48
_QUOTAS = (
    (r"(?:--cpus[ =]|--cpus-per-task[ =]|SLURM_CPUS_PER_TASK=|cpus: ?['\"]?)(\d+(?:\.\d+)?)", "cpus", 1.0),
    (r"NanoCpus\"?: (\d+)", "nanocpus", 1e-9),
    (r"(?:^|[ =])(\d{4,8}) 100000\s*$", " 100000", 1e-5),
)
"""How a quota is printed: pattern, its anchor, and what makes cores of its number."""


def check(scene: Scene) -> Evidence | None:
    """Threads against the cores, the quota or the throttling that the text names."""
    throttled = scene.lines.search(r"nr_throttled (\d{3,})", anchor="nr_throttled")
    periods = scene.lines.search(r"nr_periods (\d+)", anchor="nr_periods")
    if throttled is not None and periods is not None and int(throttled[1][1]) * 5 > int(periods[1][1]):
        return _evidence(f"throttled in {throttled[1][1]} of {periods[1][1]} periods", Certainty.SURE)
    log = need(scene.stack.runtime.log)
    threads = (log.asked_threads or log.n_threads) if log is not None else None
    if log is None or threads is None or _is_all_on_gpu(log):
        return None
    allowed = _allowed_cores(scene)
    if allowed is not None and threads > allowed:
        return _evidence(f"{threads} threads, {allowed:g} cores may be used", Certainty.SURE)
    if log.n_cpus is not None and threads > log.n_cpus:
        return _evidence(f"{threads} threads on {log.n_cpus} logical processors", Certainty.SURE)
    if log.asked_threads and log.asked_threads >= _MANY_THREADS and not scene.lines.has("error"):
        return _evidence(f"{log.asked_threads} threads asked for", Certainty.LIKELY)
    return None


def _is_all_on_gpu(log: EngineLog) -> bool:
    """With all layers on the GPU the threads only hand out work, and their number hardly matters."""
    return log.offload is not None and log.offload.layers == log.offload.total


def _allowed_cores(scene: Scene) -> float | None:
    """Cores of a quota: `cpu.max` says `200000 100000`, docker `--cpus 2`, SLURM `--cpus-per-task=24`."""
    for pattern, anchor, scale in _QUOTAS:
        hit = scene.lines.search(pattern, anchor=anchor)
        if hit is not None:
            return float(hit[1][1]) * scale
    asked = scene.lines.search(r"(?:^|[$#>] )nproc\s*$", anchor="nproc")
    after = (line for line in scene.lines.lines if asked is not None and line.number > asked[0].number)
    told = next(after, None)
    cores = parse_whole(told.text.strip()) if told is not None else None
    return float(cores) if cores is not None else None


def _evidence(saw: str, certainty: Certainty) -> Evidence:
    return Evidence(
        saw=saw,
        expected="no more threads than cores that the engine may use",
        sources=("engine log",),
        certainty=certainty,
        decides="" if certainty is Certainty.SURE else "nproc",
        strength=4 if certainty is Certainty.SURE else 0,
    )
