"""Documents of the founding log's shape: one of our own, five in other hands, and what comes out again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.journal.writing import place_in

from bringup.actions.journal.reading import with_journal
from bringup.actions.log.export import all_entries, export_markdown, import_markdown
from bringup.actions.log.markdown import parse_date, read_document, short_date, write_document
from bringup.actions.log.notes import DEBUG, LEARNING, OwnEntry

DOCUMENTS = Path(__file__).parent / "documents"
NAMES = ("founding", "headings", "bold-lines", "iso-dates", "no-lists", "german-dates")


def read(name: str) -> str:
    return (DOCUMENTS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_hand_gives_the_same_two_entries(name: str) -> None:
    entries = [entry for entry in read_document(read(name)) if entry.section == DEBUG]
    assert [entry.date for entry in entries] == ["2025-09-16", "2025-10-02"], name
    first, second = entries
    assert "nvidia-smi" in first.title
    assert first.output.startswith("Failed to initialize NVML: Driver/library version mismatch"), name
    assert "570.172" in first.output
    assert "old module" in first.reason
    assert "reboot" in first.solution
    assert "context" in second.title
    assert "slots" in second.reason
    assert "--parallel 1" in second.solution


@pytest.mark.parametrize("name", NAMES)
def test_no_word_of_a_document_is_dropped(name: str) -> None:
    text = read(name)
    kept = " ".join(entry.text() for entry in read_document(text))
    for word in ("VRAM", "hotel", "ring", "prefill"):
        assert (word in text) == (word in kept), (name, word)


@pytest.mark.parametrize("name", NAMES)
def test_export_import_export_is_stable(name: str, tmp_path: Path) -> None:
    first, second = place_in(tmp_path / "a"), place_in(tmp_path / "b")
    fresh, n_known, warning = import_markdown(first, read(name), name=name)
    assert (n_known, warning) == (0, "")
    assert next(entry.fault for entry in fresh if entry.section == DEBUG) == "driver-library-mismatch"
    exported, _ = with_journal(first, export_markdown)
    assert exported is not None
    import_markdown(second, exported, name="export")
    again, _ = with_journal(second, export_markdown)
    assert again == exported
    assert import_markdown(first, exported, name="export")[0] == []
    assert import_markdown(first, read(name), name=name)[0] == []
    entries, _ = with_journal(first, all_entries)
    assert len(entries or []) == len(fresh)


def test_nested_lists_and_code_blocks_survive() -> None:
    entries = [entry for entry in read_document(read("founding")) if entry.section == LEARNING]
    ram = next(entry for entry in entries if entry.title.startswith("RAM"))
    assert "\n- user space: the floors above\n" in ram.title
    assert "\n  - each guest has a key\n" in ram.title
    code = next(entry for entry in entries if "nvidia-smi -q" in entry.title)
    assert "```\n# not a heading\nnvidia-smi -q\n```" in code.title


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("16/9/25", "2025-09-16"),
        ("16.09.2025", "2025-09-16"),
        ("2025-9-16", "2025-09-16"),
        ("16 Sep 2025", "2025-09-16"),
        ("September 16, 2025", "2025-09-16"),
        ("9/16/25", "2025-09-16"),  # only this order is a date
        ("31/2/25", ""),
        ("1.2", ""),
        ("99/99/99", ""),
    ],
)
def test_dates(text: str, iso: str) -> None:
    assert parse_date(text) == iso
    if iso:
        assert parse_date(short_date(iso)) == iso


_LINE = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), max_size=30)


@given(st.lists(st.tuples(_LINE, _LINE, _LINE), min_size=1, max_size=4))
def test_whatever_is_written_can_be_read_and_settles(texts: list[tuple[str, str, str]]) -> None:
    entries = [
        OwnEntry(DEBUG, "2025-09-16", f"title {title.strip()}", output=output.strip(), reason=reason.strip())
        for title, output, reason in texts
    ]
    once = write_document(read_document(write_document(entries)))
    assert write_document(read_document(once)) == once


@given(st.text(max_size=400))
def test_nothing_that_is_read_raises(text: str) -> None:
    read_document(text)
    read_document(f"## Debug\n{text}")


def test_an_empty_document_has_no_entries() -> None:
    assert read_document("") == []
    assert read_document("# Log\n\n## Learning\n\n## Debug\n") == []
