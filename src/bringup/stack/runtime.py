"""Facts of the layer: runtime. What engines say and which of them run."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.reading import NOT_LOOKED, Reading
from bringup.stack.allocations import FailedAllocation, find_failed_allocations
from bringup.stack.engine_log import EngineLog, read_engine_log
from bringup.stack.lines import Lines


@dataclass(frozen=True, slots=True)
class Runtime:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks."""

    log: Reading[EngineLog] = NOT_LOOKED
    failed_allocations: tuple[FailedAllocation, ...] = ()


def recognise(lines: Lines) -> Runtime:
    """What pasted lines say of this layer."""
    return Runtime(log=read_engine_log(lines), failed_allocations=find_failed_allocations(lines))
