"""Engines that run on this machine for this user: one small record each, in the state folder.

A record names processes by number, start time and boot, so that a reused number is never taken for ours, and
nothing is ever signalled that is not exactly the process that was recorded.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import asdict, fields
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Final

from bringup.errors import WrongUse
from bringup.machine import files, paths, process
from bringup.machine.clock import monotonic_s, sleep_s, wall_s
from bringup.machine.process import ProcessIdentity
from bringup.reading import parse_json
from bringup.records import dataclass, replace
from bringup.units import parse_whole

if TYPE_CHECKING:
    from bringup.engine.server import RunningEngine
    from bringup.machine.folders import Folders

SCHEMA: Final = 1
_SUFFIX: Final = ".json"
_RECORD_BYTES: Final = 4096
_STOP_S: Final = 11.0
_KILL_S: Final = 1.0
_LOOK_S: Final = 0.02


class EngineState(Enum):
    """Where an engine stands."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    """Given up; the record stays until the next start on its port or until it is stopped."""


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """One engine.

    Attributes:
        port: its port, which is also the record's name.
        host: address that it listens on.
        alias: the model's name in the API.
        model_path: the model's file.
        log_path: the engine's log.
        started_s: Unix time of the first start.
        state: see `EngineState`.
        owner: who ends it on SIGTERM: the supervisor of a detached engine, else the keeper.
        keeper: the keeper; `None` between two starts.
        engine: the engine itself; `None` likewise.
        is_detached: it outlives the command that started it.
        has_key: requests need the key.
        key_file: the file that the engine has it from; empty for the user's own.
        restarts: how often it was started again.
        cause: why it last ended; empty when it never did.
        reference: id of that fault.
        is_noted: its end, which nobody asked for, was written down.
    """

    port: int
    host: str
    alias: str
    model_path: str
    log_path: str
    started_s: float
    state: EngineState
    owner: ProcessIdentity
    keeper: ProcessIdentity | None = None
    engine: ProcessIdentity | None = None
    is_detached: bool = False
    has_key: bool = True
    key_file: str = ""
    restarts: int = 0
    cause: str = ""
    reference: str = ""
    is_noted: bool = False

    @property
    def is_live(self) -> bool:
        """Whether any of its processes lives."""
        return any(process.is_alive(one) for one in self.processes)

    @property
    def is_given_up(self) -> bool:
        """Whether its supervisor gave it up."""
        return self.state is EngineState.FAILED

    @property
    def processes(self) -> tuple[ProcessIdentity, ...]:
        """Its processes, the one that ends the others first."""
        return tuple(dict.fromkeys(one for one in (self.owner, self.keeper, self.engine) if one is not None))


def write_record(folders: Folders, record: EngineRecord) -> None:
    """Write or replace a record (0600, atomic).

    Raises:
        FileTrouble: the state folder cannot be written.
    """
    data = {"schema": SCHEMA, **asdict(record), "state": record.state.value}
    files.write_atomic(_path(folders, record.port), json.dumps(data, indent=1).encode() + b"\n")


def try_record(folders: Folders, port: int) -> None:
    """Write as much as a record takes, and remove it again.

    Raises:
        FileTrouble: the state folder cannot be written.
    """
    path = f"{_path(folders, port)}.trial"
    files.write_atomic(path, b"\n" * _RECORD_BYTES)
    files.remove(path)


def remove_record(folders: Folders, record: EngineRecord) -> None:
    """Remove a record, if it is still this engine's."""
    found = read_record(folders, record.port)
    if found is not None and found.owner == record.owner:
        files.remove(_path(folders, record.port))


def read_record(folders: Folders, port: int) -> EngineRecord | None:
    """The record of a port; `None` without one, or when it is damaged or of a newer schema."""
    data = files.read_small(_path(folders, port), limit_bytes=64 * 1024)
    return _parse(data) if data is not None else None


def list_running(folders: Folders) -> tuple[EngineRecord, ...]:
    """Engines that live, and those given up.

    The record of another one that is gone is removed; that of a detached one once its end was noted.
    """
    found = []
    for record in _records(folders):
        if record.is_live or record.is_given_up:
            found.append(record)
        elif not record.is_detached:
            remove_record(folders, record)
    return tuple(found)


def list_ended(folders: Folders) -> tuple[EngineRecord, ...]:
    """Detached engines that were given up or are gone, without those whose end was noted."""
    detached = (record for record in _records(folders) if record.is_detached and not record.is_noted)
    return tuple(record for record in detached if not record.is_live)


def mark_ended(folders: Folders, record: EngineRecord) -> None:
    """Note that an end was written down: one that was given up stays, the record of one that is gone goes.

    Raises:
        FileTrouble: the state folder cannot be written.
    """
    now = read_record(folders, record.port)
    if now is None or now.owner != record.owner:
        return
    if record.is_given_up:
        write_record(folders, replace(now, is_noted=True))
    else:
        remove_record(folders, record)


def _records(folders: Folders) -> Iterator[EngineRecord]:
    for name in files.list_names(folders.engines):
        port = parse_whole(name.removesuffix(_SUFFIX))
        if not name.endswith(_SUFFIX) or port is None:
            continue
        record = read_record(folders, port)
        if record is not None:
            yield record


def unread_records(folders: Folders) -> tuple[str, ...]:
    """Records that tell nothing: damaged, or written by a newer bringup. Their engines may run."""
    places = [paths.join(folders.engines, name) for name in files.list_names(folders.engines)]
    found = ((path, parse_whole(paths.basename(path).removesuffix(_SUFFIX))) for path in places)
    return tuple(
        path
        for path, port in found
        if path.endswith(_SUFFIX)
        and port is not None
        and read_record(folders, port) is None
        and files.exists(path)
    )


def find_record(folders: Folders, name: str) -> EngineRecord:
    """The engine meant by a port or by the model's name.

    Raises:
        WrongUse: none, or several.
    """
    records = list_running(folders)
    found = [r for r in records if name in (str(r.port), r.alias)]
    if len(found) == 1:
        return found[0]
    listed = tuple(f"{r.port}: {r.alias} ({r.state.value})" for r in records)
    if not records:
        raise no_engine_runs(f" on port {name}" if name.isdigit() else f", and so none called {name!r}")
    what = "several engines are" if found else "no engine is"
    hint = "Name it by its port." if found else "Name it by its port or model, as `bringup ps` lists them."
    raise WrongUse(f"{what} called {name!r}", context=listed, hint=hint, reference="engine-unknown")


def no_engine_runs(where: str = "") -> WrongUse:
    """The error where an engine is meant and there is none at all."""
    return WrongUse(
        f"no engine is running{where}", hint="bringup serve MODEL starts one.", reference="engine-unknown"
    )


def stop_running(folders: Folders, record: EngineRecord) -> bool:
    """End an engine and all that keeps it, and remove its record; whether all of it is gone.

    SIGTERM to its owner, SIGKILL to each process of the record after 11 s. Only the recorded processes
    themselves are ever signalled.
    """
    if process.send_signal(record.owner, signal.SIGTERM):
        for one in record.processes:
            # A stopped process (SIGSTOP) takes a signal only once it goes on.
            process.send_signal(one, signal.SIGCONT)
        _wait_gone(record, _STOP_S)
    for one in record.processes:
        process.send_signal(one, signal.SIGKILL)
    is_gone = _wait_gone(record, _KILL_S)
    if is_gone:
        remove_record(folders, record)
    return is_gone


def claimed_ports(folders: Folders) -> frozenset[int]:
    """Ports of detached engines that live, also of those that are between two starts."""
    return frozenset(r.port for r in list_running(folders) if r.is_live and r.is_detached)


def record_of(engine: RunningEngine) -> EngineRecord | None:
    """The record of an engine that runs in front, ready; `None` when it is gone already."""
    if engine.keeper_identity is None or engine.identity is None:
        return None
    return EngineRecord(
        port=engine.port,
        host=engine.settings.host,
        alias=engine.settings.alias,
        model_path=engine.settings.model_path,
        log_path=engine.log_path,
        started_s=wall_s(),
        state=EngineState.READY,
        owner=engine.keeper_identity,
        keeper=engine.keeper_identity,
        engine=engine.identity,
        has_key=engine.settings.api_key_file is not None,
        key_file=engine.settings.api_key_file or "",
    )


def _wait_gone(record: EngineRecord, timeout_s: float) -> bool:
    until_s = monotonic_s() + timeout_s
    while record.is_live:
        if monotonic_s() >= until_s:
            return False
        sleep_s(_LOOK_S)
    return True


def _path(folders: Folders, port: int) -> str:
    return paths.join(folders.engines, f"{port}{_SUFFIX}")


def _parse(data: bytes) -> EngineRecord | None:
    try:
        given = parse_json(data)
        if given.pop("schema") != SCHEMA:
            return None
        for name in ("owner", "keeper", "engine"):
            given[name] = None if given[name] is None else ProcessIdentity(**given[name])
        record = EngineRecord(**{**given, "state": EngineState(given["state"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    named = (one for one in (record.owner, record.keeper, record.engine) if one is not None)
    return record if _has_right_types(record) and all(map(_has_right_types, named)) else None


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "float": (float, int),
    "int": (int,),
    "str": (str,),
    "EngineState": (EngineState,),
    "ProcessIdentity": (ProcessIdentity,),
    "ProcessIdentity | None": (ProcessIdentity, NoneType),
}
"""What a field may hold, by its annotation."""


def _has_right_types(record: EngineRecord | ProcessIdentity) -> bool:
    """Whether each field holds what it says."""
    return all(type(getattr(record, one.name)) in _TYPES[str(one.type)] for one in fields(record))
