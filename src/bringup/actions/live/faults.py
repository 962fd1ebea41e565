"""The root faults that a live view shows at its top: the doctor's verdict, taken anew now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bringup.actions.diagnosis.doctor import Examination, Verdict, examine
from bringup.actions.log.timeline import Item, read_timeline
from bringup.errors import BringupError
from bringup.machine import clock
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.reading import Known
from bringup.records import dataclass
from bringup.stack.changes import CHANGE_LOGS

_AGAIN_S: Final = 300.0
_SIGNALS_S: Final = 3.0
"""How often it is asked whether something has changed; that costs a few looks at files' dates."""

_REST_S: Final = 20.0
"""Least time between two examinations that a change asks for: an upgrade writes its log for minutes."""

_EVENTS: Final = 5


@dataclass(frozen=True, slots=True)
class RootFault:
    """One root fault in short.

    Attributes:
        id: also that of its page.
        title: one sentence.
        is_sure: whether the evidence is.
        is_ahead: it is foretold: nothing fails yet.
    """

    id: str
    title: str
    is_sure: bool
    is_ahead: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """What the doctor said: verdict and root faults."""

    verdict: Verdict
    roots: tuple[RootFault, ...]


def health_of(examination: Examination) -> Health:
    """An examination in short."""
    roots = tuple(
        RootFault(
            root.fault.id, root.fault.title, root.evidence.certainty.name == "SURE", root.fault.is_ahead
        )
        for root in examination.diagnosis.roots
    )
    return Health(examination.verdict, roots)


class FaultWatch:
    """Examines the machine in a thread of its own: at the start, when something changed, each five minutes.

    What is taken for a change: a package log that grew, an entry in our journal, what `signal` tells (a card
    or an engine that is lost, a card's error in the kernel's log).

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
        signal: Callable[[], object] = lambda: None,
    ) -> None:
        """Starts nothing.

        Args:
            machine: what is examined.
            subject: what to call it.
            place: our folders with the journal; `None` for a machine that is not this one.
            look: examines a machine.
            signal: something else of which each change asks for an examination; `None` while it has no word.
        """
        self._signal = signal
        self._before: tuple[object, ...] | None = None
        self._journal_at: object = None
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
        looked_s = float("-inf")
        is_due = True
        while not self._is_over:
            now_s = clock.monotonic_s()
            is_due = self.has_changed() or is_due
            is_asked = self._wake.is_set()
            if is_asked or now_s - looked_s >= _AGAIN_S or (is_due and now_s - looked_s >= _REST_S):
                self._wake.clear()
                is_due = False
                self.look_now()
                looked_s = clock.monotonic_s()
            self.read_events()
            self._wake.wait(_SIGNALS_S)

    def has_changed(self) -> bool:
        """Whether something is not as it was when this was asked before; the first time nothing is."""
        now = (self._signal(), *(self._date(path) for path in CHANGE_LOGS), self._journal_date())
        before, self._before = self._before, now
        if before is None:
            return False
        # The signal's first word is no change: nothing was told before.
        return (before[0] is not None and before[0] != now[0]) or before[1:] != now[1:]

    def read_events(self) -> None:
        """Read the journal's last entries where it changed; one that cannot be read shows none."""
        date = self._journal_date()
        if self._place is None or date == self._journal_at:
            return
        with suppress(BringupError):
            self.events = read_timeline(self._place, None, since_s=None, layer=None, last=_EVENTS).items
            self._journal_at = date

    def _journal_date(self) -> object:
        return self._date(self._place.journal_file) if self._place is not None else None

    def _date(self, path: str) -> tuple[int, float] | None:
        found = self._machine.stat(path)
        return (found.value.size_bytes, found.value.modified_s) if isinstance(found, Known) else None
