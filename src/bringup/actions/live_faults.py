"""The root faults that a live view shows at its top: the doctor's verdict, taken anew now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bringup.actions.doctor import Examination, Verdict, examine
from bringup.actions.timeline import Item, read_timeline
from bringup.errors import BringupError
from bringup.machine import clock
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine

_AGAIN_S: Final = 300.0
_EVENTS_AGAIN_S: Final = 15.0
_EVENTS: Final = 5


@dataclass(frozen=True, slots=True)
class RootFault:
    """One root fault in short: id (also that of its page), title, and whether the evidence is sure."""

    id: str
    title: str
    is_sure: bool


@dataclass(frozen=True, slots=True)
class Health:
    """What the doctor said: verdict and root faults."""

    verdict: Verdict
    roots: tuple[RootFault, ...]


def health_of(examination: Examination) -> Health:
    """An examination in short."""
    roots = tuple(
        RootFault(root.fault.id, root.fault.title, root.evidence.certainty.name == "SURE")
        for root in examination.diagnosis.roots
    )
    return Health(examination.verdict, roots)


class FaultWatch:
    """Examines the machine in a thread of its own: at the start, each five minutes, and when asked to.

    Attributes:
        number: how many examinations there were.
        events: the last entries of the journal, oldest first; empty for a machine that is not this one.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        subject: str,
        place: Folders | None = None,
        look: Callable[..., Examination] = examine,
    ) -> None:
        """Starts nothing; `place` are our folders with the journal, `look` examines a machine."""
        self._place = place
        self._machine = machine
        self._subject = subject
        self._look = look
        self._wake = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="doctor", daemon=True)
        self._examination: Examination | None = None
        self.number = 0
        self.events: tuple[Item, ...] = ()

    @property
    def examination(self) -> Examination | None:
        """The newest examination; `None` before the first."""
        return self._examination

    @property
    def health(self) -> Health | None:
        """The same in short."""
        return health_of(self._examination) if self._examination is not None else None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def again(self) -> None:
        """Examine soon: something has changed."""
        self._wake.set()

    def close(self) -> None:
        """End; a look that is under way ends by itself."""
        self._is_over = True
        self._wake.set()

    def look_now(self) -> Examination:
        """Examine once, here."""
        examination = self._look(self._machine, subject=self._subject)
        self._examination = examination
        self.number += 1
        return examination

    def _run(self) -> None:
        due_s = clock.monotonic_s()
        while not self._is_over:
            if self._wake.is_set() or clock.monotonic_s() >= due_s:
                self._wake.clear()
                self.look_now()
                due_s = clock.monotonic_s() + _AGAIN_S
            self.read_events()
            self._wake.wait(_EVENTS_AGAIN_S)

    def read_events(self) -> None:
        """Read the journal's last entries; one that cannot be read shows none."""
        if self._place is None:
            return
        with suppress(BringupError):
            self.events = read_timeline(self._place, None, since_s=None, layer=None, last=_EVENTS).items
