"""What the journal's tests share: a place of its own, notes, a shim that fails or records calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bringup.actions.journal.reading import with_journal
from bringup.journal.entry import Draft, Entry, Kind, Moment
from bringup.journal.store import Journal
from bringup.journal.verify import Verified, verify
from bringup.machine.folders import Folders

SHIM_SOURCE = Path(__file__).with_name("shim.c")


def place_in(folder: Path) -> Folders:
    return Folders(configuration=str(folder / "c"), cache=str(folder / "k"), state=str(folder / "state"))


def draft(text: str = "a text", **more: Any) -> Draft:
    values: dict[str, Any] = {
        "kind": Kind.NOTE,
        "subject": "test",
        "text": text,
        "data": {},
        "moment": Moment(1_750_000_000.0, "boot", 12.0),
        "nonce": os.urandom(16),
    }
    return Draft(**values | more)


def all_entries(place: Folders) -> list[Entry]:
    entries, _ = with_journal(place, Journal.entries)
    return entries or []


def verified(place: Folders) -> Verified:
    found, _ = with_journal(place, verify)
    assert found is not None
    return found


def build_shim(folder: Path) -> Path:
    target = folder / "shim.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", str(target), str(SHIM_SOURCE)], check=True, timeout=60
    )
    return target


def python(code: str, environment: dict[str, str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )
