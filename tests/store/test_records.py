"""What we write beside our files is believed only where each field holds what it should."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from bringup.store.records import (
    Origin,
    PartialRecord,
    read_origin,
    read_partial_record,
    write_record,
)

RECORDS = (
    (PartialRecord("x.gguf", "http://h/x", "key", 10, None, '"e"', 5, "boot"), read_partial_record),
    (Origin("x.gguf", "http://h/x", 10, "00" * 32, verified=True, modified_s=1.5), read_origin),
)
FIELDS = [(n, field.name) for n, (record, _) in enumerate(RECORDS) for field in dataclasses.fields(record)]


@pytest.mark.parametrize(("number", "field"), FIELDS)
def test_a_record_with_a_wrong_value_is_none(number: int, field: str, tmp_path: Path) -> None:
    record, read = RECORDS[number]
    path = tmp_path / "record.json"
    write_record(str(path), record)
    assert read(str(path)) == record
    whole = json.loads(path.read_text())
    for wrong in ([], {"a": 1}, -1):
        path.write_text(json.dumps({**whole, field: wrong}))
        assert read(str(path)) is None, (field, wrong)
    del whole[field]
    path.write_text(json.dumps(whole))
    assert (read(str(path)) is None) == (field != "modified_s")


def test_what_is_nested_without_end_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"[" * 60_000)
    assert read_partial_record(str(path)) is None
