"""End a process that a live view shows: exactly that one, never another that took its number."""

from __future__ import annotations

import signal
from enum import Enum

from bringup.actions.live.sample import LiveProcess
from bringup.engine.registry import list_running, stop_running
from bringup.machine import process
from bringup.machine.folders import Folders


class EndResult(Enum):
    """What came of it."""

    STOPPED = "stopped, with all that kept it"
    ASKED = "asked to end"
    KILLED = "killed"
    GONE = "it had ended already"
    REFUSED = "not ended: it belongs to another user"


def end_process(target: LiveProcess, folders: Folders, *, by_force: bool) -> EndResult:
    """SIGTERM, or SIGKILL by force. An engine that bringup started is stopped as `bringup stop` does it.

    Args:
        target: the process as it was seen; another one with its number is left alone.
        folders: ours, with the records of engines.
        by_force: SIGKILL at once.
    """
    identity = process.identity_of(target.process_id)
    if identity is None or identity.start_ticks != target.start_ticks:
        return EndResult.GONE
    if not by_force:
        for record in list_running(folders):
            if identity in record.processes:
                return EndResult.STOPPED if stop_running(folders, record) else EndResult.REFUSED
    number = signal.SIGKILL if by_force else signal.SIGTERM
    if process.send_signal(identity, number):
        return EndResult.KILLED if by_force else EndResult.ASKED
    return EndResult.REFUSED if process.identity_of(target.process_id) == identity else EndResult.GONE
