"""What the journal keeps of a run: what was started with what, what it measured, how it ended."""

from __future__ import annotations

import contextlib
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.journal.silent_ends import own_mark
from bringup.actions.journal.writing import Note, record
from bringup.actions.running.run_speed import MeasuredSpeed, speed_in_log
from bringup.engine.exits import EngineStopped
from bringup.errors import BringupError
from bringup.machine import clock, paths, process
from bringup.machine.folders import our_folders
from bringup.stack.engine_timings import RequestTimings
from bringup.units import MIB

if TYPE_CHECKING:
    from bringup.actions.running.preparation import EngineWishes, Preparation
    from bringup.engine.answers import EngineInfo, Timings
    from bringup.engine.registry import EngineRecord
    from bringup.store.local import LocalModel

_NAMES_ONLY: Final = ("api_key_file",)
"""Settings that are kept as set or not set."""


class RunRecord:
    """One engine from its start to its end. `trouble` says why something could not be written down."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.trouble = ""
        self._writing: Thread | None = None
        self._data: dict[str, Any] = {}
        self._planned: dict[str, Any] = {}
        self._started_s = 0.0
        self._name = ""
        self._speed = MeasuredSpeed()
        self._log_path = ""
        self._preparation: Preparation | None = None

    def failed(self, model: LocalModel, problem: BringupError, *, n_ctx: int | None = None) -> None:
        """An engine that could not be prepared or did not come up."""
        self._settle()
        name = name_of(model)
        data: dict[str, Any] = {
            "phase": "failed",
            "model": name,
            "reference": problem.reference,
            "how": problem.message,
            "context": list(problem.context),
        }
        if n_ctx is not None:
            data["n_ctx"] = n_ctx
        self._write(name, f"{name} could not be run: {problem.message}", data)

    def loading(self, preparation: Preparation) -> None:
        """What can be had while the engine loads: the first answer need not wait for it."""
        # Commands that only stop an engine need no planner.
        import bringup.journal.store  # noqa: F401 - so that writing starts at once
        from bringup.actions.running.prediction import planned_speed

        self._planned = planned_speed(preparation)

    def started(self, preparation: Preparation, info: EngineInfo) -> None:
        """It answers: what runs, and what the plan says it costs. No answer waits for the disk."""
        self._name = name_of(preparation.model)
        self._started_s = clock.monotonic_s()
        self._speed = MeasuredSpeed()
        self._log_path = preparation.log_path
        self._preparation = preparation
        self._data = {
            "run": process.random_bytes(4).hex(),
            "model": self._name,
            "repository": preparation.model.repository or "",
            "quant": preparation.model.quant,
            "size_bytes": preparation.model.size_bytes,
            "engine": f"{preparation.build.kind.value} {preparation.build.version}".strip(),
            "engine_build": info.build or None,
            "n_ctx": info.n_ctx,
            "n_slots": info.n_slots,
            "settings": _settings(preparation),
            "planned": self._planned,
            "plan": [
                {"name": part.name, "device": part.device, "bytes": part.bytes}
                for part in preparation.plan.parts
            ],
        }
        window = f"context window of {info.n_ctx:,} tokens"
        text = f"{self._name} runs on {self._data['engine']}, {window}"
        self._settle()
        data = {"phase": "started", **self._data, **own_mark()}
        self._writing = Thread(target=self._write, args=(self._name, text, data), name="journal")
        self._writing.start()

    def answered(self, timings: Timings | None) -> None:
        """An answer ended; the best speed of a run is kept."""
        if timings is not None:
            self._speed.add(
                RequestTimings(
                    timings.prompt_tokens, timings.prompt_s, timings.predicted_tokens, timings.predicted_s
                )
            )

    def ended(self, problem: BringupError | None, *, resident_bytes: int) -> None:
        """It is over: by our wish, or with the reason why not. All is written when this returns."""
        self._settle()
        if not self._data:
            return
        duration_s = clock.monotonic_s() - self._started_s
        how = "stopped" if problem is None else problem.message
        # Requests of other programs are told by the engine's own log alone.
        speed = self._speed if self._speed.n_tokens else speed_in_log(self._log_path)
        measured = {
            "duration_s": round(duration_s, 3),
            "resident_bytes": resident_bytes,
            **speed.data(),
            "how": how,
            "is_good": problem is None,
            "reference": "" if problem is None else problem.reference,
            "evidence": list(problem.reason.evidence) if isinstance(problem, EngineStopped) else [],
        }
        words = [f"{self._name}: {how} after {duration_s:,.0f} s"]
        if speed.n_tokens:
            words.append(f"{speed.n_tokens:,} tokens at {speed.fastest:.1f} tokens/s")
        if resident_bytes:
            words.append(f"{resident_bytes / MIB:,.0f} MiB in memory")
        self._write(self._name, ", ".join(words), {"phase": "ended", **self._data, **measured})
        self._data = {}
        if self._preparation is not None:
            learn_memory(self._preparation)

    def _settle(self) -> None:
        """Wait until what is being written is written."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None

    def _write(self, subject: str, text: str, data: dict[str, Any]) -> None:
        from bringup.journal.entry import Kind

        self.trouble = self.trouble or record(Note(Kind.RUN, subject, text, data))


def learn_memory(preparation: Preparation) -> None:
    """Let the next plan know what this engine took; a log that cannot be read teaches nothing."""
    from bringup.actions.running.measured_memory import keep_measured

    with contextlib.suppress(BringupError):
        keep_measured(preparation, our_folders())


def name_of(model: LocalModel) -> str:
    """What a model is called in the journal: its name, of a path the file's."""
    return paths.basename(model.name) or model.name


def record_detached(preparation: Preparation, wishes: EngineWishes) -> str:
    """A server that goes on behind us; a warning where it could not be written down."""
    from bringup.actions.running.prediction import planned_speed
    from bringup.journal.entry import Kind

    learn_memory(preparation)
    build = preparation.build
    engine = f"{build.kind.value} {build.version}".strip()
    name = name_of(preparation.model)
    data = {
        "phase": "started",
        "is_detached": True,
        "model": name,
        "engine": engine,
        "n_ctx": preparation.plan.n_ctx,
        "n_slots": wishes.n_parallel,
        "port": preparation.settings.port,
        "settings": _settings(preparation),
        "planned": planned_speed(preparation),
    }
    text = f"{name} is served in the background by {engine} on port {preparation.settings.port}"
    return record(Note(Kind.RUN, name, text, data))


def record_stopped(engine: EngineRecord, *, is_gone: bool) -> str:
    """A server that was stopped, or found failed; a warning where it could not be written down."""
    from bringup.journal.entry import Kind

    words = "stopped" if is_gone else "could not be stopped"
    cause = f"; it had failed before: {engine.cause}" if engine.cause else ""
    data = {
        "phase": "ended",
        "is_detached": engine.is_detached,
        "model": engine.alias,
        "port": engine.port,
        **speed_in_log(engine.log_path).data(),
        "how": engine.cause or words,
        "is_good": is_gone and not engine.cause,
        "reference": engine.reference,
        "restarts": engine.restarts,
    }
    text = f"{engine.alias} on port {engine.port}: {words}{cause}"
    return record(Note(Kind.RUN, engine.alias, text, data))


def _settings(preparation: Preparation) -> dict[str, Any]:
    """What the engine was told, without paths of keys."""
    from dataclasses import fields
    from enum import Enum

    told: dict[str, Any] = {}
    for member in fields(preparation.settings):
        value = getattr(preparation.settings, member.name)
        if member.name in _NAMES_ONLY:
            told[member.name] = value is not None
        elif isinstance(value, Enum):
            told[member.name] = value.value
        elif value not in (None, (), ""):
            told[member.name] = list(value) if isinstance(value, tuple) else value
    return told
