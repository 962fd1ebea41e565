"""No death of ours leaves an engine behind or a port locked; nothing dies early either.

Four deaths (SIGKILL, SIGTERM, the terminal closed, the session's leader ended), from the main thread and from
another one, many with the made engine and some with the real one; and the kill at random moments of a start.
"""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.engine.conftest import IS_SOAK, rounds
from tests.stubs.ports import free_port

from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.machine.process import ProcessIdentity, identity_of, is_alive
from bringup.machine.sockets import is_port_free

OWNER = str(Path(__file__).with_name("owner.py"))
# Two seconds are promised; where the whole suite runs beside it on two busy cores, only a hang fails.
PROMISED_S = 2.0 if IS_SOAK else 40.0
pytestmark = pytest.mark.timeout(900 if IS_SOAK else 120)  # fifty starts take minutes on a busy machine
DEATHS = ("killed", "terminated", "terminal-closed", "session-ended")


class Owner:
    """A running owner in a terminal and session of its own, below a shell that leads the session."""

    def __init__(self, build: EngineBuild, settings: EngineSettings, log_path: str, *, in_thread: bool,
                 wait_ready: bool = True) -> None:  # fmt: skip
        plain = {k: v for k, v in asdict(settings).items() if isinstance(v, str | int) or v is None}
        job = {
            "build": build.path or "embedded",
            "settings": plain,
            "log_path": log_path,
            "in_thread": in_thread,
            "wait_ready": wait_ready,
        }
        self.master, slave = pty.openpty()
        # The shell has the terminal as its controlling one, as a login shell has.
        lead = "import fcntl,os,subprocess,sys,termios;os.setsid();fcntl.ioctl(0,termios.TIOCSCTTY,0);"
        lead += "p=subprocess.Popen(sys.argv[1:]);print(p.pid,flush=True);p.wait()"
        self.leader = subprocess.Popen(
            [sys.executable, "-IS", "-c", lead, sys.executable, OWNER, json.dumps(job)],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        os.close(slave)
        assert self.leader.stdout is not None
        self.pid = int(self.leader.stdout.readline())
        told = json.loads(self.leader.stdout.readline())
        self.engine, self.keeper = identified(told["engine"]), identified(told["keeper"])
        self.port = settings.port

    def die(self, death: str) -> None:
        if death == "killed":
            os.kill(self.pid, signal.SIGKILL)
        elif death == "terminated":
            os.kill(self.pid, signal.SIGTERM)
        elif death == "terminal-closed":
            os.close(self.master)
            self.master = -1
        else:
            os.kill(self.leader.pid, signal.SIGKILL)

    def clean(self) -> None:
        for identity in (self.engine, self.keeper, identity_of(self.pid)):
            if identity is not None and is_alive(identity):
                os.kill(identity.pid, signal.SIGKILL)
        if self.master >= 0:
            os.close(self.master)
        self.leader.kill()
        self.leader.wait()
        assert self.leader.stdout is not None
        self.leader.stdout.close()


def identified(pid: int) -> ProcessIdentity:
    identity = identity_of(pid)
    assert identity is not None
    return identity


def are_gone(*identities: ProcessIdentity, port: int) -> bool:
    """Whether they end in time, and the port with them: the threads of a dead process end one by one."""
    until = time.monotonic() + PROMISED_S
    while any(is_alive(one) for one in identities) or not is_port_free(port):
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def trial(
    build: EngineBuild, settings: EngineSettings, log_path: str, *, death: str, in_thread: bool
) -> None:
    owner = Owner(build, replace(settings, port=free_port()), log_path, in_thread=in_thread)
    try:
        time.sleep(0.1)
        assert is_alive(owner.engine), "it died early"
        owner.die(death)
        assert are_gone(owner.engine, owner.keeper, port=owner.port), f"{death}: an orphan"
    finally:
        owner.clean()


@pytest.mark.parametrize("in_thread", [False, True], ids=["main-thread", "other-thread"])
@pytest.mark.parametrize("death", DEATHS)
def test_no_orphan(
    death: str, in_thread: bool, fake: EngineBuild, settings: EngineSettings, log_path: str
) -> None:
    for _ in range(rounds(3, 50)):
        trial(fake, settings, log_path, death=death, in_thread=in_thread)


@pytest.mark.parametrize("death", DEATHS)
def test_no_orphan_of_a_real_engine(
    death: str, real: EngineBuild, settings: EngineSettings, log_path: str
) -> None:
    for number in range(rounds(2, 20)):
        trial(real, settings, log_path, death=death, in_thread=bool(number % 2))


def test_a_killed_keeper_leaves_no_engine(fake: EngineBuild, settings: EngineSettings, log_path: str) -> None:
    for _ in range(rounds(3, 50)):
        owner = Owner(fake, replace(settings, port=free_port()), log_path, in_thread=False)
        try:
            os.kill(owner.keeper.pid, signal.SIGKILL)
            assert are_gone(owner.engine, port=owner.port)
        finally:
            owner.clean()


def test_kills_at_random_moments_of_a_start(
    embedded: EngineBuild, settings: EngineSettings, log_path: str
) -> None:
    """The owner dies while the engine loads; the next start on the same port works."""
    chooser = random.Random(20)
    port = free_port()
    for _ in range(rounds(20, 100)):
        owner = Owner(embedded, replace(settings, port=port), log_path, in_thread=False, wait_ready=False)
        try:
            time.sleep(chooser.uniform(0, 0.9))
            owner.die(chooser.choice(DEATHS))
            assert are_gone(owner.engine, owner.keeper, port=port)
        finally:
            owner.clean()
    last = Owner(embedded, replace(settings, port=port), log_path, in_thread=False)
    last.clean()


def test_an_interrupt_key_does_not_reach_the_engine(
    fake: EngineBuild, settings: EngineSettings, log_path: str
) -> None:
    """Ctrl-C stops an answer, not the engine: the terminal sends SIGINT to the foreground group only."""
    owner = Owner(fake, settings, log_path, in_thread=False)
    try:
        os.killpg(os.getpgid(owner.engine.pid), 0)
        assert os.getpgid(owner.engine.pid) != os.getpgid(owner.pid)
        assert os.getsid(owner.engine.pid) != os.getsid(owner.pid)
        assert os.getsid(owner.keeper.pid) != os.getsid(owner.pid)
    finally:
        owner.clean()
