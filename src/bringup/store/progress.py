"""What a transfer tells while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

from bringup.machine import clock
from bringup.records import dataclass

_EVERY_S = 0.1
_WINDOW_S = 5.0


class TransferState(Enum):
    """What a transfer is doing."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    DOWNLOADING = "downloading"
    STALLED = "stalled"
    RETRYING = "retrying"
    VERIFYING = "verifying"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """One moment of a transfer.

    `file` is the name at its source; `rate_bytes_per_s` the mean of the last seconds (0 when nothing
    flows); `message` one sentence when there is something to say (why it waits, what was refused).
    """

    file: str
    done_bytes: int
    total_bytes: int | None
    rate_bytes_per_s: float
    state: TransferState
    message: str = ""


OnProgress: TypeAlias = Callable[[TransferProgress], None]


class Reporter:
    """Turns what happens to one file into moments, at most ten a second unless something changes."""

    def __init__(self, file: str, total_bytes: int | None, on_progress: OnProgress) -> None:
        self.file = file
        self.total_bytes = total_bytes
        self._on_progress = on_progress
        self._state = TransferState.CONNECTING
        self._done_bytes = 0
        self._told_s = float("-inf")
        self._samples: deque[tuple[float, int]] = deque()

    def tell(self, state: TransferState, message: str = "") -> None:
        """Say that the state changed, or something worth a sentence."""
        self._state = state
        if state is not TransferState.DOWNLOADING:
            self._samples.clear()
        self._emit(message)

    def set_done(self, done_bytes: int) -> None:
        """Say how far it is; a step back starts the rate anew."""
        now = clock.monotonic_s()
        if done_bytes < self._done_bytes:
            self._samples.clear()
        self._done_bytes = done_bytes
        self._samples.append((now, done_bytes))
        while self._samples[0][0] < now - _WINDOW_S:
            self._samples.popleft()
        if now - self._told_s >= _EVERY_S:
            self._emit("")

    def _rate(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (from_s, from_bytes), (to_s, to_bytes) = self._samples[0], self._samples[-1]
        return (to_bytes - from_bytes) / (to_s - from_s) if to_s > from_s else 0.0

    def _emit(self, message: str) -> None:
        self._told_s = clock.monotonic_s()
        self._on_progress(
            TransferProgress(
                self.file, self._done_bytes, self.total_bytes, self._rate(), self._state, message
            )
        )
