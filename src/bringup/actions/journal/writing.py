"""Write to the journal. The only way in, and one that never makes a command fail.

What cannot be stored at once (another program holds the file, it is damaged, a newer version wrote it) is put
beside it, durably, and taken up by the next command. Only where even that is impossible something is lost,
and then it is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.journal.moment import now
from bringup.errors import BringupError, Failure, WrongUse
from bringup.machine import files, folders, paths, process, rights
from bringup.machine.folders import Folders
from bringup.reading import parse_json
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.journal.entry import Draft, Kind, Moment
    from bringup.journal.store import Journal

OFF_VARIABLE: Final = "BRINGUP_JOURNAL"
NOT_WRITTEN: Final = "not written to the journal"
"""What a warning begins with where an entry is lost, and not only put aside."""

_WAITING_LIMIT: Final = 10_000
_NOTE_LIMIT_BYTES: Final = 16 * 1024**2
_TEXT_LIMIT_CHARACTERS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Note:
    """What an action wants written down.

    Attributes:
        kind: what it tells.
        subject: what it is about: a fault's id, a model, a term.
        text: for a person; searched.
        data: plain JSON values for programs.
        is_redacted: its texts went through a redactor already.
    """

    kind: Kind
    subject: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    is_redacted: bool = False


def record(*notes: Note, ours: Folders | None = None) -> str:
    """Write notes down, redacted; a warning for the user where it could not be done, else nothing.

    This is one of the guards that catch every exception: the journal never makes a command fail.
    """
    try:
        place = ours or folders.our_folders()
        if not notes or not is_kept(place):
            return ""
        return store(place, [_draft(note, now()) for note in _redacted(notes)])
    except Exception as problem:  # noqa: BLE001 - the guard around the record
        words = (
            problem.message if isinstance(problem, BringupError) else f"{type(problem).__name__}: {problem}"
        )
        return f"{NOT_WRITTEN}: {words}"


def keep(write: Callable[[], str], *, ours: Folders | None = None) -> str:
    """Write what somebody asked to have kept; a warning where it is put aside and stored later.

    Unlike a record, which costs a command nothing, this is the command: what is lost is an error.

    Raises:
        WrongUse: no journal is kept here.
        Failure: it could not be written at all.
    """
    if not is_kept(ours or folders.our_folders()):
        raise WrongUse(
            "no log is kept here, so nothing can be added to it",
            context=(
                f"{OFF_VARIABLE} switches it off"
                if folders.variable(OFF_VARIABLE)
                else "root keeps none in another user's home",
            ),
            hint=f"Run it without {OFF_VARIABLE}, as the user whose log it is.",
            reference="log-off",
        )
    warning = write()
    if warning.startswith(NOT_WRITTEN):
        why = warning.removeprefix(NOT_WRITTEN).removeprefix(": ")
        raise Failure(
            f"nothing was kept: {why}",
            hint="Once that is mended, say it again; XDG_STATE_HOME puts the log elsewhere.",
            reference="not-kept",
        )
    return warning


def is_kept(place: Folders) -> bool:
    """Whether a journal is kept: not when it is switched off, and not as root in another user's home."""
    if folders.variable(OFF_VARIABLE) in ("off", "0", "no"):
        return False
    return not rights.is_root() or files.owner_of(place.state) in (0, None)


def store(place: Folders, drafts: Sequence[Draft]) -> str:
    """Store drafts whose texts are redacted; a warning where they are not in the journal now."""
    from bringup.actions.journal.mending import mend
    from bringup.journal.trouble import JournalTrouble
    from bringup.journal.trouble import Kind as Trouble

    try:
        try:
            _append(place, drafts)
        except JournalTrouble as trouble:
            if trouble.kind is not Trouble.DAMAGED:
                raise
            mended = mend(place, is_patient=False)
            if mended is None:
                raise
            _append(place, drafts)
            return mended.words
    except JournalTrouble as trouble:
        return put_aside(place, drafts, trouble)
    return ""


def _append(place: Folders, drafts: Sequence[Draft]) -> None:
    """One durable transaction, with what was put aside before."""
    from bringup.actions.journal.mending import check_place
    from bringup.journal.store import open_journal

    path = place.journal_file
    check_place(place)
    if not files.exists(path):
        files.create_once(path, b"")
    waiting = Waiting(place)
    before = files.identity_of_file(path)
    with open_journal(path, before_migration=partial(_keep_copy, path)) as journal:
        journal.append(drafts, waiting=waiting.take)
    if files.identity_of_file(path) != before:
        # Mended by another command in this moment: what we wrote may be in the file that was set aside.
        _write_aside(place, drafts)
        return
    waiting.remove()


class Waiting:
    """Drafts that were put aside, and their files."""

    def __init__(self, place: Folders) -> None:
        """`place` are our folders."""
        self._folder = place.journal_waiting
        self._taken: list[str] = []

    def take(self) -> list[Draft]:
        """The drafts, oldest first; a file that is none is left where it is."""
        drafts = []
        for name in files.list_names(self._folder)[:_WAITING_LIMIT]:
            path = paths.join_foreign(self._folder, name)
            data = files.read_small(path, limit_bytes=_NOTE_LIMIT_BYTES) if name.endswith(".json") else None
            draft = None if data is None else _loaded(data)
            if draft is not None:
                drafts.append(draft)
                self._taken.append(path)
        return drafts

    def remove(self) -> None:
        """Remove the files of the drafts that were taken, now that they are stored."""
        for path in self._taken:
            files.remove(path)


def put_aside(place: Folders, drafts: Sequence[Draft], trouble: BringupError) -> str:
    """Keep drafts beside the journal until it can be written; the warning for the user."""
    detail = trouble.context[0] if trouble.context else ""
    try:
        _write_aside(place, drafts)
    except BringupError:
        return f"{NOT_WRITTEN}: {trouble.message} ({detail})"
    return f"{trouble.message}; what happened now is kept beside it and taken up later"


def _write_aside(place: Folders, drafts: Sequence[Draft]) -> None:
    for number, draft in enumerate(drafts):
        value = {
            "kind": draft.kind.value,
            "subject": draft.subject,
            "text": draft.text,
            "data": draft.data,
            "moment": [draft.moment.at_s, draft.moment.boot, draft.moment.uptime_s],
            "nonce": draft.nonce.hex(),
        }
        name = f"{int(draft.moment.at_s * 1000):015d}-{number:03d}-{draft.nonce.hex()}.json"
        files.write_atomic(paths.join(place.journal_waiting, name), json.dumps(value).encode())


def _loaded(data: bytes) -> Draft | None:
    from bringup.journal.entry import Draft, Kind, Moment

    try:
        value = parse_json(data)
        at_s, boot, uptime_s = value["moment"]
        return Draft(
            Kind(value["kind"]),
            str(value["subject"]),
            str(value["text"]),
            dict(value["data"]),
            Moment(float(at_s), str(boot), float(uptime_s)),
            bytes.fromhex(value["nonce"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _keep_copy(path: str, journal: Journal, schema: int) -> None:
    """A copy of an older journal before it is brought up to date; it stays."""
    target = f"{path}.before-schema-{schema + 1}"
    if files.create_once(target, b""):
        journal.backup_to(target)


def _redacted(notes: Sequence[Note]) -> list[Note]:
    if all(note.is_redacted for note in notes):
        return list(notes)
    redact = our_redactor()
    return [
        note
        if note.is_redacted
        else Note(note.kind, redact(note.subject), redact(note.text), redacted_data(note.data, redact))
        for note in notes
    ]


def our_redactor() -> Any:  # noqa: ANN401 - a bound method of Redactor, imported late
    """Takes out of a text what names a person, this machine or a secret (our key among them)."""
    from bringup.machine.live import LiveMachine
    from bringup.machine.redaction import redactor_for

    key = files.read_small(folders.our_folders().key_file, limit_bytes=4096) or b""
    return redactor_for(LiveMachine(), secrets=key.decode("utf-8", "replace").split()).redact


def redacted_data(value: Any, redact: Any) -> Any:  # noqa: ANN401 - any plain JSON value
    """The same JSON value with every text of it redacted, keys included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redacted_data(inner, redact) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_data(inner, redact) for inner in value]
    return value


def _draft(note: Note, moment: Moment) -> Draft:
    from bringup.journal.entry import Draft

    text = note.text[:_TEXT_LIMIT_CHARACTERS]
    return Draft(note.kind, note.subject, text, note.data, moment, process.random_bytes(16))
