"""When an engine that ended is started again, and when it is given up. Pure: no clock, no process."""

from __future__ import annotations

from typing import Final

from bringup.engine.exits import ExitKind
from bringup.records import dataclass

_FINAL: Final = frozenset({ExitKind.MODEL_BROKEN, ExitKind.WRONG_SETTINGS, ExitKind.CANNOT_RUN})


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How patient the supervisor is.

    Attributes:
        tries: starts without a healthy span before it gives up.
        first_pause_s: pause before the second start; at least a second.
        factor: each pause is so many times the one before.
        longest_pause_s: bound of the pauses.
        healthy_s: an engine that was ready for so long counts as healthy: tries and pauses start anew.
    """

    tries: int = 5
    first_pause_s: float = 1.0
    factor: float = 2.0
    longest_pause_s: float = 60.0
    healthy_s: float = 60.0

    def pause_s(self, failures: int) -> float | None:
        """Pause after so many ends in a row (1 or more); `None` to give up."""
        if failures >= self.tries:
            return None
        pause_s = max(1.0, self.first_pause_s) * self.factor ** (failures - 1)
        return min(pause_s, max(1.0, self.longest_pause_s))


def is_final(kind: ExitKind, *, was_ready: bool) -> bool:
    """Whether the same start would end the same way: a broken file, a refused setting, a missing library."""
    return kind in _FINAL and not was_ready
