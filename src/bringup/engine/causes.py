"""From the end of an engine to its reason."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.engine.exits import ExitKind, ExitReason
from bringup.engine.job import Ended, NotStarted


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is known of an end."""

    event: Ended | NotStarted | None
    log_path: str
    was_ready: bool
    port: int
    pid: int | None
    stall: str = ""


def explain(scene: Scene) -> ExitReason:
    """The reason of an end."""
    event = scene.event
    if isinstance(event, Ended) and event.was_asked:
        return ExitReason(ExitKind.STOPPED, "it was asked to stop", reference="stopped")
    code = event.exit_code if isinstance(event, Ended) else None
    number = event.signal_number if isinstance(event, Ended) else None
    return ExitReason(ExitKind.FAILED, "the engine ended", exit_code=code, signal_number=number)
