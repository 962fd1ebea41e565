"""The engines that run for this user: list them with a look at each, stop them, find their logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bringup.actions.running.run_record import record_stopped
from bringup.engine.answers import EngineInfo
from bringup.engine.api import EngineApi
from bringup.engine.key import engine_key
from bringup.engine.registry import (
    EngineRecord,
    EngineState,
    find_record,
    list_running,
    no_engine_runs,
    stop_running,
    unread_records,
)
from bringup.errors import BringupError, WrongUse
from bringup.machine import clock, files, paths, sockets
from bringup.machine.folders import Folders
from bringup.records import dataclass

_LOOK_TIMEOUT_S: Final = 0.8
_TAIL_LIMIT_BYTES: Final = 4 * 1024**2
_FOLLOW_S: Final = 0.25
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One engine: what was recorded, and what it answers now.

    Attributes:
        record: what was recorded.
        is_answering: it took a request within 0.8 s.
        info: the engine in its own words; `None` when it does not answer, or wants a key that is not ours.
    """

    record: EngineRecord
    is_answering: bool
    info: EngineInfo | None

    @property
    def state(self) -> str:
        """One word or two; never `ready` for an engine that does not answer."""
        if self.record.state is EngineState.READY and not self.is_answering:
            return "not answering"
        return self.record.state.value


def list_engines(folders: Folders) -> tuple[EngineStatus, ...]:
    """All engines, looked at side by side, so that one that hangs holds up nobody."""
    records = list_running(folders)
    if not records:
        return ()
    from concurrent.futures import ThreadPoolExecutor  # a costly import, which a list of none need not pay

    with ThreadPoolExecutor(max_workers=min(16, len(records))) as pool:
        return tuple(pool.map(lambda record: _look(record, folders), records))


def engine_ports(folders: Folders) -> tuple[tuple[str, str], ...]:
    """Port and model of each, as they are recorded; no engine is asked."""
    return tuple((str(record.port), record.alias) for record in list_running(folders))


def unread_engines(folders: Folders) -> tuple[str, ...]:
    """Records of engines that tell nothing; what they were about may run."""
    return unread_records(folders)


def stop_engines(folders: Folders, name: str | None, *, every: bool) -> Iterator[tuple[EngineRecord, bool]]:
    """Stop the named engine, the only one, or all; yields each with whether it is gone.

    Raises:
        WrongUse: no such engine, or several and none named.
    """
    records = list_running(folders) if every else (_pick(folders, name),)
    for record in records:
        is_gone = stop_running(folders, record)
        if not record.is_noted:
            record_stopped(record, is_gone=is_gone)
        yield record, is_gone


def find_log(folders: Folders, name: str | None) -> tuple[str, EngineRecord | None]:
    """The log of the named engine or of the only one; also of one that is gone, by its port.

    Raises:
        WrongUse: no such engine and no such log.
    """
    if name is not None and name.isascii() and name.isdigit():
        path = paths.join(folders.logs, f"{int(name)}.log")
        running = [record for record in list_running(folders) if record.port == int(name)]
        if not running and files.exists(path):
            return path, None
    record = _pick(folders, name)
    return record.log_path, record


def read_tail(path: str, n_lines: int) -> tuple[str, int]:
    """The last lines of a log (of its last 4 MiB at most) and the size up to which it was read.

    Raises:
        FileTrouble: it cannot be read.
    """
    size = files.size_bytes(path)
    start = max(0, size - _TAIL_LIMIT_BYTES)
    with files.open_binary(path) as log, files.file_errors("read", path):
        log.seek(start)
        data = log.read(size - start)
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    if start and len(lines) > 1:
        lines = lines[1:]
    return "".join(lines[-n_lines:] if n_lines else []), size


def follow(path: str, position: int, record: EngineRecord | None) -> Iterator[str]:
    """What is added to a log from now on, through its turning over; ends soon after its engine has ended."""
    while True:
        is_live = record is not None and record.is_live
        size = files.size_bytes(path)
        if size < position:
            position = 0
        if size > position:
            with files.open_binary(path) as log, files.file_errors("read", path):
                log.seek(position)
                data = log.read(min(size - position, _TAIL_LIMIT_BYTES))
            position += len(data)
            yield data.decode("utf-8", "replace")
        elif not is_live:
            return
        else:
            clock.sleep_s(_FOLLOW_S)


def _pick(folders: Folders, name: str | None) -> EngineRecord:
    if name is not None:
        return find_record(folders, name)
    records = list_running(folders)
    if len(records) == 1:
        return records[0]
    if not records:
        raise no_engine_runs()
    raise WrongUse(
        "several engines are running",
        context=tuple(f"{record.port}: {record.alias} ({record.state.value})" for record in records),
        hint="Name one by its port.",
        reference="engine-unknown",
    )


def _look(record: EngineRecord, folders: Folders) -> EngineStatus:
    """Ask the engine itself, if the port is surely its own: a stranger gets neither trust nor key."""
    engine = record.engine
    if engine is None or not record.is_live or not sockets.is_only_listener(engine.pid, record.port):
        return EngineStatus(record, is_answering=False, info=None)
    host = _ANYWHERE.get(record.host, record.host)
    address = f"http://[{host}]:{record.port}" if ":" in host else f"http://{host}:{record.port}"
    try:
        key = engine_key(folders, has_key=record.has_key, key_file=record.key_file)
        api = EngineApi(address, key, timeout_s=_LOOK_TIMEOUT_S)
        is_answering = api.health()
    except BringupError:
        return EngineStatus(record, is_answering=False, info=None)
    try:
        return EngineStatus(record, is_answering, api.info())
    except BringupError:
        return EngineStatus(record, is_answering, None)
