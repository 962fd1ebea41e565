"""Promise 28: a lock that another program holds changes no exit code, and nobody waits long for it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.doctor.shown import shown_by
from tests.journal.conftest import UNDER_A_LOCK, Held
from tests.stubs.command_line import Home, run_cli

MORE_S = 0.25


def test_a_held_lock_changes_no_exit_code_and_what_can_be_read_is_shown(held: Held) -> None:
    for words, code in held.codes.items():
        done = run_cli(held.home, *words)
        assert done.returncode == code, (words, done.stderr)
        assert done.stderr.count("warning:") <= 1, (words, done.stderr)
        assert "Traceback" not in done.stderr
        if words[:2] in (("log",), ("log", "search"), ("log", "export")):
            assert "before it was held" in done.stdout, words
            assert "another program holds the journal; this is what stood in it before" in done.stderr


def test_a_holder_that_stands_still_in_a_write_costs_the_timeline_its_entries_and_no_exit_code(
    own_home: Path,
) -> None:
    home = Home(own_home)
    run_cli(home, "log", "add", "--symptom", "before it was held")
    writing = sqlite3.connect(home.state / "journal.sqlite", isolation_level=None)
    try:
        writing.execute("BEGIN EXCLUSIVE")
        writing.execute("CREATE TABLE made (x)")  # what takes the write back lies beside the file now
        assert (home.state / "journal.sqlite-journal").stat().st_size > 0
        done = run_cli(home, "log")
        verified = run_cli(home, "log", "verify")
    finally:
        writing.execute("ROLLBACK")
        writing.close()
    assert done.returncode == 0, done.stderr
    assert "in the middle of a write; what stands in it is left out" in done.stderr
    assert verified.returncode == 3
    assert "before it was held" in run_cli(home, "log").stdout


@pytest.mark.parametrize("words", UNDER_A_LOCK, ids=" ".join)
def test_a_command_waits_for_a_held_lock_a_quarter_of_a_second_at_most(
    held: Held, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added up from how long each try may wait: no clock is read, so other load does not matter."""
    for name, value in held.home.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("bringup.machine.process.is_single_threaded", lambda: True)
    waits_s = []
    connect = sqlite3.connect

    def counted(path: str, *arguments: object, **more: object) -> sqlite3.Connection:
        if "timeout" in more:
            waits_s.append(float(str(more["timeout"])))
        return connect(path, *arguments, **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", counted)
    code, text = shown_by(*words)
    assert code == held.codes[words], text
    assert sum(waits_s) <= MORE_S, waits_s
    assert waits_s or words == ("ps",), "it never met the lock"
