"""An engine's process that is started before its plan: used where it fits, gone without a trace elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import rounds
from tests.stubs.hub import StubFile, gguf_bytes, running_hub

from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings
from bringup.engine.registry import stop_running
from bringup.engine.start import start_engine
from bringup.engine.supervisor import DetachedJob, start_detached, wait_detached
from bringup.engine.waiting import WaitingEngine, WaitingSupervisor
from bringup.errors import EngineError
from bringup.machine.folders import Folders
from bringup.machine.process import command_line
from bringup.machine.sockets import is_port_free

MakeEnvironment = Callable[..., dict[str, str]]
KEEPER, ENGINE = "bringup.engine.keeper", "bringup.engine.embedded"
SUPERVISOR = "bringup.engine.supervisor"
OURS = (SUPERVISOR, KEEPER, ENGINE)
OWNER = (
    "import os, sys, time; from bringup.engine import waiting;"
    "kept = getattr(waiting, sys.argv[1])(dict(os.environ)); print(flush=True); time.sleep(600)"
)


class Family:
    """Processes of ours, known by a variable that is passed on to engines."""

    def __init__(self, mark: str) -> None:
        self.variables = {"LC_BRINGUP_TEST": mark}
        self._mark = f"LC_BRINGUP_TEST={mark}\0".encode()

    def pids(self, module: str) -> list[int]:
        """Living ones that run this module."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                is_marked = self._mark in Path(f"/proc/{name}/environ").read_bytes()
                if is_marked and module in (command_line(int(name)) or ()):
                    found.append(int(name))
        return found

    def wait_for(self, module: str) -> int:
        """The first one."""
        until = time.monotonic() + 60
        while not (found := self.pids(module)):
            assert time.monotonic() < until, module
            time.sleep(0.002)
        return found[0]

    @property
    def is_gone(self) -> bool:
        """Whether no keeper and no engine is left; those that are just killed get their moment."""
        until = time.monotonic() + 10
        while any(map(self.pids, OURS)):
            if time.monotonic() > until:
                return False
            time.sleep(0.002)
        return True


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    found = Family(f"{tmp_path.name}-{os.getpid()}")
    yield found
    left = [pid for module in OURS for pid in found.pids(module)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture
def variables(family: Family, environment: MakeEnvironment) -> dict[str, str]:
    return environment(**family.variables)


def test_the_waiting_process_becomes_the_engine(
    family: Family,
    variables: dict[str, str],
    embedded: EngineBuild,
    settings: EngineSettings,
    log_path: str,
) -> None:
    limit = 3 * 1024**3
    with WaitingEngine(variables) as waiting:
        early = family.wait_for(ENGINE)
        engine = start_engine(
            embedded,
            settings,
            log_path=log_path,
            environment=variables,
            memory_limit_bytes=limit,
            waiting=waiting,
        )
        waiting.close()  # what was taken goes on
        with engine:
            assert engine.wait_ready().alias == "smollm2"
            assert engine.pid == early and family.pids(ENGINE) == [early]
            assert waiting.take() is None
            assert "listening" in Path(log_path).read_text()
            limits = Path(f"/proc/{early}/limits").read_text().splitlines()
            (data,) = (line for line in limits if line.startswith("Max data size"))
            assert data.split()[3:5] == [str(limit), str(limit)]
    assert not family.pids(KEEPER) and is_port_free(settings.port)


@pytest.mark.parametrize("case", ["another-program", "another-environment", "more-than-a-pipe-holds"])
def test_what_does_not_suit_is_replaced(
    case: str,
    family: Family,
    variables: dict[str, str],
    fake: EngineBuild,
    embedded: EngineBuild,
    settings: EngineSettings,
    log_path: str,
) -> None:
    build = fake if case == "another-program" else embedded
    given = {**variables, "LC_MORE": "1"} if case == "another-environment" else variables
    wanted = replace(settings, alias="x" * 200_000) if case == "more-than-a-pipe-holds" else settings
    with WaitingEngine(variables) as waiting:
        early = family.wait_for(ENGINE)
        engine = start_engine(build, wanted, log_path=log_path, environment=given, waiting=waiting)
        keeper = family.wait_for(KEEPER)
    with engine:
        while engine.pid is None:
            time.sleep(0.002)
        assert engine.pid != early and early not in family.pids(ENGINE)
        assert engine.keeper_identity is not None and engine.keeper_identity.pid == keeper
        assert Path(f"/proc/{engine.pid}/environ").read_bytes().count(b"LC_MORE") == len(given) - len(
            variables
        )
    assert family.is_gone


def test_the_keeper_of_an_external_engine_waits_while_that_tells_its_options(
    family: Family, variables: dict[str, str], fake: EngineBuild, settings: EngineSettings, log_path: str
) -> None:
    with WaitingEngine(variables, program=fake.path) as waiting:
        keeper = family.wait_for(KEEPER)
        known = waiting.options_of(fake)
        assert known is not None and known.has("--ctx-size") and not family.pids(ENGINE)
        with start_engine(
            fake, settings, log_path=log_path, environment=variables, waiting=waiting
        ) as engine:
            engine.wait_ready()
            assert engine.keeper_identity is not None and engine.keeper_identity.pid == keeper
    assert family.is_gone


def test_a_program_that_says_no_options_is_asked_again_and_told_of(
    family: Family, variables: dict[str, str], settings: EngineSettings, log_path: str
) -> None:
    broken = EngineBuild(EngineKind.EXTERNAL, "/bin/false", "", "made")
    with WaitingEngine(variables, program=broken.path) as waiting, pytest.raises(EngineError) as caught:
        start_engine(broken, settings, log_path=log_path, environment=variables, waiting=waiting)
    assert caught.value.reference == "engine-not-usable"
    assert family.is_gone


@pytest.mark.parametrize("victim", [KEEPER, ENGINE])
def test_one_that_died_while_it_waited_is_replaced(
    victim: str,
    family: Family,
    variables: dict[str, str],
    embedded: EngineBuild,
    settings: EngineSettings,
    log_path: str,
) -> None:
    with WaitingEngine(variables) as waiting:
        early = family.wait_for(ENGINE)
        os.kill(family.wait_for(victim), signal.SIGKILL)
        while early in family.pids(ENGINE):
            time.sleep(0.002)
        with start_engine(
            embedded, settings, log_path=log_path, environment=variables, waiting=waiting
        ) as engine:
            assert family.wait_for(ENGINE) != early
            while engine.pid is None:
                time.sleep(0.002)
            assert engine.poll() is None


@pytest.mark.parametrize("kind", [WaitingEngine, WaitingSupervisor])
def test_one_that_is_not_wanted_is_gone_at_once(
    kind: type[WaitingEngine | WaitingSupervisor], family: Family, variables: dict[str, str]
) -> None:
    """At every moment of its start, also before there is an engine's process."""
    chooser = random.Random(2)
    for number in range(rounds(4, 100)):
        with kind(variables):
            if number % 2:
                family.wait_for(ENGINE)
            time.sleep(chooser.uniform(0, 0.2))
        assert not family.pids(KEEPER) and not family.pids(SUPERVISOR)
        assert family.is_gone


def test_an_engine_in_the_background_is_the_one_that_waited(
    family: Family, variables: dict[str, str], embedded: EngineBuild, settings: EngineSettings,
    folders: Folders, log_path: str,
) -> None:  # fmt: skip
    job = DetachedJob(folders, embedded, settings, log_path, variables)
    with WaitingSupervisor(variables) as waiting:
        early = family.wait_for(ENGINE)
        begun = start_detached(job, waiting)
        assert family.pids(SUPERVISOR) == [begun.owner.pid]
    record = wait_detached(begun, folders)
    try:
        assert record.engine is not None and record.engine.pid == early
        assert family.pids(ENGINE) == [early]
    finally:
        assert stop_running(folders, record)


def test_a_supervisor_that_died_while_it_waited_is_replaced(
    family: Family, variables: dict[str, str], fake: EngineBuild, settings: EngineSettings,
    folders: Folders, log_path: str,
) -> None:  # fmt: skip
    """Nor does an engine that waited for another program's job stay."""
    job = DetachedJob(folders, fake, settings, log_path, variables)
    with WaitingSupervisor(variables) as waiting:
        family.wait_for(ENGINE)
        dead = family.wait_for(SUPERVISOR)
        os.kill(dead, signal.SIGKILL)
        assert family.is_gone
        begun = start_detached(job, waiting)
    assert begun.owner.pid != dead
    assert stop_running(folders, wait_detached(begun, folders))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_no_death_of_ours_leaves_one_behind(number: signal.Signals, family: Family) -> None:
    chooser = random.Random(int(number))
    kinds = itertools.cycle(("WaitingEngine", "WaitingSupervisor"))
    for _ in range(rounds(2, 50)):
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, next(kinds)],
            env={**os.environ, **family.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert owner.stdout is not None
        owner.stdout.readline()
        time.sleep(chooser.uniform(0, 0.4))
        owner.send_signal(number)
        owner.wait()
        owner.stdout.close()
        assert family.is_gone, f"{number.name}: an orphan"


@pytest.mark.parametrize("command", ["run", "serve"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_moment_of_a_start_leaves_one_behind(
    number: signal.Signals, command: str, family: Family, small_model: Path
) -> None:
    """The whole program, ended between the first process that it starts and its ready engine."""
    chooser = random.Random(len(command) + int(number))
    options = ["--prompt", "x"] if command == "run" else ["--no-key"]
    for _ in range(rounds(1, 50)):
        begun = begin([command, str(small_model), *options], family)
        family.wait_for(chooser.choice([KEEPER, ENGINE]))
        time.sleep(chooser.uniform(0, 0.3))
        os.killpg(begun.pid, number)
        _, said = begun.communicate(timeout=60)
        assert family.is_gone, said
        assert b"Traceback" not in said
        if number is signal.SIGINT:
            # The second is how Python itself ends where Ctrl-C met a class that was just being made.
            assert begun.returncode in (0, 130, -signal.SIGINT), said


def begin(arguments: list[str], family: Family) -> subprocess.Popen[bytes]:
    """`bringup` in a process group of its own, as from a shell; with variables that no engine may see."""
    unwanted = {"LLAMA_ARG_CTX_SIZE": "77", "HTTP_PROXY": "http://127.0.0.1:9", "PYTHONSTARTUP": "/x"}
    return subprocess.Popen(
        [sys.executable, "-m", "bringup", *arguments, "--engine", "embedded", "--threads", "1"],
        env={**os.environ, **family.variables, **unwanted},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def test_a_waiting_process_sees_nothing_that_an_engine_may_not_see(family: Family, small_model: Path) -> None:
    begun = begin(["run", str(small_model), "--prompt", "x"], family)
    pid = family.wait_for(ENGINE)
    seen, words = Path(f"/proc/{pid}/environ").read_bytes(), command_line(pid) or ()
    begun.kill()
    begun.communicate(timeout=60)
    assert b"PATH=" in seen and not any(name in seen for name in (b"LLAMA_ARG", b"PROXY", b"PYTHON"))
    assert words[-1] == ENGINE
    assert family.is_gone


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "/nowhere/model.gguf", "--prompt", "x"], 2),
        (["run", "no-such-name-at-all", "--prompt", "x"], 2),
        (["run", "{model}", "--prompt", " "], 2),
        (["run", "{model}", "--prompt", "x", "--ctx-size", "900000000"], 1),
        (["serve", "{model}", "--no-key", "--key-file", "/x"], 2),
        (["serve", "{model}", "--detach", "--ctx-size", "900000000"], 1),
    ],
)
def test_a_mistake_leaves_nothing_behind(
    arguments: list[str], code: int, family: Family, small_model: Path
) -> None:
    begun = begin([word.replace("{model}", str(small_model)) for word in arguments], family)
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == code, said
    assert b"error:" in said and b"Traceback" not in said
    assert not family.pids(KEEPER) and family.is_gone


def test_nothing_waits_for_a_download(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_hub({"user/repo": {"model-Q4_0.gguf": StubFile(gguf_bytes(500_000))}}) as hub:
        hub.bytes_per_s = 20_000
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        begun = begin(["run", "user/repo", "--prompt", "x"], family)
        until = time.monotonic() + 60
        while not hub.sent_bytes():
            assert time.monotonic() < until and begun.poll() is None
            time.sleep(0.02)
        left = family.pids(KEEPER)
        is_running = begun.poll() is None
        begun.kill()
        begun.communicate(timeout=60)
    assert is_running and not left
