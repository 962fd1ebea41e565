"""Ends that nobody asked for: written to the journal once, when somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.engine.registry import EngineRecord, list_ended, mark_ended
from bringup.errors import BringupError
from bringup.machine import locks, paths, process

if TYPE_CHECKING:
    from bringup.actions.journal.writing import Note
    from bringup.machine.folders import Folders


def note_ends(ours: Folders) -> str:
    """Write down engines, chats and setups that are gone and nobody said how; a warning where that failed.

    A detached engine that was given up stays listed; the record of one that is gone is removed. Never raises:
    it runs beside other commands.
    """
    from bringup.actions.journal.silent_ends import note_quietly

    return _note_detached(ours) or note_quietly(ours)


def _note_detached(ours: Folders) -> str:
    try:
        if not list_ended(ours):
            return ""
    except BringupError:
        return ""  # the state folder cannot be read; whoever needs it says so
    try:
        lease = locks.try_lease(paths.join(ours.engines, "ends.lock"))
        if isinstance(lease, locks.Holder):
            return ""  # another command writes them down in this moment
        with lease:
            return _note(ours)
    except BringupError as problem:
        return f"an engine's end was not written to the journal: {problem.message}"


def _note(ours: Folders) -> str:
    from bringup.actions.journal.writing import NOT_WRITTEN, record

    ended = list_ended(ours)
    warning = record(*map(end_note, ended), ours=ours)
    if not warning.startswith(NOT_WRITTEN):
        for one in ended:
            mark_ended(ours, one)
    return warning


def end_note(engine: EngineRecord) -> Note:
    """How an engine ended that nobody stopped, as far as that is known."""
    from bringup.actions.journal.writing import Note
    from bringup.actions.running.run_speed import speed_in_log
    from bringup.journal.entry import Kind

    if engine.is_given_up:
        how = f"given up: {engine.cause}"
    elif _is_of_another_boot(engine):
        how = "gone since the machine was started again"
    else:
        how = "gone; its supervisor ended too, and nobody saw how"
    data = {
        "phase": "ended",
        "is_detached": True,
        "model": engine.alias,
        "port": engine.port,
        **speed_in_log(engine.log_path).data(),
        "how": how,
        "is_good": False,
        "reference": engine.reference if engine.is_given_up else "",
        "restarts": engine.restarts,
    }
    return Note(Kind.RUN, engine.alias, f"{engine.alias} on port {engine.port}: {how}", data)


def _is_of_another_boot(engine: EngineRecord) -> bool:
    own = process.identity_of(process.own_pid())
    return own is not None and own.boot_id != engine.owner.boot_id
