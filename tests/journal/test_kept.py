"""Promise 27: acknowledged means kept, through kills, through a power cut, with many writers."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.journal.writing import all_entries, build_shim, draft, place_in, python, verified

from bringup.actions.journal.writing import Note, record
from bringup.journal.entry import Kind
from bringup.journal.store import open_journal, read_journal
from bringup.journal.verify import verify

IS_SOAK = os.environ.get("BRINGUP_SOAK") == "1"
N_KILLS = 1000 if IS_SOAK else 100
N_WRITERS = 50
N_EACH = 4


def test_a_kill_loses_at_most_what_was_being_written(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    acks = tmp_path / "acks"
    argv = [sys.executable, "-m", "tests.journal.writer", place.state, str(N_KILLS), "4", str(acks)]
    subprocess.run(argv, check=True, timeout=110 if not IS_SOAK else 900, cwd=Path(__file__).parents[2])
    acknowledged = acks.read_text().split("\n")
    assert len(acknowledged) > N_KILLS // 4
    record(Note(Kind.NOTE, "last", "takes up what waits"), ours=place)
    kept = {entry.text for entry in all_entries(place)}
    assert [text for text in acknowledged if text not in kept] == []
    found = verified(place)
    assert (found.problems, found.lost) == ((), ())
    assert not list(Path(place.state).glob("*damaged*"))


def test_fifty_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    code = (
        "import os\n"
        "from bringup.actions.journal.writing import Note, record\n"
        "from bringup.journal import entry, store\n"
        "from bringup.machine.folders import Folders\n"
        f"place = Folders({place.configuration!r}, {place.cache!r}, {place.state!r})\n"
        "children = []\n"
        f"for who in range({N_WRITERS}):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        f"        for n in range({N_EACH}):\n"
        "            record(entry_note(who, n), ours=place)\n"
        "        os._exit(0)\n"
        "    children.append(child)\n"
        "[os.waitpid(child, 0) for child in children]\n"
    )
    helper = (
        "def entry_note(who, n):\n"
        "    return Note(entry.Kind.NOTE, 'many', f'{who}.{n}', {}, is_redacted=True)\n"
    )
    done = python(code.replace("children = []\n", f"{helper}children = []\n", 1), {})
    assert done.returncode == 0, done.stderr
    texts = sorted(entry.text for entry in all_entries(place))
    assert texts == sorted(f"{who}.{n}" for who in range(N_WRITERS) for n in range(N_EACH))
    assert verified(place).problems == ()


def test_the_median_write_takes_less_than_ten_milliseconds(tmp_path: Path) -> None:
    """Of processor time: what the disk and other programs cost is measured by benchmarks/journal.py."""
    place = place_in(tmp_path)
    took_s = []
    for number in range(60):
        started_s = time.process_time()
        assert record(Note(Kind.RUN, "model", f"run {number}", {"n": number}), ours=place) == ""
        took_s.append(time.process_time() - started_s)
    assert statistics.median(took_s) < 0.010


@dataclass(frozen=True)
class Call:
    kind: str
    path: str
    offset: int
    length: int
    data: bytes


def read_calls(path: Path) -> list[Call]:
    raw, calls, at = path.read_bytes(), [], 0
    while at < len(raw):
        kind = chr(raw[at])
        n_path, offset, length = struct.unpack_from("<qqq", raw, at + 1)
        at += 25
        name = raw[at : at + n_path].decode()
        at += n_path
        data = raw[at : at + length] if kind == "w" else b""
        at += len(data)
        calls.append(Call(kind, name, offset, length, data))
    return calls


def replay(calls: list[Call], *, lose: str, dice: random.Random) -> dict[str, bytes]:
    """Files after a power cut behind these calls; of what was not synced all, some or none is there."""
    files: dict[str, bytearray] = {}
    synced = {call.path: number for number, call in enumerate(calls) if call.kind == "s"}
    for number, call in enumerate(calls):
        is_safe = number < synced.get(call.path, -1)
        if not is_safe and call.kind in "wt" and (lose == "all" or (lose == "some" and dice.random() < 0.5)):
            continue
        data = files.setdefault(call.path, bytearray())
        if call.kind == "w":
            data.extend(bytes(max(0, call.offset + len(call.data) - len(data))))
            data[call.offset : call.offset + len(call.data)] = call.data
        elif call.kind == "t":
            del data[call.offset :]
            data.extend(bytes(call.offset - len(data)))
        elif call.kind == "u":
            files.pop(call.path)
    return {path: bytes(data) for path, data in files.items()}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_a_power_cut_at_any_call_leaves_a_sound_file_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    shim = build_shim(tmp_path)
    path, log = tmp_path / "journal.sqlite", tmp_path / "calls"
    code = (
        "import os\n"
        "from bringup.journal.entry import Draft, Kind, Moment\n"
        "from bringup.journal.store import open_journal\n"
        f"acks = os.open({str(tmp_path / 'journal.acks')!r}, os.O_WRONLY | os.O_CREAT)\n"
        "for number in range(6):\n"
        f"    with open_journal({str(path)!r}) as journal:\n"
        "        pad = {'pad': os.urandom(700 * number).hex()}\n"
        "        moment = Moment(1.0, 'b', 1.0)\n"
        "        journal.append([Draft(Kind.NOTE, 's', f'text {number}', pad, moment, os.urandom(16))])\n"
        "    os.write(acks, b'!')\n"
    )
    environment = {
        "LD_PRELOAD": str(shim),
        "BRINGUP_TEST_MATCH": str(tmp_path / "journal"),
        "BRINGUP_TEST_LOG": str(log),
    }
    done = python(code, environment)
    assert done.returncode == 0, done.stderr
    calls = read_calls(log)
    assert sum(call.kind == "s" for call in calls) >= 12
    dice, again = random.Random(5), tmp_path / "again"
    again.mkdir()
    n_cuts = 0
    for end in range(len(calls) + 1):
        before = calls[:end]
        n_acknowledged = sum(call.path.endswith("acks") for call in before)
        for lose in ("all", "some", "none"):
            for old in again.iterdir():
                old.unlink()
            for name, data in replay(before, lose=lose, dice=dice).items():
                (again / Path(name).name).write_bytes(data)
            there = again / "journal.sqlite"
            n_cuts += 1
            if not there.exists() or not there.stat().st_size:
                assert n_acknowledged == 0
                continue
            with open_journal(str(there)) as journal:
                assert journal.is_whole(), (end, lose)
                assert verify(journal).problems == (), (end, lose)
                assert journal.count() >= n_acknowledged, (end, lose)
    assert n_cuts > 100


def test_a_hot_rollback_file_of_a_killed_writer_is_rolled_back_by_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with open_journal(str(path)) as journal:
        journal.append([draft("kept")])
        journal._connection.execute("PRAGMA cache_size = 1")
        journal._connection.execute("BEGIN IMMEDIATE")
        journal._insert([draft("half " + "x" * 200_000)])
        for name in ("j", "j-journal"):
            (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
        journal._connection.execute("ROLLBACK")
    copy = tmp_path / "copy-j"
    with read_journal(str(copy)) as journal:
        assert [entry.text for entry in journal.entries()] == ["kept"]
