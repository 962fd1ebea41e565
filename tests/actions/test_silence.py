"""An engine from which nothing comes: what keeps it is said once, and that it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from bringup.actions.running.silence import Patience, SilenceWatch, StillWatch
from bringup.machine.process import ProcessIdentity, identity_of, is_stopped

IDLE = "import sys; sys.stdin.read()"
BUSY = "import os\nwhile os.getppid() != 1: pass"
LONG_S = 30.0


class Child:
    """A process to look at."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-IS", "-c", code], stdin=subprocess.PIPE)
        found = identity_of(self.process.pid)
        assert found is not None
        self.identity: ProcessIdentity = found

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)
        os.waitid(os.P_PID, self.process.pid, os.WCONTINUED | os.WNOWAIT)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def idle() -> Iterator[Child]:
    child = Child(IDLE)
    yield child
    child.end()


@pytest.fixture
def busy() -> Iterator[Child]:
    child = Child(BUSY)
    yield child
    child.end()


def test_a_stopped_engine_is_told_once_and_that_it_goes_on(idle: Child) -> None:
    watch = StillWatch(idle.identity, idle_s=3600)
    assert watch.look() == ""
    idle.stop()
    assert f"kill -CONT {idle.process.pid}" in watch.look()
    assert watch.look() == ""
    idle.go_on()
    assert not is_stopped(idle.process.pid)
    assert watch.look() == "The engine goes on."
    assert watch.look() == ""


def test_one_that_computes_nothing_is_told_only_where_it_should(idle: Child) -> None:
    watch = StillWatch(idle.identity, idle_s=0.0)
    assert "has used no processor" in watch.look()
    assert watch.look() == ""
    resting = StillWatch(idle.identity, idle_s=LONG_S)
    assert resting.look(is_busy=False) == "" == resting.look(is_busy=False)


def test_one_that_computes_and_one_that_is_gone_are_not_told(busy: Child, idle: Child) -> None:
    watch = StillWatch(busy.identity, idle_s=LONG_S)
    assert [watch.look() for _ in range(5)] == [""] * 5
    gone = StillWatch(idle.identity, idle_s=0.0)
    idle.end()
    assert gone.look() == "" and StillWatch(None, idle_s=0.0).look() == ""


def test_it_looks_while_an_answer_is_waited_for(idle: Child) -> None:
    said: list[str] = []
    told = threading.Event()

    def tell(words: str) -> None:
        said.append(words)
        told.set()

    idle.stop()
    with SilenceWatch(idle.identity, tell, Patience(look_s=0.01, idle_s=LONG_S)) as watch:
        watch.heard()
        assert told.wait(LONG_S)
        told.clear()
        idle.go_on()
        assert told.wait(LONG_S)
    assert len(said) == 2 and "is stopped" in said[0] and said[1] == "The engine goes on."
    assert not [one for one in threading.enumerate() if one.name == "silence"]
