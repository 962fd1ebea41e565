"""Notes of one's own: learned, or a fault with symptom, reason and solution; forgetting on request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.journal.moment import now
from bringup.actions.journal.writing import Note, keep, our_redactor, record, redacted_data, store
from bringup.errors import WrongUse
from bringup.faults._catalogue import find_fault
from bringup.journal.entry import Draft, Kind
from bringup.machine import clock, process, rights
from bringup.machine.folders import Folders
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.journal.store import Journal

LEARNING: Final = "learning"
DEBUG: Final = "debug"
_HEADINGS: Final = ("Symptom", "Output", "Reason", "Solution")

TEMPLATE: Final = """\
# One line: what happened

## Symptom
{symptom}

## Output
{output}

## Reason
{reason}

## Solution
{solution}

Lines below this one are not kept.
---
Fill in what you know; an empty part is left out. {about}
"""


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """A note as it is kept and exported.

    Attributes:
        section: `learning`, `debug`, or the heading of another section of an imported document.
        date: ISO date, empty where an imported entry has none.
        title: one line.
        symptom: what was seen, in words.
        output: what a program printed, verbatim.
        reason: why.
        solution: what cured it.
        fault: id of the known fault that it is about; empty for none.
    """

    section: str
    date: str
    title: str
    symptom: str = ""
    output: str = ""
    reason: str = ""
    solution: str = ""
    fault: str = ""

    def text(self) -> str:
        """What a person reads and searches."""
        parts = (self.title, self.symptom, self.output, self.reason, self.solution, self.fault)
        return "\n".join(part for part in parts if part)

    def data(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def own_entry(data: Mapping[str, Any]) -> OwnEntry:
    """A kept note."""
    return OwnEntry(**{name: str(data.get(name, "")) for name in OwnEntry.__slots__})


def add(entry: OwnEntry, *, state_seq: int = 0) -> str:
    """Keep a note with the number of the machine's present state; a warning where it is stored later.

    Raises:
        WrongUse: it is empty, or names a fault that is none, or no log is kept.
        Failure: it could not be kept.
    """
    if not entry.text().strip():
        raise WrongUse(
            "there is nothing to keep", hint="Say at least a symptom: bringup log add --symptom TEXT"
        )
    if entry.fault and find_fault(entry.fault) is None:
        raise WrongUse(f"no such fault: {entry.fault}", hint="bringup faults lists them.")
    subject = entry.fault or entry.section
    data = entry.data() | {"state": state_seq}
    return keep(lambda: record(Note(Kind.NOTE, subject, entry.text(), data)))


def add_with_state(place: Folders, entry: OwnEntry) -> str:
    """Keep a note beside the machine's facts of this moment; a warning where something is stored later.

    Raises:
        WrongUse: as `add`.
        Failure: as `add`.
    """
    from bringup.actions.journal.reading import with_journal
    from bringup.actions.log.kept_look import examine_and_keep
    from bringup.actions.log.machine_state import newest
    from bringup.machine.live import LiveMachine

    trouble = examine_and_keep(LiveMachine(), subject="this machine").journal_trouble
    last, _ = with_journal(place, newest)
    return add(entry, state_seq=0 if last is None else last.seq) or trouble


def may_open_editor() -> bool:
    """Whether a person's editor may be opened: never as root, where it could do anything."""
    return not rights.is_root()


def today() -> str:
    """This day by the machine's clock, ISO."""
    return clock.local_time_text(clock.wall_s())[:10]


def template_for(fault_id: str) -> str:
    """What the editor opens with: empty, or a fault's page as the start.

    Raises:
        WrongUse: no such fault.
    """
    if not fault_id:
        return TEMPLATE.format(symptom="", output="", reason="", solution="", about="")
    fault = find_fault(fault_id)
    if fault is None:
        raise WrongUse(f"no such fault: {fault_id}", hint="bringup faults lists them.")
    steps = "\n".join(f"- {step.say}" for step in fault.steps[:3])
    shown = TEMPLATE.format(
        symptom=fault.symptom, output="", reason=fault.reason, solution=steps, about=f"From {fault.id}."
    )
    return shown.replace("One line: what happened", fault.title, 1)


def parse_template(text: str, *, fault: str) -> OwnEntry | None:
    """What somebody wrote into the editor; `None` where nothing was filled in."""
    kept = text.partition("\nLines below this one are not kept.")[0]
    parts = re.split(rf"^## ({'|'.join(_HEADINGS)})[ \t]*$", kept, flags=re.MULTILINE)
    title = parts[0].strip().removeprefix("#").strip()
    said = {name.lower(): body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
    if title == "One line: what happened":
        title = said.get("symptom", "").partition("\n")[0]
    if not title and not any(said.values()):
        return None
    return OwnEntry(DEBUG, today(), title, **said, fault=fault)


def forget(place: Folders, seq: int) -> str:
    """Take the text of an entry out of the journal and leave its place; what stood there, in one word.

    Raises:
        WrongUse: there is no such entry, or its text is no text of a person's.
        JournalTrouble: it could not be done.
    """
    from bringup.actions.journal.reading import with_journal
    from bringup.journal.store import open_journal

    entry, _ = with_journal(place, lambda journal: journal.entry(seq))
    if entry is None:
        raise WrongUse(f"there is no entry {seq}", hint="bringup log lists them with their numbers.")
    if entry.is_forgotten:
        raise WrongUse(f"entry {seq} is forgotten already")
    if entry.kind in (Kind.FORGOTTEN, Kind.MENDED):
        raise WrongUse(f"entry {seq} tells what happened to the journal itself and stays")
    if entry.kind is Kind.STATE:
        raise WrongUse(
            f"entry {seq} is a state of the machine, on which later ones build",
            hint=f"bringup log show {seq} shows what it holds, redacted before it was written;"
            f" only the whole log can go: rm {place.journal_file}",
        )
    data = {"seq": seq, "kind": entry.kind.value}
    words = f"entry {seq} was forgotten"
    tombstone = Draft(Kind.FORGOTTEN, str(seq), words, data, now(), process.random_bytes(16))
    with open_journal(place.journal_file) as journal:
        journal.forget(seq, tombstone)
    return str(entry.kind.value)


def keep_term_note(term: str, text: str) -> str:
    """Keep a note beside the page of a term; a warning where it is stored later.

    Raises:
        WrongUse: no log is kept.
        Failure: it could not be kept.
    """
    return keep(lambda: record(Note(Kind.TERM_NOTE, term, text, {"date": today()})))


def term_notes(journal: Journal, term: str | None = None) -> list[tuple[str, str, str]]:
    """Term, date and text of each note beside a page, oldest first."""
    entries = journal.entries(kinds=(Kind.TERM_NOTE,))
    return [
        (entry.subject, str(entry.data.get("date", "")), entry.text)
        for entry in entries
        if entry.text and term in (None, entry.subject)
    ]


def store_entries(place: Folders, entries: list[OwnEntry], *, source: str) -> str:
    """Keep imported notes, redacted, in one transaction; a warning where they are stored later.

    Raises:
        WrongUse: no log is kept.
        Failure: they could not be kept.
    """
    redact = our_redactor()
    moment = now()
    drafts = [
        Draft(
            Kind.NOTE,
            entry.fault or entry.section,
            redact(entry.text()),
            redacted_data(entry.data() | {"imported": source}, redact),
            moment,
            process.random_bytes(16),
        )
        for entry in entries
    ]
    return keep(lambda: store(place, drafts), ours=place)
