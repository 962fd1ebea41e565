"""Asks one engine again and again, in a thread of its own, so that a slow one holds up nobody.

An engine answers between two steps of its work; while it reads a long prompt that takes seconds. The last
answer stays, with its age.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final, TypeVar

from bringup.actions.live.engine_memory import find_engine_memory
from bringup.actions.live.sample import EngineMemory, Speed
from bringup.engine.answer_errors import RequestRefused
from bringup.engine.answers import EngineInfo, Slot
from bringup.engine.api import EngineApi
from bringup.engine.key import engine_key
from bringup.engine.totals import EngineTotals
from bringup.errors import BringupError
from bringup.machine import clock, sockets
from bringup.machine.folders import Folders
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable
from bringup.records import dataclass, replace

T = TypeVar("T")

LATELY_S: Final = 300.0
_TIMEOUT_S: Final = 8.0
_ASK_AGAIN_S: Final = 60.0
_TROUBLE_S: Final = 3.0
"""Least time until an engine is asked again that did not answer, or wants a key that is not ours."""

_TOTALS_AGAIN_S: Final = 5.0
"""How often an engine at rest is asked for its counters, which stand still then."""

_CHECK_AGAIN_S: Final = 15.0
"""How often it is made sure that nobody else listens beside it: on a busy machine that takes milliseconds."""

NOT_ASKED_YET: Final = "not asked yet"
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class EngineTarget:
    """Which engine is asked, and how.

    Attributes:
        process_id: only this process may be the one that listens.
        host: where it listens.
        port: likewise.
        has_key: our key is sent; to engines of ours only.
        key_file: the file that the engine has it from; empty for the user's own.
        log_path: its log; empty where we do not have it.
        command: its command line.
    """

    process_id: int
    host: str
    port: int
    has_key: bool
    log_path: str
    command: tuple[str, ...]
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class EngineLook:
    """What an engine last answered; `looked_s` is a monotonic time, 0 before the first answer."""

    looked_s: float = 0.0
    trouble: str = NOT_ASKED_YET
    info: EngineInfo | None = None
    slots: Reading[tuple[Slot, ...]] = NOT_LOOKED
    totals: Reading[EngineTotals] = NOT_LOOKED
    speed: Speed = field(default_factory=Speed)
    memory: Reading[EngineMemory] = NOT_LOOKED


class EngineWatch:
    """One engine's watcher; `latest` may be read from any thread."""

    def __init__(
        self,
        target: EngineTarget,
        folders: Folders,
        *,
        interval_s: float,
        clock_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        """Starts nothing; `clock_s` is the clock of spans."""
        self._target = target
        self._folders = folders
        self._interval_s = interval_s
        self._clock_s = clock_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"engine-{target.port}", daemon=True)
        self._meter = SpeedMeter()
        self._asked_info_s = 0.0
        self._asked_totals_s = float("-inf")
        self._sockets: frozenset[str] = frozenset()
        self._checked_s = float("-inf")
        self.latest = EngineLook()

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; returns at once."""
        self._stop.set()

    def look(self) -> None:
        """Ask once and keep the answer."""
        before = self.latest
        try:
            self.latest = self._ask(before)
        except BringupError as problem:
            self.latest = replace(before, trouble=problem.message, speed=Speed())

    def _run(self) -> None:
        while not self._stop.is_set():
            started_s = self._clock_s()
            self.look()
            pause_s = max(self._interval_s, _TROUBLE_S) if self.latest.trouble else self._interval_s
            self._stop.wait(max(0.05, pause_s - (self._clock_s() - started_s)))

    def _ask(self, before: EngineLook) -> EngineLook:
        target = self._target
        if not self._is_it():
            return EngineLook(before.looked_s, "it does not listen on its port", before.info)
        api = self._api()
        info, memory = before.info, before.memory
        now_s = self._clock_s()
        if info is None or now_s - self._asked_info_s > _ASK_AGAIN_S:
            info = api.info()
            self._asked_info_s = now_s
        if memory is NOT_LOOKED:
            memory = find_engine_memory(
                log_path=target.log_path, info=info, command=target.command, folders=self._folders
            )
        slots = _told("/slots", api.slots)
        now_s = self._clock_s()
        totals = before.totals
        is_late = now_s - self._asked_totals_s > _TOTALS_AGAIN_S
        if _is_working(slots) or slots != before.slots or is_late:
            totals = _told("/metrics", api.totals)
            now_s = self._asked_totals_s = self._clock_s()
        speed = self._meter.measure(now_s, slots, totals)
        return EngineLook(now_s, "", info, slots, totals, speed, memory)

    def _is_it(self) -> bool:
        """Whether the process, and nobody else, listens; in between, whether it still does."""
        process_id, now_s = self._target.process_id, self._clock_s()
        if now_s - self._checked_s < _CHECK_AGAIN_S and sockets.holds_sockets(process_id, self._sockets):
            return True
        self._sockets = sockets.sole_listener_sockets(process_id, self._target.port)
        self._checked_s = now_s
        return bool(self._sockets)

    def _api(self) -> EngineApi:
        host = _ANYWHERE.get(self._target.host, self._target.host)
        shown = f"[{host}]" if ":" in host else host
        key = engine_key(self._folders, has_key=self._target.has_key, key_file=self._target.key_file)
        return EngineApi(f"http://{shown}:{self._target.port}", key, timeout_s=_TIMEOUT_S)


def _is_working(slots: Reading[tuple[Slot, ...]]) -> bool:
    """Whether a slot is at work, or may be: nobody told."""
    return not isinstance(slots, Known) or any(slot.is_processing for slot in slots.value)


def _told(path: str, ask: Callable[[], T]) -> Reading[T]:
    """One answer; a route that the engine was told not to have is absent."""
    try:
        return Known(ask(), path)
    except RequestRefused as problem:
        words = " ".join(problem.context) or problem.message
        is_off = "HTTP 501" in problem.message or "HTTP 404" in problem.message
        return Absent(path) if is_off else Unreadable(path, words[:200])


class SpeedMeter:
    """Makes speeds of counts: now from what the slots gained, lately from what the totals gained."""

    def __init__(self) -> None:
        """Nothing is measured before the second look."""
        self._before: tuple[float, tuple[Slot, ...]] | None = None
        self._ended: deque[tuple[float, EngineTotals]] = deque(maxlen=1024)

    def measure(self, now_s: float, slots: Reading[tuple[Slot, ...]], totals: Reading[EngineTotals]) -> Speed:
        """Take one look into account."""
        now = self._now(now_s, slots)
        generated_lately, read_lately, lately_s = self._lately(now_s, totals)
        return replace(now, generated_lately=generated_lately, read_lately=read_lately, lately_s=lately_s)

    def _now(self, now_s: float, slots: Reading[tuple[Slot, ...]]) -> Speed:
        if not isinstance(slots, Known):
            self._before = None
            return Speed()
        before, self._before = self._before, (now_s, slots.value)
        working = [slot for slot in slots.value if slot.is_processing]
        if not working:
            return Speed(0.0, 0.0)
        if before is None or now_s <= before[0]:
            return Speed()
        earlier = {slot.id: slot for slot in before[1] if slot.is_processing}
        generated = read = 0
        for slot in working:
            if slot.n_generated is None or slot.n_read is None:
                continue
            old = _same_task(slot, earlier)
            generated += max(0, slot.n_generated - ((old.n_generated or 0) if old else 0))
            read += max(0, slot.n_read - ((old.n_read or 0) if old else 0))
        old = _same_task(working[0], earlier) if len(working) == len(earlier) == 1 else None
        passed_s = now_s - before[0]
        return Speed(
            generated / passed_s,
            read / passed_s,
            generates_throughout=old is not None and bool(old.n_generated) and not read,
            reads_throughout=old is not None and bool(working[0].n_prompt_left) and not generated,
        )

    def _lately(
        self, now_s: float, totals: Reading[EngineTotals]
    ) -> tuple[float | None, float | None, float]:
        if not isinstance(totals, Known):
            self._ended.clear()
            return None, None, 0.0
        last = self._ended[-1][1] if self._ended else None
        if last is not None and (totals.value.predicted_tokens or 0) < (last.predicted_tokens or 0):
            self._ended.clear()
        if last != totals.value:
            self._ended.append((now_s, totals.value))
        while len(self._ended) > 1 and now_s - self._ended[1][0] > LATELY_S:
            self._ended.popleft()
        first_s, first = self._ended[0]
        newest = totals.value
        return (
            _rate(first.predicted_tokens, first.predicted_s, newest.predicted_tokens, newest.predicted_s),
            _rate(first.prompt_tokens, first.prompt_s, newest.prompt_tokens, newest.prompt_s),
            min(LATELY_S, now_s - first_s),
        )


def _same_task(slot: Slot, earlier: Mapping[int, Slot]) -> Slot | None:
    """The slot at the look before, if it worked on the same task then."""
    old = earlier.get(slot.id)
    return old if old is not None and old.task_id == slot.task_id else None


def _rate(
    tokens_before: int | None, s_before: float | None, tokens: int | None, seconds: float | None
) -> float | None:
    if tokens_before is None or s_before is None or tokens is None or seconds is None:
        return None
    passed_s = seconds - s_before
    return (tokens - tokens_before) / passed_s if passed_s > 1e-3 else None
