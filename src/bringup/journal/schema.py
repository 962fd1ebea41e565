"""The journal's tables, by numbered steps that are never edited once they were released."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

from bringup.journal.entry import unpack_body, words_of
from bringup.journal.trouble import JournalTrouble, Kind

PAGE_BYTES: Final = 4096

JOURNAL_MODE: Final = "TRUNCATE"
SYNCHRONOUS: Final = "FULL"
"""Slower than WAL by half a millisecond a write, and without the race that SQLite's WAL had before 3.51.3."""


def _one(connection: sqlite3.Connection) -> None:
    """Headers and bodies; headers are append-only by trigger, too."""
    connection.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, boot TEXT NOT NULL,"
        " uptime_s REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, digest BLOB NOT NULL,"
        " previous BLOB NOT NULL, hash BLOB NOT NULL)"
    )
    connection.execute("CREATE INDEX events_by_kind ON events (kind, seq)")
    connection.execute(
        "CREATE TABLE bodies (seq INTEGER PRIMARY KEY, nonce BLOB NOT NULL, body BLOB NOT NULL)"
    )
    for verb in ("UPDATE", "DELETE"):
        connection.execute(
            f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events"
            " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        )
    connection.execute(
        "CREATE TRIGGER bodies_no_update BEFORE UPDATE ON bodies"
        " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    )


def _two(connection: sqlite3.Connection) -> None:
    """What the search looks through, in lower case of every script."""
    connection.execute("CREATE TABLE search (seq INTEGER PRIMARY KEY, words TEXT NOT NULL)")
    rows = connection.execute("SELECT seq, kind, subject, body FROM events JOIN bodies USING (seq)")
    for seq, kind, subject, body in rows.fetchall():
        words = words_of(kind, subject, unpack_body(body)[0])
        connection.execute("INSERT INTO search VALUES (?, ?)", (seq, words))


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_one, _two)
"""Step N brings a file of schema N-1 to schema N."""

NEWEST: Final = len(MIGRATIONS)


def schema_of(connection: sqlite3.Connection) -> int:
    """The file's schema; 0 for an empty one."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def migrate(connection: sqlite3.Connection, *, upto: int = NEWEST) -> None:
    """Bring a file up to a schema in one transaction: after a kill it is the old one or the new one."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        there = schema_of(connection)
        if there > NEWEST:
            raise JournalTrouble(Kind.NEWER, f"its schema is {there}, this version writes {NEWEST}")
        for number in range(there, upto):
            MIGRATIONS[number](connection)
        connection.execute(f"PRAGMA user_version = {max(there, upto)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def objects_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Every table, index and trigger of ours with the statement that made it."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")
    return {str(name): " ".join(str(sql).split()) for name, sql in rows}


def expected_objects() -> dict[str, str]:
    """The same of a file that nobody touched."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(connection)
        return objects_of(connection)
    finally:
        connection.close()
