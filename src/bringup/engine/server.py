"""One running engine: loading, ready, stop, and the reason of its end. `start` starts it.

The engine is a grandchild: its keeper stands between (see `keeper`). Facts of a ready engine come from its
HTTP API, after it was made sure that the port belongs to this very process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Final, Self

from bringup.engine.answer_errors import EngineGone, StillLoading
from bringup.engine.answers import EngineInfo
from bringup.engine.api import EngineApi
from bringup.engine.causes import Scene, explain
from bringup.engine.exits import EngineStopped, ExitReason
from bringup.engine.job import Ended, NotStarted, Started
from bringup.engine.loading import LoadProgress, LoadWatch, Stall, StallLimits
from bringup.engine.watch import foreign_lines
from bringup.machine import files, memory_kills, sockets
from bringup.machine.clock import monotonic_s, sleep_s
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.engine.build import EngineBuild
    from bringup.engine.command import EngineSettings
    from bringup.engine.keeping import KeeperLink
    from bringup.machine.memory_kills import KillCount
    from bringup.machine.process import ProcessIdentity

_POLL_S: Final = 0.025
_LOOK_S: Final = 0.003
_TELL_S: Final = 0.1
_STOP_GRACE_S: Final = 2.0


@dataclass(slots=True)
class _Life:
    """What is known of the process so far."""

    identity: ProcessIdentity | None = None
    reason: ExitReason | None = None
    was_ready: bool = False
    is_ours: bool = False
    stall: Stall | None = None
    kills_before: KillCount | None = None
    foreign: frozenset[str] = frozenset()
    watch: LoadWatch = field(default_factory=LoadWatch)


class RunningEngine:
    """An engine that was started by us. Use it as a context manager: leaving the block stops it."""

    def __init__(
        self, build: EngineBuild, settings: EngineSettings, link: KeeperLink, *, log_path: str
    ) -> None:
        self.build = build
        self.settings = settings
        self.log_path = log_path
        self._link = link
        self._life = _Life()
        self._key = _first_key(settings.api_key_file)

    @property
    def port(self) -> int:
        """The engine's own port."""
        return self.settings.port

    @property
    def base_url(self) -> str:
        """Where the API is, without `/v1`; loopback when the engine listens everywhere."""
        return f"http://{_bracket(self._reachable_host())}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The engine's process; `None` in the first moments and when it never ran."""
        self._take_events()
        return _pid(self._life)

    @property
    def identity(self) -> ProcessIdentity | None:
        """The engine's process, not to be mistaken."""
        self._take_events()
        return self._life.identity

    @property
    def keeper_identity(self) -> ProcessIdentity | None:
        """The keeper's process: SIGTERM to it stops the engine."""
        return self._link.identity

    def api(self, *, timeout_s: float = 10.0) -> EngineApi:
        """A client of this engine, with its key."""
        return EngineApi(self.base_url, self._key, timeout_s=timeout_s)

    def distrust(self, model_texts: tuple[str, ...]) -> None:
        """Take no log line for evidence that these strings of the model's header could have made."""
        self._life.foreign = foreign_lines(model_texts)

    def poll(self) -> ExitReason | None:
        """Why it ended, `None` while it lives."""
        self._take_events()
        return self._life.reason

    def wait_ready(
        self,
        on_progress: Callable[[LoadProgress], None] | None = None,
        *,
        limits: StallLimits | None = None,
    ) -> EngineInfo:
        """Wait until the model is loaded and the API answers.

        Args:
            on_progress: called about ten times a second.
            limits: how long no progress is borne.

        Raises:
            EngineStopped: it ended, or made no progress and was ended.
        """
        told_s = 0.0
        while True:
            self._raise_if_ended()
            log_bytes = files.size_bytes(self.log_path)
            if (info := self._ask()) is not None:
                self._life.was_ready = True
                return info
            if monotonic_s() - told_s >= _TELL_S:
                told_s = monotonic_s()
                self._look(on_progress, limits or StallLimits())
            self._pause(log_bytes)

    def _pause(self, log_bytes: int) -> None:
        """A moment until it is asked again; less when it writes to its log, as it does once it is loaded."""
        until_s = monotonic_s() + _POLL_S
        while files.size_bytes(self.log_path) == log_bytes and monotonic_s() < until_s:
            sleep_s(_LOOK_S)

    def _look(self, on_progress: Callable[[LoadProgress], None] | None, limits: StallLimits) -> None:
        progress = self._life.watch.look(self.pid, self.log_path)
        if on_progress is not None:
            on_progress(progress)
        self._life.stall = self._life.watch.stalled(limits)
        if self._life.stall is not None:
            raise EngineStopped(self.stop())

    def _ask(self) -> EngineInfo | None:
        if not self._is_ours():
            return None
        api = self.api(timeout_s=2.0)
        try:
            return api.info() if api.health() else None
        except (EngineGone, StillLoading):
            return None

    def _is_ours(self) -> bool:
        """Whether it is this engine that listens: a stranger on the port gets no request and no key."""
        life = self._life
        if not life.is_ours:
            pid = self.pid
            is_up = pid is not None and sockets.accepts(self._reachable_host(), self.port)
            life.is_ours = is_up and pid is not None and sockets.is_only_listener(pid, self.port)
        return life.is_ours

    def stop(self, timeout_s: float = 10.0) -> ExitReason:
        """End it: SIGTERM, then SIGKILL after `timeout_s`; its reason, also when it had already ended."""
        reason = self.poll()
        if reason is None:
            self._link.ask_to_stop(timeout_s)
            reason = self.wait_end(timeout_s + _STOP_GRACE_S)
        if reason is None:
            self._link.kill()
            reason = self.wait_end(0)
        self._link.close()
        assert reason is not None, "a killed keeper is the end"
        return reason

    @property
    def key(self) -> str | None:
        """The key that requests need; `None` when there is none."""
        return self._key

    def wait_end(self, timeout_s: float) -> ExitReason | None:
        """Wait for its end at most so long; its reason, `None` when it still lives."""
        until_s = monotonic_s() + timeout_s
        while (reason := self.poll()) is None and (left_s := until_s - monotonic_s()) > 0:
            self._link.wait_event(min(0.5, left_s))
        return reason

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _take_events(self) -> None:
        for event in self._link.events():
            if isinstance(event, Started):
                self._life.identity = event.identity
                self._life.kills_before = memory_kills.count_kills(event.identity.pid)
            else:
                self._conclude(event)
        if self._life.reason is None and self._link.is_over:
            self._conclude(None)

    def _conclude(self, event: Ended | NotStarted | None) -> None:
        if self._life.reason is None:
            self._life.reason = explain(
                Scene(
                    event=event,
                    log_path=self.log_path,
                    was_ready=self._life.was_ready,
                    port=self.port,
                    pid=_pid(self._life),
                    stall=self._life.stall,
                    foreign=self._life.foreign,
                    kills_before=self._life.kills_before,
                )
            )

    def _raise_if_ended(self) -> None:
        reason = self.poll()
        if reason is not None:
            self._link.close()
            raise EngineStopped(reason)

    def _reachable_host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)


def _pid(life: _Life) -> int | None:
    return life.identity.pid if life.identity else None


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _first_key(path: str | None) -> str | None:
    if path is None:
        return None
    text = (files.read_small(path, limit_bytes=64 * 1024) or b"").decode("utf-8", "replace")
    return next((line for line in text.splitlines() if line and not line.startswith("#")), None)
