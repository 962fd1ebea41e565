"""Records of engines: what runs, what is stale, and never a stranger's process."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.conftest import rounds

from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.engine.registry import (
    EngineRecord,
    EngineState,
    claimed_ports,
    find_record,
    list_running,
    read_record,
    record_of,
    remove_record,
    stop_running,
    unread_records,
    write_record,
)
from bringup.engine.start import start_engine
from bringup.errors import WrongUse
from bringup.machine.folders import Folders
from bringup.machine.process import ProcessIdentity, identity_of, is_alive

MakeEnvironment = Callable[..., dict[str, str]]


@pytest.fixture
def stranger() -> Iterator[ProcessIdentity]:
    """A look-alike: a process that is called llama-server and is not ours."""
    process = subprocess.Popen(
        ["llama-server", "-c", "import time; print(1, flush=True); time.sleep(600)"],
        executable=sys.executable,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline()
    identity = identity_of(process.pid)
    assert identity is not None
    yield identity
    process.kill()
    process.wait()
    process.stdout.close()


def record(owner: ProcessIdentity, *, port: int = 8080, **changes: object) -> EngineRecord:
    plain = EngineRecord(
        port=port, host="127.0.0.1", alias="smollm2", model_path="/m", log_path="/l", started_s=1.0,
        state=EngineState.READY, owner=owner,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def dead() -> ProcessIdentity:
    process = subprocess.Popen(["sleep", "60"])
    identity = identity_of(process.pid)
    process.kill()
    process.wait()
    assert identity is not None
    return identity


def test_a_record_is_private_and_comes_back(folders: Folders, stranger: ProcessIdentity) -> None:
    written = record(stranger, engine=stranger, cause="x\n\x1b", restarts=2, is_detached=True)
    write_record(folders, written)
    path = Path(folders.engines) / "8080.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(folders.engines).stat().st_mode) == 0o700
    assert read_record(folders, 8080) == written
    assert list_running(folders) == (written,)
    assert claimed_ports(folders) == frozenset({8080})


def test_a_stale_record_is_removed_and_a_failed_one_stays(folders: Folders) -> None:
    write_record(folders, record(dead(), port=1))
    failed = record(dead(), port=2, state=EngineState.FAILED, cause="why")
    write_record(folders, failed)
    assert list_running(folders) == (failed,)
    assert os.listdir(folders.engines) == ["2.json"]
    assert claimed_ports(folders) == frozenset()
    assert stop_running(folders, failed)
    assert list_running(folders) == ()


def test_damaged_and_foreign_files_are_passed_over(folders: Folders, stranger: ProcessIdentity) -> None:
    write_record(folders, record(stranger))
    folder = Path(folders.engines)
    for name, content in {
        "1.json": b"", "2.json": b"{", "3.json": b"[]", "4.json": b'{"schema": 99}',
        "5.json": b'{"schema": 1}', "x.json": b"{}", "9.txt": b"{}", "6.json": b"\xff",
        "../7.json": b"{}",
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)
    assert [r.port for r in list_running(folders)] == [8080]
    told = {Path(path).name for path in unread_records(folders)}
    assert told == {"1.json", "2.json", "3.json", "4.json", "5.json", "6.json"}  # `ps` names them


def test_a_record_with_a_wrong_value_is_passed_over(folders: Folders, stranger: ProcessIdentity) -> None:
    """Each field in turn; nothing of a damaged record may end `ps`, `stop` or `top`."""
    written = record(stranger, engine=stranger)
    write_record(folders, written)
    path = Path(folders.engines) / "8080.json"
    whole = json.loads(path.read_text())
    assert read_record(folders, 8080) == written

    def is_taken(**changed: object) -> bool:
        path.write_text(json.dumps({**whole, **changed}))
        return read_record(folders, 8080) is not None

    for name in whole.keys() - {"schema", "owner", "keeper", "engine"}:
        wrong = 7 if isinstance(whole[name], str) else "7"
        assert not any(is_taken(**{name: value}) for value in ({}, [], None, wrong)), name
    for name in ("owner", "keeper", "engine"):
        assert not any(is_taken(**{name: value}) for value in ([], 7, "7")), name
        for part in whole["owner"]:
            wrong = 7 if part == "boot_id" else "7"
            assert not any(is_taken(**{name: {**whole["owner"], part: v}}) for v in ({}, None, wrong)), part
    path.write_bytes(b"[" * 60_000)
    assert read_record(folders, 8080) is None


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(
        st.sampled_from(["schema", "owner", "state", "pid", "engine", "keeper"]), inner
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_record_can_be_read(data: bytes) -> None:
    from bringup.engine.registry import _parse

    found = _parse(data)
    assert found is None or isinstance(found, EngineRecord)


def test_never_a_stranger_s_process(folders: Folders, stranger: ProcessIdentity) -> None:
    """Records whose numbers now belong to somebody else: another start time, another boot, or both."""
    chooser = random.Random(10)
    for number in range(rounds(100, 1000)):
        wrong = replace(
            stranger,
            start_ticks=stranger.start_ticks + chooser.choice([0, 1, -1, 10**6]),
            boot_id=chooser.choice([stranger.boot_id, "0" * 36]),
        )
        if wrong == stranger:
            wrong = replace(wrong, boot_id="")
        made = record(
            wrong if number % 2 else dead_cheap(stranger),
            port=1000 + number,
            keeper=chooser.choice([None, wrong]),
            engine=chooser.choice([None, wrong]),
            state=chooser.choice([EngineState.READY, EngineState.FAILED]),
        )
        write_record(folders, made)
        assert not made.is_live
        assert stop_running(folders, made)
        assert read_record(folders, made.port) is None
    assert is_alive(stranger)
    os.kill(stranger.pid, 0)


def dead_cheap(living: ProcessIdentity) -> ProcessIdentity:
    """A process number that nobody has."""
    return replace(living, pid=4_194_303)


def test_another_engine_s_record_is_not_removed(folders: Folders, stranger: ProcessIdentity) -> None:
    write_record(folders, record(stranger))
    remove_record(folders, record(dead()))
    assert read_record(folders, 8080) is not None


def test_engines_are_found_by_port_or_name(folders: Folders, stranger: ProcessIdentity) -> None:
    write_record(folders, record(stranger, port=8080))
    assert find_record(folders, "8080").port == find_record(folders, "smollm2").port == 8080
    write_record(folders, record(stranger, port=8081))
    assert find_record(folders, "8081").port == 8081
    with pytest.raises(WrongUse) as several:
        find_record(folders, "smollm2")
    with pytest.raises(WrongUse) as none:
        find_record(folders, "80")
    assert several.value.reference == none.value.reference == "engine-unknown"
    assert len(several.value.context) == 2
    assert "by its port or model" in none.value.hint


@pytest.mark.parametrize("is_frozen", [False, True], ids=["running", "frozen"])
def test_an_engine_in_front_is_listed_and_stopped_from_elsewhere(
    fake: EngineBuild,
    settings: EngineSettings,
    environment: MakeEnvironment,
    log_path: str,
    folders: Folders,
    is_frozen: bool,
) -> None:
    with start_engine(fake, settings, log_path=log_path, environment=environment()) as engine:
        engine.wait_ready()
        made = record_of(engine)
        assert made is not None
        write_record(folders, made)
        assert list_running(folders) == (made,)
        if is_frozen:
            for one in made.processes:
                os.kill(one.pid, signal.SIGSTOP)
        began = time.monotonic()
        # Its starter waits for the keeper as a parent does; here that is us, so a zombie counts as gone.
        assert stop_running(folders, made)
        assert time.monotonic() - began < 60
        assert engine.poll() is not None
    assert list_running(folders) == ()
