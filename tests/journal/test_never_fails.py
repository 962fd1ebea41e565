"""Promises 28 (the journal never fails a command), 30 (clocks may lie) and 34 (old files open)."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from tests.journal.writing import all_entries, build_shim, draft, place_in, python, verified
from tests.stubs.command_line import Home, run_cli

from bringup.actions.journal.reading import with_journal
from bringup.actions.journal.writing import Note, record
from bringup.actions.log.timeline import read_timeline
from bringup.journal import schema
from bringup.journal.entry import Kind
from bringup.journal.store import Journal, open_journal
from bringup.machine.folders import Folders

MORE_S = 0.25
TIMES_AS_MUCH = 2.25
"""A ratio, since cores that share their units with busy ones take more processor time for the same work."""


def note(text: str) -> Note:
    return Note(Kind.NOTE, "test", text, {}, is_redacted=True)


def timed(place: Folders, text: str) -> tuple[str, float]:
    started_s = time.perf_counter()
    warning = record(note(text), ours=place)
    return warning, time.perf_counter() - started_s


def test_a_journal_that_another_holds_keeps_nobody_waiting_and_nothing_is_lost(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    record(note("before"), ours=place)
    holder = sqlite3.connect(place.journal_file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    warning, took_s = timed(place, "while it is held")
    for _ in range(4):
        took_s = min(took_s, timed(place, "still held")[1])  # a loaded machine delays some, a wait all
    assert "another program holds it" in warning
    assert "taken up later" in warning
    assert took_s <= MORE_S
    holder.execute("ROLLBACK")
    holder.close()
    assert timed(place, "after")[0] == ""
    assert [entry.text for entry in all_entries(place)] == [
        "before",
        "while it is held",
        *["still held"] * 4,
        "after",
    ]
    assert list(Path(place.journal_waiting).iterdir()) == []


def processor_s(home: Home, *words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Processor time of one command, children included: it does not grow with the load of the machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_cli(home, *words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


def test_a_command_that_meets_a_damaged_journal_costs_little_more(own_home: Path) -> None:
    """The first page is damaged: the file is set aside, mended, and the whole machine written down anew."""
    home = Home(own_home)
    run_cli(home, "doctor")
    journal = home.state / "journal.sqlite"
    sound = journal.read_bytes()
    free_s, damaged_s = [], []
    for _ in range(10):
        spent_s, free = processor_s(home, "doctor")
        free_s.append(spent_s)
        journal.write_bytes(os.urandom(schema.PAGE_BYTES) + sound[schema.PAGE_BYTES :])
        spent_s, damaged = processor_s(home, "doctor")
        damaged_s.append(spent_s)
        assert damaged.returncode == free.returncode
        assert damaged.stderr.count("warning:") == 1
        if len(free_s) >= 2 and min(damaged_s) <= TIMES_AS_MUCH * min(free_s):
            break
    assert min(damaged_s) <= TIMES_AS_MUCH * min(free_s), (free_s, damaged_s)


def test_a_file_that_is_no_journal_at_all_is_set_aside_whole(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    Path(place.state).mkdir(parents=True)
    junk = b"not a database, " * 1000
    Path(place.journal_file).write_bytes(junk)
    warning, _ = timed(place, "first")
    assert "set aside as journal.damaged-" in warning
    (aside,) = Path(place.state).glob("journal.damaged-*.sqlite")
    assert aside.read_bytes() == junk
    assert [entry.text for entry in all_entries(place) if entry.kind is Kind.NOTE] == ["first"]
    assert verified(place).problems == ()


@pytest.mark.parametrize("kind", ["named pipe", "leads nowhere", "folder"])
def test_what_is_no_file_under_the_journals_name_is_said(tmp_path: Path, kind: str) -> None:
    """Once it passed for a journal that is not there: `log` told half and warned of nothing."""
    place = place_in(tmp_path)
    path = Path(place.journal_file)
    path.parent.mkdir(parents=True)
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name + ".gone")
    told = read_timeline(place, None, since_s=None, layer=None, last=5)
    assert "what lies at its path is no file" in told.warning
    assert kind in told.warning
    assert "kept beside it" in timed(place, "first")[0]
    path.rmdir() if kind == "folder" else path.unlink()
    assert [entry.text for entry in all_entries(place) if entry.kind is Kind.NOTE] == ["first"]


def test_a_large_damaged_journal_waits_for_somebody_with_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bringup.actions.journal.mending._QUICK_BYTES", 1000)
    place = place_in(tmp_path)
    for number in range(20):
        record(note(f"text {number}"), ours=place)
    data = bytearray(Path(place.journal_file).read_bytes())
    data[: schema.PAGE_BYTES] = os.urandom(schema.PAGE_BYTES)
    Path(place.journal_file).write_bytes(data)
    began_s = time.process_time()
    warning, _ = timed(place, "in a hurry")
    assert "taken up later" in warning
    assert time.process_time() - began_s <= MORE_S
    texts = [entry.text for entry in all_entries(place) if entry.kind is Kind.NOTE]
    assert texts == [*(f"text {number}" for number in range(20)), "in a hurry"]


def test_a_newer_journal_is_read_only_and_what_happens_waits_for_the_newer_program(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    record(note("by the newer one"), ours=place)
    connection = sqlite3.connect(place.journal_file, isolation_level=None)
    connection.execute("ALTER TABLE bodies ADD COLUMN later TEXT")
    connection.execute(f"PRAGMA user_version = {schema.NEWEST + 1}")
    connection.close()
    before = Path(place.journal_file).read_bytes()
    assert "a newer bringup wrote it" in timed(place, "by the older one")[0]
    assert Path(place.journal_file).read_bytes() == before
    entries, warning = with_journal(place, Journal.entries)
    assert [entry.text for entry in entries or []] == ["by the newer one"]
    assert "newer" in warning
    assert len(list(Path(place.journal_waiting).iterdir())) == 1


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_every_call_failing_once_leaves_a_whole_journal_and_one_warning(tmp_path: Path) -> None:
    shim = build_shim(tmp_path)
    code = (
        "import sys\n"
        "from bringup.actions.journal.writing import Note, record\n"
        "from bringup.journal.entry import Kind\n"
        "from bringup.machine.folders import our_folders\n"
        "print(record(Note(Kind.NOTE, 't', sys.argv[1] if sys.argv[1:] else 'x', {}, is_redacted=True)))\n"
    )
    n_warned = 0
    for number in range(1, 60):
        state = tmp_path / f"s{number}"
        environment = {"XDG_STATE_HOME": str(state), "HOME": str(tmp_path)}
        assert python(code, environment).stdout == "\n"
        failing = {
            "LD_PRELOAD": str(shim),
            "BRINGUP_TEST_MATCH": str(state / "bringup"),
            "BRINGUP_TEST_FAIL": str(number),
        }
        done = python(code, environment | failing | ({"BRINGUP_TEST_ALL": "1"} if number % 2 else {}))
        assert done.returncode == 0, (number, done.stderr)
        assert done.stderr == "", number
        assert done.stdout.count("\n") == 1, (number, done.stdout)
        place = place_in(tmp_path / "unused")
        place = Folders(place.configuration, place.cache, str(state / "bringup"))
        assert verified(place).problems == (), number
        is_warned = done.stdout != "\n"
        n_warned += is_warned
        assert len(all_entries(place)) == 2 or is_warned, number
        if not is_warned and number > 3:
            break
    assert n_warned >= 3


def test_a_command_keeps_its_exit_code_on_a_full_a_read_only_and_a_damaged_place(own_home: Path) -> None:
    home = Home(own_home)
    healthy = run_cli(home, "doctor", "--json")
    state = home.state
    (state / "journal.sqlite").write_bytes(b"junk" * 5000)
    damaged = run_cli(home, "doctor", "--json")
    assert (damaged.returncode, damaged.stdout[:30]) == (healthy.returncode, healthy.stdout[:30])
    assert damaged.stderr.count("warning:") == 1
    for path in state.iterdir():
        path.unlink()
    state.rmdir()
    state.write_text("a file where the folder should be")
    blocked = run_cli(home, "doctor", "--json")
    assert blocked.returncode == healthy.returncode
    assert blocked.stderr.count("warning:") == 1
    assert "Traceback" not in blocked.stderr


UNSHARE = shutil.which("unshare")


@pytest.mark.skipif(
    UNSHARE is None
    or subprocess.run([UNSHARE, "-m", "true"], check=False, capture_output=True).returncode != 0,
    reason="no unshare",
)
@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_real_full_disk_and_a_real_read_only_one(own_home: Path, kind: str) -> None:
    state = Home(own_home).state
    state.mkdir(parents=True)
    spoil = {
        "full": f"dd if=/dev/zero of={state}/fill 2>/dev/null;",
        "read-only": f"mount -o remount,ro {state};",
    }[kind]
    script = (
        f"mount -t tmpfs -o size=1m none {state} && {spoil} "
        f"{sys.executable} -m bringup doctor --json >/dev/null; echo code $?; exec 2>{state.parent}/told;"
        f"{sys.executable} -m bringup log add --learned x; echo code $?;"
        f"{sys.executable} -m bringup watch; echo code $?"
    )
    done = subprocess.run(
        [str(UNSHARE), "-m", "sh", "-c", script],
        env=Home(own_home).environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    code = run_cli(Home(own_home), "doctor", "--json").returncode
    assert done.stdout == f"code {code}\ncode 1\ncode 1\n"
    assert done.stderr.count("warning:") == 1, done.stderr
    assert "not written to the journal" in done.stderr
    told = (state.parent / "told").read_text()
    assert "error: nothing was kept: " in told  # what was asked for and is not done is no warning
    assert "were written down" not in told
    assert "Kept" not in told


def test_promise_30_order_is_by_number_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_in(tmp_path)
    ten_years_s = 10 * 365.25 * 86400
    now_s = time.time()
    moments = [now_s, now_s + ten_years_s, now_s - ten_years_s, now_s - 5, now_s + 1, 0.0]
    for number, moment_s in enumerate(moments):
        monkeypatch.setattr("bringup.machine.clock.wall_s", lambda at_s=moment_s: at_s)
        assert record(note(f"{number}"), ours=place) == ""
    entries = all_entries(place)
    assert [entry.text for entry in entries] == [f"{number}" for number in range(len(moments))]
    spans_s = [later.moment.since_s(first.moment) for first, later in pairwise(entries)]
    assert all(span_s is not None and 0 <= span_s < 60 for span_s in spans_s)
    assert verified(place).problems == ()


@pytest.mark.skipif(
    UNSHARE is None
    or subprocess.run([UNSHARE, "-T", "--boottime", "9", "true"], check=False, capture_output=True).returncode
    != 0,
    reason="no unshare",
)
def test_twelve_hours_of_suspend_are_twelve_hours(tmp_path: Path) -> None:
    code = (
        "from bringup.actions.journal.writing import Note, record\n"
        "from bringup.journal.entry import Kind\n"
        "print(record(Note(Kind.NOTE, 't', 'x', {}, is_redacted=True)))\n"
    )
    environment = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for shift_s in (0, 12 * 3600):
        subprocess.run(
            [str(UNSHARE), "-T", "--boottime", str(shift_s), sys.executable, "-c", code],
            env=environment,
            check=True,
            timeout=60,
        )
    place = place_in(tmp_path)
    first, later = all_entries(Folders(place.configuration, place.cache, str(tmp_path / "bringup")))
    span_s = later.moment.since_s(first.moment)
    assert span_s is not None
    assert 12 * 3600 <= span_s < 12 * 3600 + 60


def old_journal(path: Path, upto: int) -> None:
    """A journal as the version of that schema left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
    schema.migrate(connection, upto=upto)
    journal = Journal(connection, is_writable=True)
    journal._insert_body = lambda _header, body, **_more: connection.execute(  # type: ignore[method-assign]
        "INSERT INTO bodies VALUES (?, ?, ?)", (body.seq, body.nonce, body.body)
    )
    for number in range(30):
        journal.append([draft(f"Älteres {number}")])
    connection.close()


def test_promise_34_an_older_schema_opens_and_a_copy_of_it_stays(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    Path(place.state).mkdir(parents=True)
    old_journal(Path(place.journal_file), 1)
    found, warning = with_journal(place, lambda journal: journal.search(["ÄLTERES", "29"], last=5))
    assert warning == ""
    assert [entry.seq for entry in found or []] == [30]
    assert verified(place).problems == ()
    copy = sqlite3.connect(f"{place.journal_file}.before-schema-2")
    assert copy.execute("PRAGMA user_version").fetchone() == (1,)
    assert copy.execute("SELECT count(*) FROM bodies").fetchone() == (30,)
    copy.close()


def test_promise_34_fifty_kills_in_a_migration_leave_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    master = tmp_path / "master"
    old_journal(master, 1)
    code = (
        "import os, sys\n"
        "from bringup.journal import schema\n"
        "from bringup.journal.store import open_journal\n"
        "count = 0\n"
        "def trace(frame, event, argument):\n"
        "    global count\n"
        "    count += 1\n"
        "    if count == wanted:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return trace\n"
        "for wanted in range(1, 51):\n"
        "    count, path = 0, f'{sys.argv[1]}.{wanted}'\n"
        "    wanted = wanted * 6\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        sys.settrace(trace)\n"
        "        open_journal(path).close()\n"
        "        os._exit(0)\n"
        "    print(os.waitpid(child, 0)[1])\n"
    )
    for number in range(1, 51):
        shutil.copy(master, f"{master}.{number}")
    done = subprocess.run(
        [sys.executable, "-c", code, str(master)], capture_output=True, text=True, check=True, timeout=60
    )
    deaths = done.stdout.split()
    assert deaths.count("9") >= 45
    for number in range(1, 51):
        with open_journal(f"{master}.{number}") as journal:
            assert journal.is_whole()
            assert journal.count() == 30
            assert len(journal.search(["älteres"], last=99)) == 30
