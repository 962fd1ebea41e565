"""Keep the journal without holes; say at once when an upgrade separates the driver from its libraries."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from bringup.errors import BringupError
from bringup.machine import clock, process
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.actions.diagnosis.doctor import Examination
    from bringup.actions.log.timeline import Item
    from bringup.journal.store import Journal

SEPARATED: Final = ("driver-library-mismatch", "driver-upgrade-awaits-reboot")
_KEPT_S: Final = 400 * 86400.0
"""Older than that the system's own logs are not taken over."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look of the watch found.

    Attributes:
        alarm: what to tell the user now; empty for nothing.
        n_kept: how many things from outside were written down.
        trouble: why something could not be written to the journal.
        is_lost: whether it is not even put aside, so that this look left nothing.
    """

    alarm: str
    n_kept: int
    trouble: str
    is_lost: bool = False


def watch_once(machine: Machine, place: Folders, *, after_upgrade: bool) -> Watched:
    """Look, write down what differs and what happened from outside, and say what has to be said now.

    After an upgrade the alarm is given as often as it is true; otherwise once, when it becomes true.
    """
    from bringup.actions.journal.writing import NOT_WRITTEN
    from bringup.actions.log.kept_look import examine_and_keep

    known = _separated_before(place)
    examination = examine_and_keep(machine, subject="this machine")
    n_kept, trouble = keep_outside(place, machine)
    found = [one for one in examination.diagnosis.findings if one.fault.id in SEPARATED]
    alarm = ""
    if found and (after_upgrade or found[0].fault.id not in known):
        alarm = alarm_words(examination)
    trouble = examination.journal_trouble or trouble
    return Watched(alarm, n_kept, trouble, is_lost=trouble.startswith(NOT_WRITTEN))


def alarm_words(examination: Examination) -> str:
    """What to tell where the loaded driver and the libraries are separated; empty where they are not."""
    for finding in examination.diagnosis.findings:
        if finding.fault.id in SEPARATED:
            saw = finding.evidence.saw.partition(";")[0]
            return (
                f"NVIDIA driver: {saw}. Restart before the next GPU program;"
                f" running ones go on. bringup doctor says more. [{finding.fault.id}]"
            )
    return ""


def _separated_before(place: Folders) -> frozenset[str]:
    from bringup.actions.journal.reading import with_journal
    from bringup.actions.log.standing import standings

    try:
        stood, _ = with_journal(place, standings)
    except BringupError:
        return frozenset()
    return stood[-1].ids if stood else frozenset()


def keep_outside(place: Folders, machine: Machine) -> tuple[int, str]:
    """Write down what the system tells of itself and the journal has not yet; how many, and a warning."""
    from bringup.actions.journal.reading import HELD, with_journal
    from bringup.actions.journal.writing import NOT_WRITTEN, is_kept, store
    from bringup.actions.log.timeline import outside_items
    from bringup.journal.entry import Kind

    try:
        if not is_kept(place):
            return 0, ""

        def known_keys(journal: Journal) -> set[str]:
            kinds = (Kind.CHANGE, Kind.BOOT)
            return {entry.subject for entry in journal.entries(kinds=kinds, with_bodies=False)}

        known, warning = with_journal(place, known_keys)
        if warning == HELD:
            return 0, ""  # the system's logs still tell it the next time
        items, _ = outside_items(machine)
        since_s = clock.wall_s() - _KEPT_S
        fresh = [item for item in items if item.at_s >= since_s and key_of(item) not in (known or ())]
        if not fresh:
            return 0, warning
        trouble = store(place, _drafts(fresh))
        return 0 if trouble.startswith(NOT_WRITTEN) else len(fresh), trouble or warning
    except BringupError as problem:
        return 0, f"{NOT_WRITTEN}: {problem.message}"


def key_of(item: Item) -> str:
    """Names a thing that happened outside, the same whenever it is read."""
    return blake2b(
        f"{round(item.at_s)} {item.text}".encode("utf-8", "surrogatepass"), digest_size=12
    ).hexdigest()


def _drafts(items: list[Item]) -> list[Any]:
    from bringup.actions.journal.moment import now
    from bringup.actions.journal.writing import our_redactor, redacted_data
    from bringup.journal.entry import Draft, Kind

    redact = our_redactor()
    moment = now()
    drafts = []
    for item in items:
        data = {
            "at_s": item.at_s,
            "happening": item.kind,
            "layers": list(item.layers),
            "who": item.who,
            "source": item.source,
            "package": item.package,
            "new": item.new,
        }
        kind = Kind.BOOT if item.kind == "boot" else Kind.CHANGE
        nonce = process.random_bytes(16)
        drafts.append(
            Draft(kind, key_of(item), redact(item.text), redacted_data(data, redact), moment, nonce)
        )
    return drafts
