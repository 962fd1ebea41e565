"""The file itself: order, chain, search, forgetting, verification, salvage."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest
from tests.journal.writing import draft

from bringup.journal import schema
from bringup.journal.entry import Body, Kind, Moment, header_for, pack_body, unpack_body
from bringup.journal.salvage import salvage
from bringup.journal.store import Journal, open_journal, read_journal
from bringup.journal.trouble import JournalTrouble
from bringup.journal.verify import verify

N_EDITS = 1000


def filled(path: Path, count: int = 40) -> Journal:
    journal = open_journal(str(path))
    for number in range(count):
        kind = Kind.RUN if number % 3 else Kind.NOTE
        long = "word " * (2000 if number % 10 == 9 else number)
        journal.append([draft(f"text {number} {long}", kind=kind, subject=f"s{number}", data={"n": number})])
    return journal


def test_a_file_that_another_command_brought_up_to_date_meanwhile_stays_as_it_is(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "j", isolation_level=None)
    schema.migrate(connection)
    before = schema.objects_of(connection)
    schema.migrate(connection)
    assert (schema.schema_of(connection), schema.objects_of(connection)) == (schema.NEWEST, before)
    connection.close()


def test_a_copy_that_breaks_off_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with filled(tmp_path / "from", 3) as journal:
        headers, bodies = list(journal.headers()), list(journal.bodies())
    with open_journal(str(tmp_path / "to")) as journal:
        with pytest.raises(JournalTrouble):
            journal.carry_over([*headers, headers[0]], bodies, highest=3)
        assert journal.count() == 0
        journal.carry_over(headers, bodies, highest=3)
        assert [entry.seq for entry in journal.entries()] == [1, 2, 3]


def test_entries_come_back_in_order_with_all_that_was_written(tmp_path: Path) -> None:
    with filled(tmp_path / "j") as journal:
        entries = journal.entries()
        assert [entry.seq for entry in entries] == list(range(1, 41))
        assert entries[4].text.startswith("text 4 ")
        assert entries[4].data == {"n": 4}
        assert entries[4].moment == Moment(1_750_000_000.0, "boot", 12.0)
        assert [entry.seq for entry in journal.entries(kinds=(Kind.NOTE,), last=2)] == [37, 40]
        assert [entry.seq for entry in journal.entries(after=38)] == [39, 40]
        assert journal.entry(99) is None


def test_a_file_s_name_of_other_bytes_does_not_keep_an_entry_out(tmp_path: Path) -> None:
    with open_journal(str(tmp_path / "j")) as journal:
        journal.append([draft("caf\udce9.gguf runs", subject="caf\udce9.gguf")])
        entry = journal.entries()[0]
        assert (entry.subject, entry.text) == ("caf\ufffd.gguf", "caf\ufffd.gguf runs")
        assert [one.seq for one in journal.entries()] == [1]


def test_it_is_truncate_and_full_and_never_wal(tmp_path: Path) -> None:
    with open_journal(str(tmp_path / "j")) as journal:
        connection = journal._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert not list(tmp_path.glob("*-wal"))


@pytest.mark.parametrize(
    "verb", ["UPDATE events SET subject = 'x'", "DELETE FROM events", "UPDATE bodies SET body = ''"]
)
def test_the_file_itself_refuses_changes(tmp_path: Path, verb: str) -> None:
    with filled(tmp_path / "j", 3) as journal, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        journal._connection.execute(verb)


def test_search_finds_every_word_in_any_script_and_case(tmp_path: Path) -> None:
    with open_journal(str(tmp_path / "j")) as journal:
        journal.append([draft("Größe der KARTE"), draft("die Größe"), draft("karte 100% _x")])
        assert [entry.seq for entry in journal.search(["GRÖSSE", "karte"], last=9)] == [1]
        assert [entry.seq for entry in journal.search(["größe"], last=1)] == [2]
        assert [entry.seq for entry in journal.search(["100%"], last=9)] == [3]
        assert journal.search(["' OR 1=1 --"], last=9) == []


def test_a_draft_that_is_handed_in_twice_is_stored_once(tmp_path: Path) -> None:
    aside = draft("aside")
    with open_journal(str(tmp_path / "j")) as journal:
        assert journal.append([draft("first")], waiting=lambda: [aside]) == (2,)
        assert journal.append([draft("second")], waiting=lambda: [aside]) == (3,)
        assert [entry.text for entry in journal.entries()] == ["aside", "first", "second"]


def test_forgetting_takes_the_text_out_of_the_file_and_leaves_a_sound_chain(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with open_journal(str(path)) as journal:
        journal.append([draft("keep this"), draft("SECRETWORD of somebody"), draft("and this")])
        journal.forget(2, draft("", kind=Kind.FORGOTTEN, data={"seq": 2}))
        found = verify(journal)
        assert (found.problems, found.forgotten) == ((), (2,))
        entry = journal.entry(2)
        assert entry is not None
        assert entry.is_forgotten
        assert entry.text == ""
        assert journal.search(["secretword"], last=9) == []
    assert b"secretword" not in path.read_bytes().lower()


def test_a_body_that_only_looks_forgotten_is_found(tmp_path: Path) -> None:
    with filled(tmp_path / "j", 5) as journal:
        journal._connection.execute("DELETE FROM bodies WHERE seq = 3")
        journal._connection.execute("DELETE FROM search WHERE seq = 3")
        assert verify(journal).problems == ("the text of entry 3 is missing",)


def random_edit(connection: sqlite3.Connection, dice: random.Random) -> str:
    """Change something by SQL, triggers out of the way; what was done."""
    n = dice.randrange(1, 41)
    column, value = dice.choice(
        [
            ("at_s", dice.uniform(0, 2e9)),
            ("boot", "other"),
            ("uptime_s", dice.uniform(0, 1e6)),
            ("kind", "bench"),
            ("subject", f"forged {dice.random()}"),
            ("digest", os.urandom(32)),
            ("previous", os.urandom(32)),
            ("hash", os.urandom(32)),
        ]
    )
    verbs: list[tuple[str, tuple[object, ...]]] = [
        (f"UPDATE events SET {column} = ? WHERE seq = ?", (value, n)),
        ("UPDATE bodies SET body = ? WHERE seq = ?", (pack_body(draft("forged")), n)),
        ("UPDATE bodies SET nonce = ? WHERE seq = ?", (os.urandom(16), n)),
        ("UPDATE search SET words = ? WHERE seq = ?", ("forged", n)),
        ("DELETE FROM events WHERE seq = ?", (n,)),
        ("DELETE FROM bodies WHERE seq = ?", (n,)),
        ("DELETE FROM search WHERE seq = ?", (n,)),
        ("DELETE FROM events WHERE seq >= ?", (n,)),
        ("UPDATE events SET seq = seq + 1000 WHERE seq = ?", (n,)),
        ("UPDATE bodies SET seq = seq + 1000 WHERE seq = ?", (n,)),
        ("INSERT INTO bodies VALUES (?, ?, ?)", (n + 1000, b"n", b"b")),
        ("UPDATE sqlite_sequence SET seq = ?", (dice.choice([n + 41, 39, 0]),)),
        ("DELETE FROM sqlite_sequence WHERE seq <> ?", (n - 100,)),
        ("DROP INDEX events_by_kind", ()),
        ("CREATE TABLE more (x)", ()),
    ]
    if dice.random() < 0.1:
        connection.execute("DROP TRIGGER events_no_update")
        return "a trigger"
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    verb, values = dice.choice(verbs)
    connection.execute(verb, values)
    for _, sql in triggers:
        connection.execute(sql)
    return verb


def test_promise_29_a_thousand_edits_are_found_and_no_untouched_file_is_accused(tmp_path: Path) -> None:
    dice = random.Random(29)
    with filled(tmp_path / "j") as journal:
        assert verify(journal).problems == ()
        unseen = []
        for _ in range(N_EDITS):
            copy = sqlite3.connect(":memory:", isolation_level=None)
            journal._connection.backup(copy)
            done = random_edit(copy, dice)
            if not verify(Journal(copy, is_writable=False)).problems:
                unseen.append(done)
            copy.close()
        assert unseen == []
        assert verify(journal).problems == ()


@pytest.mark.parametrize("n", [1, 20, 39])
def test_an_entry_forged_with_a_hash_that_fits_it_breaks_the_chain(tmp_path: Path, n: int) -> None:
    """Who knows how hashes are made can make one for a forged entry, and not for all that followed it."""
    with filled(tmp_path / "j") as journal:
        before = {header.seq: header for header in journal.headers()}[n]
        forged = draft("forged", kind=Kind.NOTE, subject="forged")
        body = Body(n, forged.nonce, pack_body(forged))
        header = header_for(forged, body, previous=before.previous)
        with journal._transaction():
            triggers = journal._connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in triggers:
                journal._connection.execute(f"DROP TRIGGER {name}")
            for table in ("events", "bodies", "search"):
                journal._connection.execute(f"DELETE FROM {table} WHERE seq = ?", (n,))
            journal._insert_header(header)
            journal._insert_body(header, body)
            for _, sql in triggers:
                journal._connection.execute(sql)
        assert verify(journal).problems == (f"entry {n + 1} does not follow the entry before it",)


def test_every_page_damaged_in_turn_loses_only_what_lay_on_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    filled(path, 120).close()
    sound = path.read_bytes()
    whole = salvage(sound)
    assert [header.seq for header in whole.headers] == list(range(1, 121))
    assert len(whole.bodies) == 120
    for number in range(len(sound) // schema.PAGE_BYTES):
        start = number * schema.PAGE_BYTES
        for junk in (os.urandom(schema.PAGE_BYTES), bytes(schema.PAGE_BYTES), b"\x0d" + os.urandom(4095)):
            damaged = sound[:start] + junk + sound[start + schema.PAGE_BYTES :]
            found = salvage(damaged)
            path.write_bytes(damaged)
            by_sqlite = readable_by_sqlite(path)
            kept = {header.seq for header in found.headers}
            missed = by_sqlite - kept
            assert len(missed) <= 0.01 * len(by_sqlite), (number, missed)
            assert all(header.is_sound for header in found.headers)


def readable_by_sqlite(path: Path) -> set[int]:
    """Numbers of the entries that SQLite itself reads, one by one, unchanged."""
    found = set()
    try:
        with read_journal(str(path)) as journal:
            for number in range(1, 121):
                try:
                    row = journal._connection.execute(
                        "SELECT * FROM events WHERE seq = ?", (number,)
                    ).fetchone()
                except sqlite3.Error:
                    continue
                if row is not None and row[5] == f"s{number - 1}":
                    found.add(number)
    except JournalTrouble:
        return set()
    return found


def test_a_body_unpacks_to_what_was_packed_and_a_broken_one_is_refused() -> None:
    big = draft("x" * 5000, data={"é": ["ü", 1, None]})
    assert unpack_body(pack_body(big)) == (big.text, dict(big.data))
    for broken in (b"", b"\1", b"\1junk", b"\0{", b"\0[]"):
        with pytest.raises((ValueError, KeyError, TypeError)):
            unpack_body(broken)


def test_spans_are_never_negative() -> None:
    first, later = Moment(1000.0, "a", 50.0), Moment(900.0, "a", 60.0)
    assert later.since_s(first) == 10.0
    assert Moment(900.0, "b", 1.0).since_s(first) is None
    assert Moment(1100.0, "b", 1.0).since_s(first) == 100.0
