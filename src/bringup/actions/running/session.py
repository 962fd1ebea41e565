"""An engine held open for a talk: started, restarted with another window or model, ended with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from bringup.actions.running.preparation import EngineWishes, Preparation, prepare
from bringup.actions.running.run_record import RunRecord
from bringup.actions.surroundings import Surroundings
from bringup.engine.exits import EngineStopped, ExitKind
from bringup.engine.registry import EngineRecord, record_of, remove_record, write_record
from bringup.engine.start import start_engine
from bringup.errors import BringupError, EngineError, FileTrouble, WrongUse
from bringup.machine import clock, process
from bringup.records import replace

if TYPE_CHECKING:
    from bringup.engine.answers import EngineInfo, Timings
    from bringup.engine.api import EngineApi
    from bringup.engine.loading import LoadProgress
    from bringup.engine.server import RunningEngine
    from bringup.engine.waiting import WaitingEngine
    from bringup.machine.process import ProcessIdentity
    from bringup.store.local import LocalModel

_PORT_TRIES = 4
_DEATH_IS_SEEN_WITHIN_S = 2.0


class SessionWatcher(Protocol):
    """What a face is told while an engine is started."""

    def prepared(self, preparation: Preparation) -> None:
        """What will be started."""

    def launched(self) -> None:
        """It loads from now on; what takes long can be done meanwhile."""

    def loading(self, progress: LoadProgress) -> None:
        """Told about ten times a second until the engine is ready."""

    def ready(self, preparation: Preparation, info: EngineInfo) -> None:
        """It answers; `info` is in its own words."""

    def fell_back(self) -> None:
        """The wished change failed and the engine before it is started again."""

    def not_recorded(self, why: str) -> None:
        """Something about this run could not be written to the journal; told once."""


class EngineSession:
    """One engine at a time. Use it as a context manager: leaving the block stops the engine."""

    def __init__(
        self, model: LocalModel, wishes: EngineWishes, surroundings: Surroundings, watcher: SessionWatcher
    ) -> None:
        """Prepares and starts; the engine answers when this returns.

        Raises:
            BringupError: the model cannot be read, does not fit, or the engine does not start.
        """
        self._surroundings = surroundings
        self._watcher = watcher
        self._wishes = wishes
        self.model = model
        self._record: EngineRecord | None = None
        self._journal = RunRecord()
        self._said_trouble = False
        self._preparation, self._engine, self._info = self._start(model, wishes)

    @property
    def api(self) -> EngineApi:
        """The engine's API."""
        return self._engine.api()

    @property
    def n_ctx(self) -> int:
        """The context window in tokens, as the engine itself says."""
        return self._info.n_ctx

    @property
    def alias(self) -> str:
        """The model's name in the API."""
        return self._preparation.settings.alias

    @property
    def preparation(self) -> Preparation:
        """What the engine was started with."""
        return self._preparation

    @property
    def info(self) -> EngineInfo:
        """The engine in its own words."""
        return self._info

    def poll(self) -> BringupError | None:
        """Why the engine ended, `None` while it lives."""
        reason = self._engine.poll()
        if reason is not None and reason.kind is ExitKind.STOPPED:
            # By `bringup stop`, or by us when a restart was interrupted.
            return EngineError("the engine was stopped", reference="engine-stopped")
        return None if reason is None else EngineStopped(reason)

    @property
    def engine_identity(self) -> ProcessIdentity | None:
        """The engine's process."""
        return self._engine.identity

    def why_ended(self) -> BringupError | None:
        """As `poll`, for when a connection broke: that happens before the process is gone.

        An engine that still answers lives; one that does not gets a moment for its end to be seen.
        """
        if self.poll() is None and self._is_answering():
            return None
        until_s = clock.monotonic_s() + _DEATH_IS_SEEN_WITHIN_S
        while (cause := self.poll()) is None and clock.monotonic_s() < until_s:
            clock.sleep_s(0.05)
        return cause

    def _is_answering(self) -> bool:
        from bringup.engine.answer_errors import EngineGone

        try:
            return self.api.health()
        except EngineGone:
            return False

    def larger_n_ctx(self, *, needed_tokens: int = 0) -> int | None:
        """The next window worth offering: doubled until it holds what is needed, at most the trained one."""
        trained = self._preparation.plan.n_ctx_train
        larger = 2 * self.n_ctx
        while larger <= needed_tokens:
            larger *= 2
        larger = min(larger, trained) if trained else larger
        return larger if larger > max(self.n_ctx, needed_tokens) else None

    def restart(self, *, n_ctx: int | None = None) -> None:
        """Start the engine anew, with another window where one is given.

        Raises:
            BringupError: it could not be; the engine before it runs again, if that could be.
        """
        self._change(self.model, replace(self._wishes, n_ctx=n_ctx or self._wishes.n_ctx))

    def change_model(self, model: LocalModel) -> None:
        """Run another model; the alias and window that were asked for belonged to the old one.

        Raises:
            BringupError: as `restart`.
        """
        self._change(model, replace(self._wishes, n_ctx=None, alias=None))

    def answered(self, timings: Timings | None) -> None:
        """Note what an answer measured, for the journal."""
        self._journal.answered(timings)

    def close(self) -> None:
        """Stop the engine."""
        died, pid = self.poll(), self._engine.pid
        resident_bytes = process.work_of(pid).resident_bytes if pid else 0
        self._engine.stop()
        self._journal.ended(died, resident_bytes=resident_bytes)
        self._tell_trouble()
        if self._record is not None:
            remove_record(self._surroundings.folders, self._record)
            self._record = None

    def __enter__(self) -> Self:
        """The session itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the engine."""
        self.close()

    def _change(self, model: LocalModel, wishes: EngineWishes) -> None:
        # Stopped first: two models at once may not fit, and the plan counts what is free.
        self.close()
        try:
            started = self._start(model, wishes)
        except BringupError:
            self._watcher.fell_back()
            self._preparation, self._engine, self._info = self._start(self.model, self._wishes)
            raise
        self._preparation, self._engine, self._info = started
        self.model, self._wishes = model, wishes

    def _register(self, engine: RunningEngine) -> None:
        """Let other commands know of it; a full disk keeps nobody from an answer."""
        self._record = record_of(engine)
        if self._record is None:
            return
        try:
            write_record(self._surroundings.folders, self._record)
        except FileTrouble as problem:
            self._record = None
            self._watcher.not_recorded(
                f"bringup ps, stop and top do not know of this engine: {problem.message}"
            )

    def _tell_trouble(self) -> None:
        if self._journal.trouble and not self._said_trouble:
            self._said_trouble = True
            self._watcher.not_recorded(self._journal.trouble)

    def _start(
        self, model: LocalModel, wishes: EngineWishes
    ) -> tuple[Preparation, RunningEngine, EngineInfo]:
        try:
            return self._started(model, wishes)
        except BringupError as problem:
            self._journal.failed(model, problem, n_ctx=wishes.n_ctx)
            self._tell_trouble()
            raise

    def _started(
        self, model: LocalModel, wishes: EngineWishes
    ) -> tuple[Preparation, RunningEngine, EngineInfo]:
        for tries_left in reversed(range(_PORT_TRIES)):
            preparation = prepare(model, wishes, self._surroundings)
            self._watcher.prepared(preparation)
            engine = launch(preparation, self._surroundings.waiting)
            try:
                self._watcher.launched()
                self._journal.loading(preparation)
                info = engine.wait_ready(self._watcher.loading)
            except EngineStopped as stopped:
                if stopped.reason.kind is ExitKind.PORT_TAKEN and wishes.may_move_port and tries_left:
                    continue
                raise
            except BaseException:
                engine.stop()
                raise
            self._register(engine)
            self._watcher.ready(preparation, info)
            self._journal.started(preparation, info)
            return preparation, engine, info
        raise WrongUse("every port that was tried was taken in the same moment", reference="port-in-use")


def launch(preparation: Preparation, waiting: WaitingEngine | None = None) -> RunningEngine:
    """Start what was prepared, in the process that waits where there is one; it loads when this returns."""
    engine = start_engine(
        preparation.build,
        preparation.settings,
        log_path=preparation.log_path,
        environment=preparation.environment.variables,
        memory_limit_bytes=preparation.plan.memory_limit_bytes,
        waiting=waiting,
    )
    engine.distrust(preparation.model_texts)
    return engine
