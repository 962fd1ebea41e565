"""Stopping stops: idle, loading, in the middle of a prompt, stopped by SIGSTOP, deaf to SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.engine.conftest import IS_SOAK, rounds
from tests.stubs.ports import free_port

from bringup.engine.answer_errors import EngineGone, StreamCutOff
from bringup.engine.answers import PromptProgress
from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.engine.exits import ExitKind, ExitReason
from bringup.engine.server import RunningEngine
from bringup.engine.start import start_engine
from bringup.machine.process import identity_of, is_alive
from bringup.machine.sockets import is_port_free

MakeEnvironment = Callable[..., dict[str, str]]
# What a stop may take; where the whole suite runs beside it on two busy cores, only a hang fails.
LONGEST_S = 12.0 if IS_SOAK else 60.0


def stopped(engine: RunningEngine, *, within_s: float, timeout_s: float = 10.0) -> ExitReason:
    pid = engine.pid
    assert pid is not None
    identity = identity_of(pid)
    assert identity is not None
    began = time.monotonic()
    reason = engine.stop(timeout_s)
    assert time.monotonic() - began < within_s
    assert reason.kind is ExitKind.STOPPED and not is_alive(identity) and is_port_free(engine.port)
    return reason


@pytest.mark.parametrize("state", ["idle", "loading", "mid-prompt", "frozen", "frozen-loading"])
def test_stop(
    state: str, real: EngineBuild, settings: EngineSettings, environment: MakeEnvironment, log_path: str
) -> None:
    for _ in range(rounds(1, 20)):
        wanted = replace(settings, port=free_port(), n_ctx=8192)
        with start_engine(real, wanted, log_path=log_path, environment=environment()) as engine:
            while engine.pid is None:
                time.sleep(0.001)
            if "loading" in state:
                time.sleep(0.1)
            else:
                engine.wait_ready()
            reader = prompt_in_background(engine) if state == "mid-prompt" else None
            if "frozen" in state:
                os.kill(engine.pid, signal.SIGSTOP)
            stopped(engine, within_s=LONGEST_S)
            if reader is not None:
                reader.join(60)
                assert not reader.is_alive()


def prompt_in_background(engine: RunningEngine) -> threading.Thread:
    """A prompt that takes seconds to read and fits; returns once the engine is at it."""
    is_reading = threading.Event()

    def read() -> None:
        words = " ".join(f"word{n}" for n in range(1200))
        try:
            for event in engine.api().chat([{"role": "user", "content": words}]):
                if isinstance(event, PromptProgress):
                    is_reading.set()
        except (StreamCutOff, EngineGone):
            return

    thread = threading.Thread(target=read)
    thread.start()
    assert is_reading.wait(60)
    return thread


def test_an_engine_deaf_to_sigterm_is_killed(
    fake: EngineBuild, settings: EngineSettings, environment: MakeEnvironment, log_path: str
) -> None:
    deaf = environment(FAKE='{"ignore_term": true}')
    with start_engine(fake, settings, log_path=log_path, environment=deaf) as engine:
        engine.wait_ready()
        began = time.monotonic()
        reason = stopped(engine, within_s=LONGEST_S)
        assert time.monotonic() - began > 9
    assert "killed" in reason.cause and reason.signal_number == signal.SIGKILL


def test_a_frozen_engine_is_asked_and_not_killed(
    fake: EngineBuild, settings: EngineSettings, environment: MakeEnvironment, log_path: str
) -> None:
    """One that is stopped (SIGSTOP) hears SIGTERM once it goes on, which it is told to."""
    with start_engine(fake, settings, log_path=log_path, environment=environment()) as engine:
        engine.wait_ready()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGSTOP)
        assert stopped(engine, within_s=LONGEST_S).signal_number == signal.SIGTERM


def test_the_time_to_end_is_the_caller_s(
    fake: EngineBuild, settings: EngineSettings, environment: MakeEnvironment, log_path: str
) -> None:
    deaf = environment(FAKE='{"ignore_term": true}')
    with start_engine(fake, settings, log_path=log_path, environment=deaf) as engine:
        engine.wait_ready()
        stopped(engine, within_s=8.0, timeout_s=0.3)


def test_a_frozen_keeper_does_not_keep_us(
    fake: EngineBuild, settings: EngineSettings, environment: MakeEnvironment, log_path: str
) -> None:
    with start_engine(fake, settings, log_path=log_path, environment=environment()) as engine:
        engine.wait_ready()
        keeper, identity = engine.keeper_identity, engine.identity
        assert keeper is not None and identity is not None
        os.kill(keeper.pid, signal.SIGSTOP)
        began = time.monotonic()
        reason = engine.stop(0.5)
        assert time.monotonic() - began < 10 and reason.kind is ExitKind.KILLED
    until = time.monotonic() + LONGEST_S
    while is_alive(identity):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_stopping_twice_gives_the_same_reason(
    fake: EngineBuild, settings: EngineSettings, environment: MakeEnvironment, log_path: str
) -> None:
    with start_engine(fake, settings, log_path=log_path, environment=environment()) as engine:
        engine.wait_ready()
        assert engine.stop() is engine.stop()
