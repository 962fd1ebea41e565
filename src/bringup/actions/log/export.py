"""The whole log as a document or as JSON, and a document back into the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bringup.actions.journal.writing import our_redactor, redacted_data
from bringup.actions.log.markdown import in_order, is_log, matched, read_document, short_date, write_document
from bringup.actions.log.notes import DEBUG, LEARNING, OwnEntry, own_entry, store_entries, term_notes
from bringup.actions.log.standing import Episode, episodes, standings
from bringup.actions.log.timeline import Item, journal_items, merge, outside_items
from bringup.errors import WrongUse
from bringup.faults._catalogue import find_fault
from bringup.journal.entry import Kind
from bringup.machine import clock
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bringup.journal.entry import Entry
    from bringup.journal.store import Journal

JSON_SCHEMA: Final = 1
_TOLD_CHANGES: Final = 3
_CAUSES: Final = frozenset({"package", "runfile", "kernel", "dkms", "pip"})


def export_markdown(journal: Journal, *, outside: Sequence[Item] = ()) -> str:
    """Notes of one's own, notes beside terms, and each fault that was there, as one document.

    Raises:
        JournalTrouble: the journal cannot be read.
    """
    return write_document(all_entries(journal, outside=outside))


def all_entries(journal: Journal, *, outside: Sequence[Item] = ()) -> list[OwnEntry]:
    """The document's entries: one's own in their order, the log's own among them by date."""
    notes = [own_entry(entry.data) for entry in journal.entries(kinds=(Kind.NOTE,)) if entry.text]
    learned = [entry for entry in notes if entry.section == LEARNING]
    learned += [
        OwnEntry(LEARNING, "", f"**{term}**" + (f" ({short_date(date)})" if date else "") + f": {text}")
        for term, date, text in term_notes(journal)
    ]
    own = [entry for entry in notes if entry.section == DEBUG]
    seen = {(entry.date, entry.title, entry.reason) for entry in own}
    told = merge(journal_items(journal, last=100_000), outside)
    fixes = journal.entries(kinds=(Kind.FIX,))
    roots = [one for one in episodes(standings(journal)) if one.fault.is_root]
    written = [episode_entry(episode, told, fixes) for episode in roots]
    own += [entry for entry in written if (entry.date, entry.title, entry.reason) not in seen]
    others = [entry for entry in notes if entry.section not in (LEARNING, DEBUG)]
    return [*learned, *in_order(own), *others]


def episode_entry(episode: Episode, told: Sequence[Item], fixes: Sequence[Entry]) -> OwnEntry:
    """A fault that was there, as an entry: what was seen, why, what had changed before, what ended it."""
    fault = find_fault(episode.fault.id)
    opened_s = episode.opened.moment.at_s
    before_s = episode.before.moment.at_s if episode.before is not None else opened_s
    causes = [item for item in told if item.kind in _CAUSES and before_s <= item.at_s <= opened_s]
    symptom = "\n".join(f"- {_dated(item)}" for item in causes[-_TOLD_CHANGES:])
    return OwnEntry(
        section=DEBUG,
        date=clock.local_time_text(opened_s)[:10],
        title=episode.fault.title,
        symptom=f"Before it:\n\n{symptom}" if symptom else "",
        output=episode.fault.saw,
        reason="" if fault is None else fault.reason,
        solution=_ending(episode, told, fixes),
        fault=episode.fault.id,
    )


def _ending(episode: Episode, told: Sequence[Item], fixes: Sequence[Entry]) -> str:
    """What was done, and that it was gone after that."""
    opened_s = episode.opened.moment.at_s
    closed_s = None if episode.closed is None else episode.closed.moment.at_s
    done = [
        _fix_words(fix)
        for fix in fixes
        if fix.subject == episode.fault.id
        and opened_s <= fix.moment.at_s
        and (closed_s is None or fix.moment.at_s <= closed_s + 1)
    ]
    if closed_s is None:
        return "\n".join([*done, "It is still there."])
    kinds = _CAUSES | {"boot"}
    between = [_dated(item) for item in told if item.kind in kinds and opened_s < item.at_s <= closed_s]
    gone = f"Gone on {clock.local_time_text(closed_s)[:16]}"
    lines = [*done, *between[-_TOLD_CHANGES:]]
    return "\n".join([*(f"- {line}" for line in lines), "", f"{gone}."] if lines else [f"{gone}."])


def _fix_words(fix: Entry) -> str:
    """One step that was taken, and how it ended where that is more than that it ran."""
    step, command, code = (fix.data.get(name) for name in ("step", "command", "exit_code"))
    if not step or not command:
        return fix.text
    ended = "" if code == 0 else " (its end was not seen)" if code is None else f" (exit code {code})"
    cured = "; the fault was gone after it" if fix.data.get("fault_gone") is True else ""
    return f"step {step}: `{command}`{ended}{cured}"


def _dated(item: Item) -> str:
    who = f" ({item.who})" if item.who else ""
    return f"{clock.local_time_text(item.at_s)[:16]} {item.text}{who}"


def export_json(journal: Journal) -> dict[str, Any]:
    """Every entry as it is kept, but for the looks of the machine's states.

    Raises:
        JournalTrouble: the journal cannot be read.
    """
    from bringup.journal.verify import verify

    return {
        "schema": JSON_SCHEMA,
        "head": verify(journal).head,
        "entries": [_json(entry) for entry in journal.entries()],
    }


def _json(entry: Entry) -> dict[str, Any]:
    fields = entry.plain()
    fields["data"].pop("difference", None)
    return fields


def export_redacted(place: Folders, machine: Machine) -> tuple[str, str]:
    """The document of this machine's log, with what the system wrote redacted, too; and a warning.

    Raises:
        CannotTell: there is no journal yet.
        JournalTrouble: it cannot be read.
    """
    from bringup.actions.log.entries import read_log

    outside, _ = outside_items(machine)
    text, warning = read_log(place, lambda journal: export_markdown(journal, outside=outside))
    return str(our_redactor()(text)), warning


def preview_import(place: Folders, text: str) -> tuple[list[OwnEntry], int]:
    """What `import_markdown` would keep, and how many entries are there already.

    Raises:
        JournalTrouble: the journal cannot be read.
    """
    from bringup.actions.journal.reading import with_journal

    there, _ = with_journal(place, all_entries)
    redact = our_redactor()
    known = {_content(entry) for entry in there or []}
    read = [own_entry(redacted_data(entry.data(), redact)) for entry in read_document(text)]
    fresh = [matched(entry, find_known_fault(entry)) for entry in read if _content(entry) not in known]
    return fresh, len(read) - len(fresh)


def import_markdown(place: Folders, text: str, *, name: str) -> tuple[list[OwnEntry], int, str]:
    """Keep the entries of a document, each matched to a known fault; what is there already is left out.

    Returns:
        The entries that were kept, how many were there already, and a warning where they are stored later.

    Raises:
        WrongUse: it is no log, or no log is kept here.
        Failure: it could not be kept.
        JournalTrouble: the journal cannot be read.
    """
    if not is_log(text):
        raise WrongUse(
            f"{name}: neither a section Learning nor a section Debug is in it",
            hint="Put a line '## Learning' or '## Debug' above what is to be kept; --dry-run shows it.",
            reference="not-a-log",
        )
    fresh, n_known = preview_import(place, text)
    warning = store_entries(place, fresh, source=name) if fresh else ""
    return fresh, n_known, warning


def _content(entry: OwnEntry) -> tuple[str, ...]:
    parts = (
        entry.section,
        entry.date,
        entry.title,
        entry.symptom,
        entry.output,
        entry.reason,
        entry.solution,
    )
    return tuple(" ".join(part.split()) for part in parts)


def find_known_fault(entry: OwnEntry) -> str | None:
    """Id of the fault that the words of a debug entry show; `None` for none."""
    from bringup.actions.diagnosis.doctor import examine_text

    if entry.section != DEBUG:
        return None
    found = examine_text("\n".join((entry.output, entry.title, entry.symptom)), subject="an entry")
    roots = found.diagnosis.roots
    return roots[0].fault.id if roots else None
