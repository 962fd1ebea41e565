"""Proof of an engine; what it says of itself is not enough.

A real model is loaded, a known question answered on the device that it claims, and requests that have ended
engines before are survived or refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bringup.engine.answers import ContentDelta
from bringup.engine.build import EngineBuild, embedded_argv
from bringup.engine.command import EngineSettings
from bringup.engine.exits import EngineStopped
from bringup.engine.killer_requests import KillerRequest, killer_requests
from bringup.engine.server import RunningEngine
from bringup.engine.source_build import Backend
from bringup.engine.start import start_engine
from bringup.errors import EngineError
from bringup.machine import files, sockets
from bringup.machine.commands import run_bounded
from bringup.machine.http import Endpoint, HttpTrouble, request
from bringup.records import dataclass

QUESTION: Final = "What is the capital of France? Answer with one word."
EXPECTED: Final = "Paris"
_N_CTX: Final = 1024
_ALL_LAYERS: Final = 999
_ANSWER_TOKENS: Final = 24
_REQUEST_S: Final = 300.0
"""A limit for engines that hang, far beyond what an answer takes on a machine with other work."""
_LIST_S: Final = 30.0
_DEATH_S: Final = 2.0
_LOG_LIMIT_BYTES: Final = 8 * 1024**2
# load_tensors: offloaded 31/31 layers to GPU
_OFFLOADED: Final = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")
#   CUDA0: NVIDIA GeForce RTX 3080 Ti (12036 MiB, 11800 MiB free)
_DEVICE: Final = re.compile(r"^\s*((CUDA|Vulkan|ROCm|SYCL|Metal)\d+): (.{1,200})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen of a build that passed.

    Attributes:
        version: the engine's own word for its build.
        devices: graphics cards that it lists, `CUDA0: NVIDIA ...`.
        layers_on_gpu: layers of the model on the card.
        layers: all layers of the model; 0 where the log does not say (no card).
        answer: to the known question.
        tokens_per_s: of that answer; `None` when the engine did not say.
        ready_s: time to load the small model.
        survived: names of the requests that it survived or refused with the key.
        refused: names of those that are known to end it and that the key kept out.
    """

    version: str
    devices: tuple[str, ...]
    layers_on_gpu: int
    layers: int
    answer: str
    tokens_per_s: float | None
    ready_s: float
    survived: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProofJob:
    """What is proved, and with what.

    Attributes:
        build: the engine.
        backend: what it claims to compute on.
        model_path: a small chat model.
        key_file: file with the key; without a key nothing keeps the worst requests out.
        environment: of the engine.
        log_path: of the engine.
        n_threads: threads.
    """

    build: EngineBuild
    backend: Backend
    model_path: str
    key_file: str
    environment: dict[str, str]
    log_path: str
    n_threads: int = 1


def prove(job: ProofJob, on_step: Callable[[str], None]) -> Proof:
    """Prove a build.

    Raises:
        EngineStopped: it does not start, or ends; the reason is the log's.
        EngineError: it answers wrongly, or not on the device that it claims.
    """
    on_step("listing its devices")
    devices = list_devices(job.build, environment=job.environment)
    check_devices(job.backend, devices, why=lambda: why_none(job.build, environment=job.environment))
    on_step("loading a real model")
    with _started(job) as engine:
        ready_s, version = _wait(engine)
        layers_on_gpu, layers = read_offload(_log(job.log_path))
        check_offload(job.backend, layers_on_gpu, layers)
        on_step("asking a known question")
        answer, rate = _ask(engine)
        survived, refused = _attack(engine, on_step)
        on_step("asking again")
        again, _ = _ask(engine)
    if again != answer:
        raise EngineError(
            "the same question got another answer after the hard requests",
            context=(f"before: {answer!r}", f"after: {again!r}"),
            reference="engine-answers-wrong",
        )
    return Proof(version, devices, layers_on_gpu, layers, answer, rate, ready_s, survived, refused)


def list_devices(build: EngineBuild, *, environment: dict[str, str]) -> tuple[str, ...]:
    """Graphics cards that a build sees.

    Raw lines: `Available devices:`, `  CUDA0: NVIDIA GeForce RTX 3080 Ti (12036 MiB, 11800 MiB free)`.
    """
    text = run_bounded(_listing(build), environment=environment, timeout_s=_LIST_S) or ""
    return tuple(f"{match[1]}: {match[3].strip()}" for match in _DEVICE.finditer(text))


def why_none(build: EngineBuild, *, environment: dict[str, str]) -> str:
    """The last words of a build that lists no device: the library that it misses, where it does not start.

    Raw line: `llama-server: error while loading shared libraries: libcuda.so.1: cannot open shared object`.
    """
    argv = _listing(build)
    if run_bounded(argv, environment=environment, timeout_s=_LIST_S) is not None:
        return "it lists no device at all"
    text = run_bounded(argv, environment=environment, timeout_s=_LIST_S, may_fail=True)
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return f"it does not start: {lines[-1]}" if lines else "it could not be asked for its devices"


def _listing(build: EngineBuild) -> tuple[str, ...]:
    return (build.path, "--list-devices") if build.is_external else embedded_argv(build, "--devices")


def check_devices(
    backend: Backend,
    devices: tuple[str, ...],
    why: Callable[[], str] = lambda: "it lists no device at all",
) -> None:
    """Refuse a build for a card that sees none; `why` is asked where it lists none at all.

    Raises:
        EngineError: it sees no device of the wanted kind.
    """
    if backend is Backend.CPU or any(one.lower().startswith(backend.value) for one in devices):
        return
    raise EngineError(
        f"this build was made for {backend.value.upper()} and sees no such device",
        context=tuple(f"it lists: {one}" for one in devices) or (why(),),
        hint="bringup doctor says what stands between the card and a program.",
        reference="running-on-cpu",
    )


def check_offload(backend: Backend, on_gpu: int, layers: int) -> None:
    """Refuse a build for a card that left layers of the small model on the CPU.

    Raises:
        EngineError: not all layers are on the card.
    """
    if backend is Backend.CPU or (layers and on_gpu == layers):
        return
    raise EngineError(
        f"only {on_gpu} of {layers or 'unknown'} layers of the small model are on the card",
        context=("expected: all of them, for it needs under 200 MiB",),
        hint="bringup doctor says what holds the card's memory.",
        reference="offload-partial",
    )


def read_offload(log: str) -> tuple[int, int]:
    """Layers on the card and all layers, by the engine's log; (0, 0) where it says neither."""
    found = _OFFLOADED.findall(log)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


def _started(job: ProofJob) -> RunningEngine:
    settings = EngineSettings(
        model_path=job.model_path,
        alias="proof",
        port=sockets.free_port(),
        n_ctx=_N_CTX,
        n_threads=job.n_threads,
        n_gpu_layers=None if job.backend is Backend.CPU else _ALL_LAYERS,
        api_key_file=job.key_file,
        cache_ram_mib=0,
    )
    return start_engine(job.build, settings, log_path=job.log_path, environment=job.environment)


def _wait(engine: RunningEngine) -> tuple[float, str]:
    times: list[float] = []
    info = engine.wait_ready(lambda progress: times.append(progress.elapsed_s))
    return (times[-1] if times else 0.0), info.build


def _ask(engine: RunningEngine) -> tuple[str, float | None]:
    """The known question, always answered alike: the likeliest tokens, nothing from a cache."""
    api = engine.api(timeout_s=_REQUEST_S)
    said: list[str] = []
    rate = None
    messages = [{"role": "user", "content": QUESTION}]
    for event in api.chat(messages, temperature=0, max_tokens=_ANSWER_TOKENS, cache_prompt=False):
        if isinstance(event, ContentDelta):
            said.append(event.text)
        elif (timings := getattr(event, "timings", None)) is not None:
            rate = timings.predicted_per_second
    answer = "".join(said).strip()
    if EXPECTED.lower() not in answer.lower():
        raise EngineError(
            "the engine answers wrongly",
            context=(f"asked: {QUESTION}", f"expected: {EXPECTED}", f"answered: {answer[:200]!r}"),
            hint="Such a build computes garbage; build it anew, or for another architecture.",
            reference="engine-answers-wrong",
        )
    return answer, rate


def _attack(engine: RunningEngine, on_step: Callable[[str], None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Send the hard requests; after each the engine must still live and be healthy."""
    survived: list[str] = []
    refused: list[str] = []
    made = killer_requests()
    for number, killer in enumerate(made, 1):
        on_step(f"sending request {number} of {len(made)} that has ended engines: {killer.name}")
        _send(engine, killer)
        reason = engine.poll()
        if reason is not None:
            stopped = EngineStopped(reason)
            stopped.context = (f"after: {killer.name}", *stopped.context)
            raise stopped
        if not engine.api().health():
            raise EngineError("the engine is no longer healthy", context=(f"after: {killer.name}",))
        (refused if killer.is_only_kept_out else survived).append(killer.name)
    return tuple(survived), tuple(refused)


def _send(engine: RunningEngine, killer: KillerRequest) -> None:
    """With the key, so that it reaches the engine's depths; without it where nothing else protects."""
    key = None if killer.is_only_kept_out else engine.key
    endpoint = Endpoint("127.0.0.1", engine.port, key)
    try:
        answer = request(endpoint, "POST", killer.path, body=killer.body.encode(), timeout_s=_REQUEST_S)
    except HttpTrouble as problem:
        engine.wait_end(_DEATH_S)
        if engine.poll() is None:
            raise EngineError(
                "the engine did not answer a hard request",
                context=(f"request: {killer.name}", str(problem)),
                reference="engine-wedged",
            ) from problem
        return
    if killer.is_only_kept_out and answer.status != 401:
        raise EngineError(
            f"without the key, {killer.name} got HTTP {answer.status} instead of 401",
            hint="This build does not keep strangers out.",
            reference="auth-failed",
        )


def _log(path: str) -> str:
    return (files.read_small(path, limit_bytes=_LOG_LIMIT_BYTES) or b"").decode("utf-8", "replace")
