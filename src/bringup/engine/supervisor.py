"""A detached engine's supervisor: the process that `serve --detach` leaves behind.

Run as `python -m bringup.engine.supervisor`. It starts the engine again when that ends by itself, with
growing pauses, and gives up loudly: the record then says "failed" and why. SIGTERM ends the engine and it.
It has a session of its own, so no terminal matters to it. Its job comes at its stdin; a line before that may
tell it to have an engine's process wait for it (see `waiting`).
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, field
from typing import Final

from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings, FlashAttention, ReasoningFormat
from bringup.engine.exits import EngineStopped, ExitKind, ExitReason
from bringup.engine.registry import (
    EngineRecord,
    EngineState,
    read_record,
    remove_record,
    try_record,
    write_record,
)
from bringup.engine.restart import RestartPolicy, is_final
from bringup.engine.server import RunningEngine
from bringup.engine.start import start_engine
from bringup.engine.waiting import WaitingEngine, WaitingSupervisor, spawn_supervisor
from bringup.errors import BringupError, EngineError, FileTrouble
from bringup.machine import child, process
from bringup.machine.clock import monotonic_s, sleep_s, wall_s
from bringup.machine.folders import Folders
from bringup.reading import parse_json
from bringup.records import dataclass, replace

_LOOK_S: Final = 0.2
_APPEAR_S: Final = 10.0
_DISMISS_S: Final = 2.0
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class DetachedJob:
    """An engine that shall outlive us.

    Attributes:
        folders: where its record goes.
        build: which engine.
        settings: what with.
        log_path: its log.
        environment: its whole environment.
        memory_limit_bytes: bound of its private memory.
        model_texts: see `RunningEngine.distrust`.
        policy: when it is started again.
    """

    folders: Folders
    build: EngineBuild
    settings: EngineSettings
    log_path: str
    environment: dict[str, str]
    memory_limit_bytes: int | None = None
    model_texts: tuple[str, ...] = ()
    policy: RestartPolicy = field(default_factory=RestartPolicy)

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self), default=lambda member: member.value).encode() + b"\n"


def read_detached_job(line: bytes) -> DetachedJob:
    """The job of a line.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    given = parse_json(line)
    build, settings = given["build"], given["settings"]
    return DetachedJob(
        folders=Folders(**given["folders"]),
        build=EngineBuild(**{**build, "kind": EngineKind(build["kind"])}),
        settings=EngineSettings(
            **{
                **settings,
                "extra": tuple(settings["extra"]),
                "tensor_split": tuple(settings["tensor_split"]),
                "overrides": tuple((pattern, device) for pattern, device in settings["overrides"]),
                "flash_attention": FlashAttention(settings["flash_attention"]),
                "reasoning_format": ReasoningFormat(settings["reasoning_format"]),
            }
        ),
        log_path=given["log_path"],
        environment=given["environment"],
        memory_limit_bytes=given["memory_limit_bytes"],
        model_texts=tuple(given["model_texts"]),
        policy=RestartPolicy(**given["policy"]),
    )


def start_detached(job: DetachedJob, waiting: WaitingSupervisor | None = None) -> EngineRecord:
    """Start a supervisor and return its engine's record, which says `starting` then; see `wait_detached`.

    Args:
        job: what it shall do.
        waiting: one that was started early, to be used if it still lives.

    Raises:
        EngineError: the supervisor did not appear.
        FileTrouble: it could not write its record.
    """
    supervisor = (waiting.take() if waiting is not None else None) or spawn_supervisor(job.environment)
    assert supervisor.stdin is not None
    with contextlib.suppress(BrokenPipeError), supervisor.stdin as pipe:
        pipe.write(job.to_line())
    try:
        return _record_by(supervisor, job)
    except BaseException:
        process.end_child(supervisor, timeout_s=_DISMISS_S)
        raise


def _record_by(supervisor: process.Child, job: DetachedJob) -> EngineRecord:
    """What a supervisor writes down once it has its job."""
    until_s = monotonic_s() + _APPEAR_S
    while monotonic_s() < until_s and supervisor.poll() is None:
        record = read_record(job.folders, job.settings.port)
        if record is not None and record.owner.pid == supervisor.pid:
            # It is not ours to wait for any more.
            supervisor.returncode = 0
            return record
        sleep_s(0.01)
    # It has no terminal to say so: a record that it could not write we cannot write either.
    try_record(job.folders, job.settings.port)
    raise EngineError("the supervisor did not start", reference="supervisor-failed")


def wait_detached(
    record: EngineRecord,
    folders: Folders,
    *,
    on_wait: Callable[[EngineRecord], None] | None = None,
    timeout_s: float | None = None,
) -> EngineRecord:
    """Wait until a detached engine is ready or given up.

    Raises:
        EngineError: it was given up (with its cause), or its supervisor is gone.
    """
    until_s = None if timeout_s is None else monotonic_s() + timeout_s
    while True:
        now = read_record(folders, record.port)
        if now is None or now.owner != record.owner or not process.is_alive(now.owner):
            if now is not None and now.owner == record.owner and now.state is EngineState.FAILED:
                raise EngineError(now.cause, hint=f"Its log: {now.log_path}", reference=now.reference)
            raise EngineError("the engine's supervisor is gone", reference="supervisor-failed")
        if now.state is EngineState.READY or (until_s is not None and monotonic_s() >= until_s):
            return now
        if on_wait is not None:
            on_wait(now)
        sleep_s(0.05)


class _StopAsked(Exception):
    """SIGTERM came while the engine was loading."""


class Supervisor:
    """Runs one job to its end."""

    def __init__(self, job: DetachedJob, *, wake: int, waiting: WaitingEngine | None = None) -> None:
        """`wake` is readable when a signal came; `waiting` is the process for the first start."""
        self._job = job
        self._waiting = waiting
        self._wake = wake
        self._is_stopped = False
        self._is_noted = True
        owner = process.identity_of(process.own_pid())
        assert owner is not None
        self._record = EngineRecord(
            port=job.settings.port,
            host=job.settings.host,
            alias=job.settings.alias,
            model_path=job.settings.model_path,
            log_path=job.log_path,
            started_s=wall_s(),
            state=EngineState.STARTING,
            owner=owner,
            is_detached=True,
            has_key=job.settings.api_key_file is not None,
            key_file=job.settings.api_key_file or "",
        )

    def run(self) -> int:
        """Start, watch, start again; 0 when it was asked to stop, 1 when it gave up."""
        failures = 0
        write_record(self._job.folders, self._record)
        while True:
            ready_s, reason = self._once()
            if self._is_stopped:
                remove_record(self._job.folders, self._record)
                return 0
            failures = 1 if ready_s is not None and ready_s >= self._job.policy.healthy_s else failures + 1
            pause_s = self._job.policy.pause_s(failures)
            ended = replace(
                self._record, keeper=None, engine=None, cause=reason.cause, reference=reason.reference
            )
            if pause_s is None or is_final(reason.kind, was_ready=ready_s is not None):
                self._note(replace(ended, state=EngineState.FAILED))
                return 1
            self._note(replace(ended, state=EngineState.RESTARTING, restarts=ended.restarts + 1))
            if self._pause(pause_s):
                remove_record(self._job.folders, self._record)
                return 0

    def _once(self) -> tuple[float | None, ExitReason]:
        """One life of the engine: how long it was ready (`None`: never), and why it ended."""
        job = self._job
        try:
            engine = start_engine(
                job.build,
                job.settings,
                log_path=job.log_path,
                environment=job.environment,
                memory_limit_bytes=job.memory_limit_bytes,
                waiting=self._waiting,
            )
        except BringupError as problem:
            return None, _unusable(problem)
        engine.distrust(job.model_texts)
        with engine:
            try:
                self._note(replace(self._record, keeper=engine.keeper_identity))
                engine.wait_ready(lambda _: self._heed())
            except EngineStopped as ended:
                return None, ended.reason
            except _StopAsked:
                return None, engine.stop()
            except BringupError as problem:  # it answers, and not as an engine of ours does
                return None, _unusable(problem)
            return self._watch(engine)

    def _watch(self, engine: RunningEngine) -> tuple[float, ExitReason]:
        since_s = monotonic_s()
        self._note(replace(self._record, state=EngineState.READY, engine=engine.identity))
        while (reason := engine.poll()) is None:
            if self._pause(_LOOK_S):
                return monotonic_s() - since_s, engine.stop()
            if not self._is_noted:
                self._note(self._record)
        return monotonic_s() - since_s, reason

    def _heed(self) -> None:
        if self._pause(0):
            raise _StopAsked

    def _pause(self, seconds: float) -> bool:
        """Wait, or less when a signal asks to stop; whether one has asked."""
        until_s = monotonic_s() + seconds
        while not self._is_stopped:
            if child.wait_readable((self._wake,), max(0.0, until_s - monotonic_s())):
                caught = child.read_descriptor(self._wake)
                self._is_stopped = any(number in caught for number in map(int, _STOP_SIGNALS))
            if monotonic_s() >= until_s:
                break
        return self._is_stopped

    def _note(self, record: EngineRecord) -> None:
        """Write how things stand. A full disk ends no engine: it is tried again while that runs."""
        self._record = record
        with contextlib.suppress(FileTrouble):
            self._is_noted = False
            write_record(self._job.folders, record)
            self._is_noted = True


def _unusable(problem: BringupError) -> ExitReason:
    return ExitReason(ExitKind.CANNOT_RUN, problem.message, problem.context, problem.reference)


def main() -> int:
    """Take the job from stdin and run it; without one nothing is left of what was started for it."""
    wake = child.wake_on_signals((*_STOP_SIGNALS, signal.SIGHUP))
    line = sys.stdin.buffer.readline()
    with contextlib.ExitStack() as block:
        waiting = None
        if (environment := _early(line)) is not None:
            waiting = block.enter_context(WaitingEngine(environment))
            line = sys.stdin.buffer.readline()
        sys.stdin.close()
        return Supervisor(read_detached_job(line), wake=wake, waiting=waiting).run() if line else 0


def _early(line: bytes) -> dict[str, str] | None:
    """The environment of an engine that shall wait; `None` where the line asks for none."""
    told = parse_json(line).get("early") if line else None
    return told if isinstance(told, dict) else None


if __name__ == "__main__":
    sys.exit(main())
