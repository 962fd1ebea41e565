"""After a look at this machine: write down what differs, and what the rules made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bringup import __version__
from bringup.errors import BringupError
from bringup.machine import files, folders, process
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.reading import Known

if TYPE_CHECKING:
    from bringup.actions.diagnosis.doctor import Examination
    from bringup.actions.log.machine_state import Look
    from bringup.journal.entry import Draft, Moment
    from bringup.journal.store import Journal
    from bringup.journal.trouble import JournalTrouble
    from bringup.machine.recording import Recording

_SHOWN_CHANGES: Final = 6
_WAITING_STATES: Final = 20
"""While the journal cannot be read, whole states are put aside only up to so many entries."""


def keep_state(
    machine: Machine,
    examination: Examination,
    recording: Recording,
    *,
    place: Folders | None = None,
    moment: Moment | None = None,
) -> str:
    """Write the machine's state down if it differs from the last one; a warning where that failed.

    This is one of the guards that catch every exception: the journal never makes a command fail.
    """
    from bringup.actions.journal.moment import now
    from bringup.actions.journal.writing import is_kept, put_aside
    from bringup.actions.journal.writing import store as store_drafts

    try:
        ours = place or folders.our_folders()
        if not is_kept(ours):
            return ""
        drafts, held = _drafts(machine, examination, recording, ours, moment or now())
        if held is not None:
            return put_aside(ours, drafts, held) if drafts else ""
        return store_drafts(ours, drafts)
    except Exception as problem:  # noqa: BLE001 - the guard around the record
        words = (
            problem.message if isinstance(problem, BringupError) else f"{type(problem).__name__}: {problem}"
        )
        return f"not written to the journal: {words}"


def rules_mark() -> str:
    """A word that changes when what looks and judges does: the version, and the files of those parts."""
    marks = (files.mark_of_tree(process.own_modules(part), suffix=".py") for part in ("stack", "faults"))
    return "-".join((__version__, *marks))


def verdict_data(examination: Examination) -> dict[str, Any]:
    """What the rules made of a look, as plain JSON."""
    unseen = {layer_of_fact(look.layer) for look in examination.could_not_tell}
    unseen |= {layer_of_fact(one.layer) for one in examination.unseen}
    return {
        "verdict": examination.verdict.name.lower().replace("_", "-"),
        "unseen": sorted(unseen),
        "faults": [
            {
                "id": finding.fault.id,
                "role": finding.role.value,
                "layer": finding.fault.layer.name.lower(),
                "title": finding.fault.title,
                "saw": finding.evidence.saw,
            }
            for finding in examination.diagnosis.findings
        ],
    }


def _drafts(
    machine: Machine, examination: Examination, recording: Recording, place: Folders, moment: Moment
) -> tuple[list[Draft], JournalTrouble | None]:
    """What is to be stored, and the trouble where another program holds the journal now."""
    from bringup.actions.diagnosis.facts import list_facts
    from bringup.actions.log.machine_state import Look, fingerprint
    from bringup.journal.store import read_journal
    from bringup.journal.trouble import JournalTrouble, Kind

    verdict = verdict_data(examination)
    roots = tuple(finding.fault.id for finding in examination.diagnosis.roots)
    look = Look(list_facts(examination.stack), recording, roots, verdict)
    mark = fingerprint(look)

    def compare(journal: Journal) -> list[Draft]:
        if _is_newest(journal, mark):
            return []
        return _difference_drafts(machine, look, mark, place, moment, journal)

    held = None
    if files.size_bytes(place.journal_file):
        try:
            with read_journal(place.journal_file, is_hurried=True) as journal:
                return compare(journal), None
        except JournalTrouble as trouble:
            held = trouble if trouble.kind is Kind.BUSY else None
            if held is not None and _is_known_past_the_lock(place, mark):
                return [], held
            if len(files.list_names(place.journal_waiting)) > _WAITING_STATES:
                raise
    # Nothing to compare with: a whole state needs nothing before it.
    return _difference_drafts(machine, look, mark, place, moment, None), held


def _is_newest(journal: Journal, mark: str) -> bool:
    from bringup.actions.log.machine_state import newest

    last = newest(journal)
    return last is not None and last.subject.partition(" ")[0] == mark


def _is_known_past_the_lock(place: Folders, mark: str) -> bool:
    """Whether the state is the newest one in a journal that another program holds, as far as can be seen."""
    from bringup.journal.store import glance
    from bringup.journal.trouble import JournalTrouble

    try:
        with glance(place.journal_file) as journal:
            return _is_newest(journal, mark)
    except JournalTrouble:
        return False


def _difference_drafts(
    machine: Machine, look: Look, mark: str, place: Folders, moment: Moment, journal: Journal | None
) -> list[Draft]:
    """The state, and what the rules made of it: read together, stored together."""
    from bringup.actions.journal.writing import redacted_data
    from bringup.actions.log.machine_state import WHOLE_EVERY, difference_to, newest, salt, snapshot_at
    from bringup.journal import state
    from bringup.journal.entry import Draft, Kind

    own_id = process.random_bytes(6).hex()

    last = newest(journal) if journal is not None else None
    before = snapshot_at(journal, last.seq) if journal is not None and last is not None else None
    depth = _depth(journal, last.seq) if journal is not None and last is not None and before else 0
    redactor = _primed_redactor(machine, place)
    difference = difference_to(before, look, redactor, salt(place), is_whole=depth + 1 >= WHOLE_EVERY)
    data = {
        "base": 0 if difference.is_whole or last is None else last.seq,
        "depth": 0 if difference.is_whole else depth + 1,
        "rules": rules_mark(),
        "difference": state.to_data(difference),
        "layers": _layers(before, difference),
    }
    verdict = redacted_data(look.verdict, redactor.redact)
    text = _summary(before, difference)
    return [
        Draft(Kind.STATE, f"{mark} {own_id}", text, data, moment, process.random_bytes(16)),
        judged_draft(own_id, verdict, moment),
    ]


def judged_draft(state_id: str, verdict: Mapping[str, Any], moment: Moment) -> Draft:
    """What the rules of now make of a state."""
    from bringup.journal.entry import Draft, Kind

    text = " ".join(fault["id"] for fault in verdict["faults"]) or str(verdict["verdict"])
    data = {"rules": rules_mark(), **verdict}
    return Draft(Kind.JUDGED, state_id, text, data, moment, process.random_bytes(16))


def _layers(before: Any, difference: Any) -> list[str]:  # noqa: ANN401 - Snapshot and Difference, imported late
    from bringup.actions.log.machine_state import facts_of
    from bringup.journal import state

    old = {} if before is None else facts_of(before)
    changes = state_changes(old, facts_of(state.apply(before, difference)))
    return sorted({layer_of_fact(name) for name, _, _ in changes})


_FACT_LAYERS: Final = {"nvml": "userspace", "cuda": "userspace"}


def layer_of_fact(name: str) -> str:
    """The layer of the stack that a fact `layer name` belongs to, as the faults call it."""
    layer = name.partition(" ")[0]
    return _FACT_LAYERS.get(layer, layer)


def _depth(journal: Journal, seq: int) -> int:
    entry = journal.entry(seq)
    depth: Any = entry.data.get("depth", 0) if entry is not None else 0
    return depth if isinstance(depth, int) else 0


def _primed_redactor(machine: Machine, place: Folders) -> Any:  # noqa: ANN401 - Redactor, imported late
    """A redactor that met the machine's own names in a fixed order: the same stand-ins from look to look."""
    from bringup.machine.redaction import redactor_for

    key = files.read_small(place.key_file, limit_bytes=4096) or b""
    redactor = redactor_for(machine, secrets=key.decode("utf-8", "replace").split())
    for variable in ("USER", "HOME"):
        value = machine.environment(variable)
        if isinstance(value, Known):
            redactor.redact(value.value)
    for path in ("/etc/hostname", "/etc/passwd"):
        text = machine.read_text(path)
        if isinstance(text, Known):
            redactor.redact(text.value)
    return redactor


def _summary(before: Any, difference: Any) -> str:  # noqa: ANN401 - Snapshot and Difference, imported late
    from bringup.actions.log.change_words import fold_changes
    from bringup.actions.log.machine_state import facts_of
    from bringup.journal import state

    if before is None:
        return "first look at this machine"
    changes = state_changes(facts_of(before), facts_of(state.apply(before, difference)))
    told = fold_changes(changes)
    shown = [change.words for change in told[:_SHOWN_CHANGES]]
    more = len(told) - len(shown)
    lines = [*shown, *([f"and {more} more"] if more > 0 else [])]
    return "\n".join(lines) or "another verdict on the same facts"


def state_changes(
    before: Mapping[str, Any], after: Mapping[str, Any], *, with_passing: bool = False
) -> list[tuple[str, Any, Any]]:
    """Facts that differ: name, old and new; those that change by themselves only where they are asked for."""
    from bringup.actions.log.machine_state import is_passing
    from bringup.journal.state import compare

    found = []
    for change in compare(before, after):
        layer, _, name = change.name.partition(" ")
        same = change.old is not None and change.new is not None and change.old[:2] == change.new[:2]
        if not same and (with_passing or not is_passing(layer, name)):
            found.append((change.name, change.old, change.new))
    return found
