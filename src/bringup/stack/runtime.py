"""Facts of the layer: runtime. What engines say in their logs, and which of them run."""

from __future__ import annotations

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Reading
from bringup.records import dataclass
from bringup.stack.allocations import FailedAllocation, find_failed_allocations
from bringup.stack.engine_log import EngineLog, read_engine_log
from bringup.stack.engines import EngineProcess, probe_engines
from bringup.stack.lines import Lines


@dataclass(frozen=True, slots=True)
class Runtime:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        log: figures of an engine's log.
        failed_allocations: allocations that failed in it, in order.
        engines: engines that run on the machine.
    """

    log: Reading[EngineLog] = NOT_LOOKED
    failed_allocations: tuple[FailedAllocation, ...] = ()
    engines: Reading[tuple[EngineProcess, ...]] = NOT_LOOKED


def probe_runtime(machine: Machine) -> Runtime:
    """Look at the engines that run; their logs are not looked for."""
    return Runtime(engines=probe_engines(machine))


def recognise(lines: Lines) -> Runtime:
    """What pasted lines say of this layer."""
    return Runtime(log=read_engine_log(lines), failed_allocations=find_failed_allocations(lines))
