"""Promise 22: a snapshot is read in memory with caps; nothing of it touches the disk."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doctor.hostile_archives import hostile_archives, looks, member, tar, zst
from tests.faces.hostile import FORBIDDEN
from tests.stubs.command_line import Home

from bringup.errors import Failure
from bringup.machine.archive import pack, unpack_recording
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recording import Recording
from bringup.reading import Known, Unreadable

ARCHIVES = tuple(hostile_archives())
LIMIT_S = 3.0
LIMIT_BYTES = 128 * 1024**2


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("archives")
    for number, (_, data, _) in enumerate(ARCHIVES):
        (folder / f"{number:03d}.tar.zst").write_bytes(data)
    child = Path(__file__).with_name("archive_child.py")
    done = subprocess.run(
        [sys.executable, str(child), str(folder)],
        env=Home(tmp_path_factory.mktemp("home")).environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_there_are_sixty_and_each_is_answered(answers: list[dict[str, Any]]) -> None:
    assert len(answers) == len(ARCHIVES) >= 60


def test_none_writes_hangs_or_crashes(answers: list[dict[str, Any]]) -> None:
    for (words, _, named), answer in zip(ARCHIVES, answers, strict=True):
        assert answer["wrote"] == [], words
        assert answer["took_s"] < LIMIT_S, words
        assert answer["code"] in (0, 1, 3), (words, answer["text"])
        assert FORBIDDEN.search(answer["text"].replace("\n", " ")) is None, words
        assert named in " ".join(answer["text"].split()), (words, named, answer["text"])


def test_memory_stays_within_its_cap(answers: list[dict[str, Any]]) -> None:
    assert answers[-1]["peak_bytes"] < LIMIT_BYTES


def test_no_file_is_opened_for_writing_under_strace(tmp_path: Path, own_home: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        return  # the audit hook above has watched the same archives
    for number in (0, 12, len(ARCHIVES) - 3):
        archive, log = tmp_path / f"{number}.tar.zst", tmp_path / f"{number}.log"
        archive.write_bytes(ARCHIVES[number][1])
        watched = (
            "trace=open,openat,creat,mkdir,mkdirat,rename,renameat2,link,linkat,symlink,symlinkat,unlink"
        )
        subprocess.run(
            [
                strace,
                "-f",
                "-o",
                log,
                "-e",
                watched,
                sys.executable,
                "-m",
                "bringup",
                "doctor",
                "--from",
                archive,
            ],
            env=Home(own_home).environment(PYTHONDONTWRITEBYTECODE="1"),
            capture_output=True,
            timeout=60,
            check=False,
        )
        calls = [line for line in log.read_text().splitlines() if "(" in line and "/dev/null" not in line]
        assert calls
        assert [
            c for c in calls if "open" not in c or "O_WRONLY" in c or "O_RDWR" in c or "O_CREAT" in c
        ] == []


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PATHS = TEXT.map(lambda text: f"/etc/{text}")
READS = st.dictionaries(PATHS, st.binary(max_size=600).map(lambda data: Known(data, "")), max_size=5)


@given(READS)
def test_what_is_packed_comes_out_again(reads: dict[str, Any]) -> None:
    recording = Recording(reads=reads, environment={"HOME": Unreadable("environment variable HOME", "why")})
    back = unpack_recording(pack(recording), name="x")
    assert {path: one.value for path, one in back.reads.items() if isinstance(one, Known)} == {
        path: one.value for path, one in reads.items()
    }
    assert back.environment["HOME"] == recording.environment["HOME"]


def test_the_same_recording_gives_the_same_bytes() -> None:
    recording = Recording(reads={"/b": Known(b"1", "/b"), "/a": Known(b"2", "/a")})
    assert pack(recording) == pack(recording)


def test_a_long_name_is_kept_in_the_table() -> None:
    path = "/" + "/".join(["folder" * 8] * 6) + "/file"
    back = unpack_recording(pack(Recording(reads={path: Known(b"here", path)})), name="x")
    assert RecordedMachine.from_recording(back).read(path) == Known(b"here", path)


@given(st.binary(max_size=2000))
def test_any_bytes_are_an_archive_or_refused(data: bytes) -> None:
    for raw in (data, b"\x28\xb5\x2f\xfd" + data, b"\x1f\x8b" + data, zst(data), zst(tar(looks()) + data)):
        try:
            unpack_recording(raw, name="x")
        except Failure as problem:
            assert problem.reference in (
                "archive-refused",
                "archive-damaged",
                "archive-too-large",
                "not-a-snapshot",
            )


@given(st.integers(0, 3000), st.integers(0, 7))
def test_any_flipped_bit_is_an_archive_or_refused(at: int, bit: int) -> None:
    data = bytearray(
        tar(looks(read={"/a": {"in_root": True}}), member("bringup-snapshot/root/a", b"x" * 700))
    )
    data[at % len(data)] ^= 1 << bit
    with contextlib.suppress(Failure):
        unpack_recording(bytes(data), name="x")
