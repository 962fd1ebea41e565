"""The engines of a live view: those that bringup started, and others that run beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bringup.actions.live.engine_watch import EngineTarget, EngineWatch
from bringup.actions.live.sample import LiveEngine
from bringup.engine.registry import EngineRecord, EngineState, list_running
from bringup.machine import clock, paths, process
from bringup.machine.folders import Folders
from bringup.machine.process import ProcessIdentity
from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Known, Reading
from bringup.records import replace
from bringup.stack.engines import EngineProcess, probe_cached_bytes, probe_engines

_SEARCH_S: Final = 15.0
"""How often all processes are searched for engines, and the page cache for their models."""

_ASKED: Final = frozenset({"llama-server", "llama"})
"""Engines of others that speak llama.cpp's API."""


class EngineLooks:
    """Finds engines and keeps a watcher for each that can be asked; for one thread.

    `trouble` says why engines of others could not be looked for; it is empty where they could.

    Args:
        machine: where to look.
        folders: ours; `None` for a machine that is not this one, whose engines are only seen in /proc.
        interval_s: how often each engine is asked.
    """

    def __init__(self, machine: Machine, folders: Folders | None, *, interval_s: float) -> None:
        self.trouble = ""
        self._machine = machine
        self._folders = folders
        self._interval_s = interval_s
        self._seen: dict[int, EngineProcess] = {}
        self._identities: dict[int, ProcessIdentity | None] = {}
        self._searched_s = float("-inf")
        self._cached: dict[str, Reading[int]] = {}
        self._watches: dict[EngineTarget, EngineWatch] = {}

    def look(self) -> tuple[LiveEngine, ...]:
        """All engines now."""
        records = list_running(self._folders) if self._folders is not None else ()
        ours = {record.engine.pid for record in records if record.engine is not None}
        now_s = clock.monotonic_s()
        if now_s - self._searched_s >= _SEARCH_S or ours - self._seen.keys():
            self._search(records)
            self._searched_s = now_s
        targets: dict[EngineTarget, None] = {}
        found = [self._of_record(record, targets) for record in records]
        hidden = ours | {one.pid for record in records for one in record.processes}
        for engine in tuple(self._seen.values()):
            if engine.process_id not in hidden and self._is_there(engine.process_id):
                found.append(self._of_process(engine, targets))
        for target in [target for target in self._watches if target not in targets]:
            self._watches.pop(target).stop()
        return tuple(found)

    def close(self) -> None:
        """Ask no engine any more."""
        for watch in self._watches.values():
            watch.stop()
        self._watches.clear()

    def _is_there(self, process_id: int) -> bool:
        """Whether what the last search saw still lives; of a machine that is not this one all is kept."""
        identity = self._identities.get(process_id)
        return self._folders is None or (identity is not None and process.is_alive(identity))

    def _search(self, records: Iterable[EngineRecord]) -> None:
        engines = probe_engines(self._machine)
        found = engines.value if isinstance(engines, Known) else ()
        self.trouble = getattr(engines, "why", "/proc is not there") if not isinstance(engines, Known) else ""
        self._seen = {engine.process_id: engine for engine in found}
        if self._folders is not None:
            self._identities = {number: process.identity_of(number) for number in self._seen}
        paths_of_ours = {record.model_path for record in records}
        self._cached = {path: probe_cached_bytes(self._machine, path) for path in sorted(paths_of_ours)}

    def _of_record(self, record: EngineRecord, targets: dict[EngineTarget, None]) -> LiveEngine:
        identity = record.engine
        seen = self._seen.get(identity.pid) if identity is not None else None
        engine = LiveEngine(
            process_id=identity.pid if identity is not None else 0,
            identity=identity,
            program="bringup",
            name=record.alias,
            model_path=record.model_path,
            port=record.port,
            is_ours=True,
            state=record.state.value,
            trouble=record.cause if record.state is EngineState.FAILED else "",
        )
        if seen is not None:
            engine = _with_process(engine, seen)
        engine = replace(engine, model_cached_bytes=self._cached.get(record.model_path, NOT_LOOKED))
        if identity is None or record.state is not EngineState.READY:
            return engine
        command = seen.command if seen is not None else ()
        target = EngineTarget(
            identity.pid,
            record.host,
            record.port,
            record.has_key,
            record.log_path,
            command,
            record.key_file,
        )
        return self._with_answers(engine, target, targets)

    def _of_process(self, seen: EngineProcess, targets: dict[EngineTarget, None]) -> LiveEngine:
        is_live = self._folders is not None
        engine = LiveEngine(
            process_id=seen.process_id,
            identity=process.identity_of(seen.process_id) if is_live else None,
            program=seen.program,
            name=paths.basename(seen.model_path),
            model_path=seen.model_path,
            port=seen.port,
            is_ours=False,
            state="not asked",
        )
        engine = _with_process(engine, seen)
        if not is_live or seen.port is None or seen.program not in _ASKED or "--api-key" in seen.command:
            return engine
        target = EngineTarget(seen.process_id, "127.0.0.1", seen.port, False, "", seen.command)
        return self._with_answers(engine, target, targets)

    def _with_answers(
        self, engine: LiveEngine, target: EngineTarget, targets: dict[EngineTarget, None]
    ) -> LiveEngine:
        assert self._folders is not None
        targets[target] = None
        watch = self._watches.get(target)
        if watch is None:
            watch = self._watches[target] = EngineWatch(target, self._folders, interval_s=self._interval_s)
            watch.start()
        told = watch.latest
        state = "ready" if not told.trouble else "not answering"
        return replace(
            engine,
            name=(told.info.alias if told.info is not None else "") or engine.name,
            model_path=(told.info.model_path if told.info is not None else "") or engine.model_path,
            state=state if told.looked_s or told.info is not None else engine.state,
            build=told.info.build if told.info is not None else "",
            window_tokens=told.info.n_ctx if told.info is not None else None,
            has_page=told.info is not None and told.info.has_page,
            slots=told.slots,
            totals=told.totals,
            speed=told.speed,
            memory=told.memory,
            age_s=max(0.0, clock.monotonic_s() - told.looked_s) if told.looked_s else 0.0,
            trouble=told.trouble,
        )


def _with_process(engine: LiveEngine, seen: EngineProcess) -> LiveEngine:
    return replace(
        engine,
        resident_bytes=seen.resident_bytes,
        model_cached_bytes=seen.model_cached_bytes,
        has_cuda=seen.has_cuda,
    )
