"""Examine this machine, write down what differs, and tell what was there before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bringup.actions.diagnosis.doctor import Examination, examine
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import Machine
from bringup.records import replace

if TYPE_CHECKING:
    from bringup.actions.diagnosis.recurrence import Recurrence


def examine_and_keep(machine: Machine, *, subject: str) -> Examination:
    """Examine this machine and write down what differs from the last time; others are only examined."""
    if not isinstance(machine, LiveMachine):
        return examine(machine, subject=subject)
    from bringup.actions.log.state_record import keep_state
    from bringup.actions.running.engine_ends import note_ends
    from bringup.machine.folders import our_folders
    from bringup.machine.recorder import Recorder

    recorder = Recorder(machine)
    examination = examine(recorder, subject=subject)
    unseen_ends = note_ends(our_folders())
    trouble = keep_state(machine, examination, recorder.recording) or unseen_ends
    roots = [finding.fault.id for finding in examination.diagnosis.roots]
    return replace(examination, journal_trouble=trouble, histories=_histories(roots))


def _histories(roots: list[str]) -> Mapping[str, Recurrence]:
    if not roots:
        return {}
    from bringup.actions.log.recurrence import recall
    from bringup.machine.folders import our_folders

    return recall(our_folders(), roots)
