"""What can stand between us and the journal, by kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from bringup.errors import Failure


class Kind(Enum):
    """Why the journal could not be used; the value is said to the user."""

    BUSY = "another program holds it"
    FULL = "the disk is full"
    READ_ONLY = "it cannot be used there"
    DAMAGED = "its file is damaged"
    NO_FILE = "what lies at its path is no file"
    NEWER = "a newer bringup wrote it"
    OTHER = "SQLite failed"


class JournalTrouble(Failure):
    """The journal could not be read or written.

    Attributes:
        kind: why.
        detail: SQLite's own words.
    """

    default_reference = "journal-trouble"

    def __init__(self, kind: Kind, detail: str) -> None:
        """`detail` is SQLite's own words."""
        super().__init__(
            f"the journal could not be used: {kind.value}",
            context=(detail,),
            hint=_HINTS.get(kind, ""),
            reference=f"journal-{kind.name.lower().replace('_', '-')}",
        )
        self.kind = kind
        self.detail = detail


_HINTS: Final = {
    Kind.BUSY: "Try again in a moment; a program that is stopped holds it until it goes on or ends.",
    Kind.FULL: "Free some space in the state folder (bringup log verify names it).",
    Kind.READ_ONLY: "Check the rights of the state folder, or set XDG_STATE_HOME.",
    Kind.DAMAGED: "bringup log sets the damaged file aside and carries over what can be read.",
    Kind.NO_FILE: "Move that out of the way; the journal begins anew with what is kept beside it.",
    Kind.NEWER: "Use the newer bringup; this one only reads that journal.",
}

_BY_CODE: Final = {
    sqlite3.SQLITE_BUSY: Kind.BUSY,
    sqlite3.SQLITE_LOCKED: Kind.BUSY,
    sqlite3.SQLITE_PROTOCOL: Kind.BUSY,
    sqlite3.SQLITE_FULL: Kind.FULL,
    sqlite3.SQLITE_READONLY: Kind.READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: Kind.READ_ONLY,
    sqlite3.SQLITE_PERM: Kind.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Kind.DAMAGED,
    sqlite3.SQLITE_NOTADB: Kind.DAMAGED,
    sqlite3.SQLITE_FORMAT: Kind.DAMAGED,
}


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """Turn an error of SQLite into ours; text that is no UTF-8 any more is damage, too."""
    try:
        yield
    except sqlite3.Error as problem:
        raise JournalTrouble(_kind_of(problem), str(problem)) from problem


def _kind_of(problem: sqlite3.Error) -> Kind:
    code = getattr(problem, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _BY_CODE.get(code & 0xFF, Kind.OTHER)
    words = str(problem)
    if "Could not decode to UTF-8" in words:
        return Kind.DAMAGED
    return Kind.OTHER
