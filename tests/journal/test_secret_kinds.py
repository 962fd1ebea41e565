"""Promise 31, for the log: each kind of secret behind each encoding, in notes, documents and records of runs.

The live machine does not know the made-up names of people and hosts, so those are left out here; the
redactor of a machine that knows such names is tried in tests/journal/test_privacy.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.doctor.secrets import KINDS, NAMES
from tests.doctor.test_redacted_snapshot import ENCODINGS, KEY, _decoded, _unescaped
from tests.journal.writing import all_entries

from bringup.actions.journal.reading import with_journal
from bringup.actions.journal.writing import Note, record
from bringup.actions.log.export import export_json, export_markdown, import_markdown
from bringup.actions.log.notes import DEBUG, OwnEntry, add
from bringup.actions.running.run_record import RunRecord
from bringup.errors import Failure
from bringup.journal.entry import Kind as EntryKind
from bringup.machine import files, folders
from bringup.store.local import LocalModel, OriginKind

OURS = tuple(kind for kind in KINDS if kind not in NAMES or kind.name == "our own key")
SEED = "log"


def _all_values() -> dict[str, str]:
    """What must not be left, with its kind."""
    return {kind.make(f"{SEED} {name}"): f"{kind.name}, {name}" for kind in OURS for name in ENCODINGS}


def _texts() -> list[str]:
    return [
        encode(kind.text.format(kind.make(f"{SEED} {name}")))
        for kind in OURS
        for name, encode in ENCODINGS.items()
    ]


def _left_in(*texts: str) -> list[str]:
    whole = _decoded("\n".join(part for text in texts for part in (text, _unescaped(text))))
    return sorted(kind for value, kind in _all_values().items() if value.casefold() in whole)


def _everything() -> list[str]:
    """The document, the JSON, and the bytes of every file in the state folder but that of the key."""
    ours = folders.our_folders()
    document, _ = with_journal(ours, export_markdown)
    values, _ = with_journal(ours, export_json)
    assert document is not None
    assert values is not None
    kept = [
        path.read_bytes().decode("utf-8", "replace")
        for path in sorted(Path(ours.state).rglob("*"))
        if path.is_file() and str(path) != ours.key_file
    ]
    assert kept
    return [document, json.dumps(values), *kept]


@pytest.fixture(autouse=True)
def _own_key() -> None:
    files.write_atomic(folders.our_folders().key_file, KEY.encode())


def test_the_secrets_would_be_found() -> None:
    assert len(_left_in(*_texts())) == len(_all_values())


@pytest.mark.parametrize("part", ["title", "symptom", "output", "reason", "solution"])
def test_a_note_is_clean_in_the_journal_and_in_its_exports(part: str) -> None:
    entry = OwnEntry(
        **{"section": DEBUG, "date": "2025-09-16", "title": "what happened", part: "\n".join(_texts())}
    )
    assert add(entry) == ""
    kept = _everything()
    assert _left_in(*kept) == []
    assert "what happened" in kept[0] or part == "title"


def test_an_imported_document_is_clean() -> None:
    lines = "\n".join(f"    {text}" for text in _texts())
    head = "# Debug\n\n## 16/9/25 The card is gone\n\n**Symptom:** it is gone"
    text = f"{head}\n\n```\n{lines}\n```\n\n# Learning\n\n- {_texts()[0]}\n"
    fresh, _, warning = import_markdown(folders.our_folders(), text, name="notes.md")
    assert (warning, len(fresh) > 0) == ("", True)
    assert _left_in(*_everything()) == []


def test_a_record_of_a_run_is_clean() -> None:
    texts = _texts()
    model = LocalModel("m.gguf", ("/m.gguf",), 1, OriginKind.PATH)
    RunRecord().failed(model, Failure(f"could not start: {texts[0]}", context=tuple(texts)))
    stopped = {"phase": "ended", "evidence": texts, "settings": {"arguments": texts, texts[5]: "x"}}
    assert record(Note(EntryKind.RUN, texts[1], f"m: {texts[2]}", stopped)) == ""
    assert len(all_entries(folders.our_folders())) == 2
    assert _left_in(*_everything()) == []
