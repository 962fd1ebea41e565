"""Open, append and read. Every append is one durable transaction; nothing is ever changed in place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Self

from bringup.journal import schema
from bringup.journal.entry import (
    FIRST_PREVIOUS,
    Body,
    Draft,
    Entry,
    Header,
    Kind,
    Moment,
    header_for,
    pack_body,
    storable,
    unpack_body,
    words_of,
)
from bringup.journal.trouble import JournalTrouble, sqlite_errors
from bringup.journal.trouble import Kind as Trouble

_BUSY_S: Final = 0.1
_HURRIED_BUSY_S: Final = 0.05
"""For a reader that can go on without."""
_HEADER: Final = "seq, at_s, boot, uptime_s, kind, subject, digest, previous, hash"
_KINDS: Final = {kind.value: kind for kind in Kind}


class Journal:
    """An open journal. Leaving the block closes it."""

    def __init__(self, connection: sqlite3.Connection, *, is_writable: bool) -> None:
        """Use `open_journal` or `read_journal`."""
        self._connection = connection
        self.is_writable = is_writable

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the file; what was not committed is gone."""
        with sqlite_errors():
            self._connection.close()

    def append(
        self, drafts: Sequence[Draft], *, waiting: Callable[[], Sequence[Draft]] = tuple
    ) -> tuple[int, ...]:
        """Store drafts in their order; their numbers. On return they survive a kill and a power cut.

        Args:
            drafts: what to store.
            waiting: asked once the file is ours alone: drafts that were put aside before; each is stored
                before the others unless it is there already.

        Raises:
            JournalTrouble: nothing was stored.
        """
        with self._transaction():
            aside = [draft for draft in waiting() if not self._has(draft.nonce)]
            numbers = self._insert([*aside, *drafts])
        return tuple(numbers[len(aside) :])

    def forget(self, seq: int, tombstone: Draft) -> int:
        """Remove the text of one entry and leave its place; the tombstone's number.

        Raises:
            JournalTrouble: nothing was changed.
        """
        with sqlite_errors():
            self._connection.execute("PRAGMA secure_delete = ON")
        with self._transaction():
            (number,) = self._insert([tombstone])
            self._connection.execute("DELETE FROM bodies WHERE seq = ?", (seq,))
            self._connection.execute("DELETE FROM search WHERE seq = ?", (seq,))
        return number

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is done in the block is stored, durably, or nothing of it."""
        with sqlite_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def schema(self) -> int:
        """The file's schema."""
        with sqlite_errors():
            return schema.schema_of(self._connection)

    def is_whole(self) -> bool:
        """Whether SQLite finds nothing wrong with the file; reads all of it."""
        with sqlite_errors():
            rows = self._connection.execute("PRAGMA integrity_check(1)").fetchall()
        return rows == [("ok",)] and self.schema() > 0

    def carry_over(self, headers: Iterable[Header], bodies: Iterable[Body], *, highest: int) -> None:
        """Store entries of another file as they are, with their numbers; for mending only.

        `highest` is the highest number that was given out there: it is never given again.

        Raises:
            JournalTrouble: nothing was stored.
        """
        kept = {body.seq: body for body in bodies}
        with self._transaction():
            for header in headers:
                self._insert_header(header)
                body = kept.get(header.seq)
                if body is not None and body.digest == header.digest:
                    self._insert_body(header, body)
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
            self._connection.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (highest,))

    def entries(
        self,
        *,
        kinds: Sequence[Kind] = (),
        after: int = 0,
        last: int | None = None,
        with_bodies: bool = True,
    ) -> list[Entry]:
        """Entries by number, oldest first.

        Args:
            kinds: only these; all where empty.
            after: only those with a larger number.
            last: only so many of the newest.
            with_bodies: without them text and data are empty, and reading is quicker.

        Raises:
            JournalTrouble: the file is damaged or locked.
        """
        marks = ",".join("?" * len(kinds))
        where = f"seq > ?{f' AND kind IN ({marks})' if kinds else ''}"
        limit = "" if last is None else f" ORDER BY seq DESC LIMIT {int(last)}"
        body = ", (SELECT body FROM bodies WHERE bodies.seq = events.seq)" if with_bodies else ""
        query = f"SELECT seq, at_s, boot, uptime_s, kind, subject{body} FROM events WHERE {where}{limit}"
        parameters = (after, *(kind.value for kind in kinds))
        with sqlite_errors():
            rows = self._connection.execute(query, parameters).fetchall()
        found = [_entry(row, with_bodies=with_bodies) for row in rows]
        return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.seq)

    def entry(self, seq: int) -> Entry | None:
        """One entry, `None` where there is none of that number.

        Raises:
            JournalTrouble: the file is damaged or locked.
        """
        query = (
            "SELECT seq, at_s, boot, uptime_s, kind, subject,"
            " (SELECT body FROM bodies WHERE bodies.seq = events.seq) FROM events WHERE seq = ?"
        )
        with sqlite_errors():
            row = self._connection.execute(query, (seq,)).fetchone()
        return None if row is None else _entry(row, with_bodies=True)

    def search(self, words: Sequence[str], *, last: int) -> list[Entry]:
        """The newest entries that hold every word, oldest first.

        Raises:
            JournalTrouble: the file is damaged or locked.
        """
        where = " AND ".join(["instr(words, ?) > 0"] * len(words)) or "1"
        query = f"SELECT seq FROM search WHERE {where} ORDER BY seq DESC LIMIT {int(last)}"
        with sqlite_errors():
            numbers = [
                int(seq)
                for (seq,) in self._connection.execute(query, tuple(word.casefold() for word in words))
            ]
        found = (self.entry(number) for number in reversed(numbers))
        return [entry for entry in found if entry is not None]

    def headers(self) -> Iterator[Header]:
        """Every header as stored, by number.

        Raises:
            JournalTrouble: the file is damaged or locked.
        """
        with sqlite_errors():
            for row in self._connection.execute(f"SELECT {_HEADER} FROM events ORDER BY seq"):
                yield Header(*row)

    def bodies(self) -> Iterator[Body]:
        """Every body as stored, by number.

        Raises:
            JournalTrouble: the file is damaged or locked.
        """
        with sqlite_errors():
            for row in self._connection.execute("SELECT seq, nonce, body FROM bodies ORDER BY seq"):
                yield Body(*row)

    def words(self) -> dict[int, str]:
        """What the search looks through, by number.

        Raises:
            JournalTrouble: the file is damaged or locked.
        """
        with sqlite_errors():
            return {
                int(seq): str(words)
                for seq, words in self._connection.execute("SELECT seq, words FROM search")
            }

    def highest_number_given(self) -> int:
        """The highest number that was ever given out, also where its entry is gone."""
        with sqlite_errors():
            row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return 0 if row is None else int(row[0])

    def objects(self) -> dict[str, str]:
        """Tables, indexes and triggers with the statements that made them."""
        with sqlite_errors():
            return schema.objects_of(self._connection)

    def count(self) -> int:
        """How many entries there are."""
        with sqlite_errors():
            (count,) = self._connection.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    def backup_to(self, path: str) -> None:
        """A whole copy in another file.

        Raises:
            JournalTrouble: it could not be made.
        """
        with sqlite_errors():
            target = sqlite3.connect(path)
            try:
                self._connection.backup(target)
            finally:
                target.close()

    def _has(self, nonce: bytes) -> bool:
        query = "SELECT 1 FROM bodies WHERE nonce = ? LIMIT 1"
        return self._connection.execute(query, (nonce,)).fetchone() is not None

    def _insert(self, drafts: Sequence[Draft]) -> list[int]:
        last = self._connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        seq, previous = (0, FIRST_PREVIOUS) if last is None else (int(last[0]), bytes(last[1]))
        seq = max(seq, self.highest_number_given())
        numbers = []
        for draft in map(storable, drafts):
            seq += 1
            body = Body(seq, draft.nonce, pack_body(draft))
            header = header_for(draft, body, previous=previous)
            self._insert_header(header)
            self._insert_body(header, body, text=draft.text)
            previous = header.hash
            numbers.append(seq)
        return numbers

    def _insert_header(self, header: Header) -> None:
        row = tuple(getattr(header, name) for name in Header.__slots__)
        self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _insert_body(self, header: Header, body: Body, *, text: str | None = None) -> None:
        shown = unpack_body(body.body)[0] if text is None else text
        words = words_of(header.kind, header.subject, shown)
        self._connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (body.seq, body.nonce, body.body))
        self._connection.execute("INSERT INTO search VALUES (?, ?)", (body.seq, words))


def open_journal(path: str, *, before_migration: Callable[[Journal, int], None] | None = None) -> Journal:
    """Open for appending; a new file is made, an older one brought up to date.

    Args:
        path: the file; its folder must be there.
        before_migration: is handed an older journal and its schema before it is changed, to keep a copy.

    Raises:
        JournalTrouble: it cannot be opened, is damaged, or a newer version wrote it.
    """
    with sqlite_errors():
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        with _closed_on_error(connection):
            _prepare(connection, before_migration)
    return Journal(connection, is_writable=True)


def read_journal(path: str, *, is_hurried: bool = False) -> Journal:
    """Open for reading only; also one that a newer version wrote. Who is hurried hardly waits for a lock.

    Raises:
        JournalTrouble: it is not there, or damaged.
    """
    with sqlite_errors():
        # A plain open, so that a transaction that a kill cut short is rolled back; queries only.
        wait_s = _HURRIED_BUSY_S if is_hurried else _BUSY_S
        connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
        with _closed_on_error(connection):
            connection.execute("PRAGMA query_only = ON")
            schema.schema_of(connection)
    return Journal(connection, is_writable=False)


def glance(path: str) -> Journal:
    """Open for reading past the lock that another program holds.

    A write that is under way may be seen in part: good enough to see that there is nothing new to store,
    and for nothing else.

    Raises:
        JournalTrouble: it cannot be read.
    """
    from urllib.parse import quote  # a costly import, which few looks pay

    with sqlite_errors():
        connection = sqlite3.connect(f"file:{quote(path)}?immutable=1", uri=True, isolation_level=None)
    return Journal(connection, is_writable=False)


def read_copy(data: bytes) -> Journal:
    """A journal in memory from the bytes of its file, for reading only.

    Raises:
        JournalTrouble: they are none.
    """
    with sqlite_errors():
        connection = sqlite3.connect(":memory:", isolation_level=None)
        with _closed_on_error(connection):
            connection.deserialize(data)
            connection.execute("PRAGMA query_only = ON")
            schema.schema_of(connection)
    return Journal(connection, is_writable=False)


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection that turns out to be of no use."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def held_still(path: str) -> Iterator[int]:
    """Keep writers off a damaged file, as far as it can be locked; the highest number given out in it.

    0 where that cannot be read any more.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    highest = 0
    try:
        with suppress(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")
        with suppress(sqlite3.Error, JournalTrouble):
            highest = Journal(connection, is_writable=False).highest_number_given()
        yield highest
    finally:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        connection.close()


def _prepare(connection: sqlite3.Connection, before_migration: Callable[[Journal, int], None] | None) -> None:
    there = schema.schema_of(connection)
    if there == 0:
        connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
    connection.execute(f"PRAGMA journal_mode = {schema.JOURNAL_MODE}")
    connection.execute(f"PRAGMA synchronous = {schema.SYNCHRONOUS}")
    if there > schema.NEWEST:
        raise JournalTrouble(Trouble.NEWER, f"its schema is {there}, this version writes {schema.NEWEST}")
    if there < schema.NEWEST:
        if there and before_migration is not None:
            before_migration(Journal(connection, is_writable=False), there)
        schema.migrate(connection)


def _entry(row: tuple[object, ...], *, with_bodies: bool) -> Entry | None:
    """An entry of a row; `None` for a kind that a newer version has."""
    seq, at_s, boot, uptime_s, kind, subject, *rest = row
    known = _KINDS.get(str(kind))
    if known is None:
        return None
    moment = Moment(float(str(at_s)), str(boot), float(str(uptime_s)))
    body = rest[0] if rest else None
    if not isinstance(body, bytes):
        return Entry(int(str(seq)), known, str(subject), moment, is_forgotten=with_bodies)
    try:
        text, data = unpack_body(body)
    except (ValueError, KeyError, TypeError):
        text, data = "(the text of this entry is damaged; bringup log verify says more)", {}
    return Entry(int(str(seq)), known, str(subject), moment, text, data)
