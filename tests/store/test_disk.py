"""A full disk harms nothing (promise 7): a real small file system, and every single call failed once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tests.store.children import Errand
from tests.store.conftest import FILE, QUICK, REPO, files_below
from tests.stubs.hub import StubFile, StubHub, gguf_bytes

from bringup.machine.folders import Folders
from bringup.store.pull import fetch

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
FILES_AFTER_SUCCESS = [f"models/{REPO}/.{FILE}.origin.json", f"models/{REPO}/{FILE}"]


def errand_for(hub: StubHub, cache: Path, size_bytes: int) -> Errand:
    """The hub's file, made this large, into a cache folder."""
    stub = hub.repos[REPO][FILE] = StubFile(gguf_bytes(size_bytes))
    url = f"{hub.url}/{REPO}/resolve/main/{FILE}"
    return Errand(url, str(cache / "models" / REPO / FILE), str(cache), size_bytes, stub.sha256)


def child_argv(errand: Errand, fill_at_bytes: int = 0) -> list[str]:
    """The program of one pull."""
    fields = {name: getattr(errand, name) for name in Errand.__dataclass_fields__}
    return [sys.executable, "-m", "tests.store.disk_child", json.dumps(fields), str(fill_at_bytes)]


def is_right(errand: Errand) -> bool:
    """Whether the final file holds the published bytes."""
    return hashlib.sha256(Path(errand.final_path).read_bytes()).hexdigest() == errand.sha256


def can_mount() -> bool:
    """Whether this process may make a small file system of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not can_mount(), reason="not root")
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


def on_small_disk(script: str, *arguments: str, cache: Path) -> list[str]:
    """Lines printed by a shell script that runs with a 64 MiB tmpfs at the cache folder."""
    mount = f"mount -t tmpfs -o size=64m none {cache} && cd {ROOT} && {script}"
    argv = ["unshare", "-m", "sh", "-c", mount, str(cache), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_mount
def test_what_cannot_fit_is_refused_before_the_first_byte(hub: StubHub, tmp_path: Path) -> None:
    errand = errand_for(hub, tmp_path, 80 * MIB)
    (line,) = on_small_disk('"$@"', *child_argv(errand), cache=tmp_path)
    outcome = json.loads(line)
    assert outcome["reference"] == "disk-full"
    assert str(tmp_path) in outcome["message"]
    assert f"{64 * MIB:,} bytes" in outcome["context"][1]
    assert hub.file_requests() == []
    assert outcome["unfinished_bytes"] == []


@needs_mount
def test_a_disk_filled_in_mid_way_leaves_a_part_that_continues(hub: StubHub, tmp_path: Path) -> None:
    errand = errand_for(hub, tmp_path, 40 * MIB)
    hub.bytes_per_s = 40 * MIB  # slow enough for the other writer to come in between
    script = (
        'echo precious > "$1/other"; shift; first=$1; shift; eval "$first"; cat "$0/other"; '
        'rm "$0/filler"; "$@"; cat "$0/other"; sha256sum "$0"/models/*/*/*.gguf'
    )
    quoted = " ".join(f"'{part}'" for part in child_argv(errand, 12 * MIB))
    lines = on_small_disk(script, str(tmp_path), quoted, *child_argv(errand), cache=tmp_path)
    first, other, second, other_again, digest = lines
    full = json.loads(first)
    assert full["reference"] == "disk-full"
    assert "No space left" in full["message"]
    assert any("are here and kept" in line for line in full["context"])
    assert full["unfinished_bytes"][0] >= 12 * MIB
    assert json.loads(second) == {"reference": "", "context": [], "message": "", "unfinished_bytes": []}
    assert other == other_again == "precious"
    assert digest.split()[0] == errand.sha256
    assert hub.file_requests()[-1].range_start >= 12 * MIB
    assert hub.sent_bytes() <= 40 * MIB + 8 * MIB


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that fails one call, built here."""
    library = tmp_path_factory.mktemp("shim") / "fail_call.so"
    source = Path(__file__).with_name("fail_call.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


@needs_compiler
def test_what_gets_a_name_was_brought_to_the_disk_before(shim: Path, hub: StubHub, tmp_path: Path) -> None:
    """After a power cut a name that leads to bytes which never came is worse than no name at all.

    Each file is synced between its last byte and its rename, and the folder after it: data and records alike.
    """
    errand = errand_for(hub, tmp_path / "cache", 100_000)
    environment = {**os.environ, "LD_PRELOAD": str(shim), "TELL": "1"}
    done = subprocess.run(
        child_argv(errand), cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    told = [line.split(" ", 2)[1:] for line in done.stderr.splitlines() if line.startswith("TOLD ")]
    moves = [
        (at, before[1], after[1]) for at, (before, after) in enumerate(pairwise(told)) if before[0] == "from"
    ]
    assert errand.final_path in [target for _, _, target in moves]
    for at, source, target in moves:
        names_before = {target_before: came_from for _, came_from, target_before in moves}
        first_name = names_before.get(source, source)  # the origin's record is moved twice
        assert ["synced", source] in told[:at] or ["synced", first_name] in told[:at], (source, target)
        assert ["synced", os.path.dirname(target)] in told[at:], (source, target)
    data = [at for at, (what, path) in enumerate(told) if what == "synced" and path.endswith("/data")]
    record = [at for at, _, target in moves if target.endswith("/record.json")]
    assert data[-1] > record[-1], "once more after the last checkpoint"


@needs_compiler
@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("write", errno.ENOSPC),
        ("pwrite64", errno.ENOSPC),
        ("fsync", errno.EIO),
        ("rename", errno.EIO),
        ("ftruncate64", errno.EIO),
        ("fchmod", errno.EPERM),
        ("mkdir", errno.ENOSPC),
        ("unlink", errno.EIO),
    ],
)
def test_each_failed_call_is_a_named_error_and_the_next_run_succeeds(
    call: str, code: int, shim: Path, hub: StubHub, tmp_path: Path
) -> None:
    """Fail the first call, then the second, until a run goes through untouched."""
    hits = 0
    for number in range(1, 40):
        cache = tmp_path / str(number)
        cache.mkdir()
        (cache / "other").write_text("precious")
        errand = errand_for(hub, cache, 100_000)
        environment = {**os.environ, "LD_PRELOAD": str(shim), "FAIL_CALL": call, "FAIL_AT": str(number)}
        done = subprocess.run(
            child_argv(errand),
            cwd=ROOT,
            env={**environment, "FAIL_ERRNO": str(code), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if "HIT" not in done.stderr:
            break
        hits += 1
        outcome = done.stdout
        # The failed call may have been the one that prints the outcome, or one whose failure harms nothing.
        if outcome:
            assert json.loads(outcome)["reference"] in ("disk-full", "file-trouble", ""), done.stderr
        if Path(errand.final_path).exists():
            assert is_right(errand)
        folders = Folders(configuration=f"{cache}/c", cache=str(cache), state=f"{cache}/s")
        fetch(errand.plan, on_progress=lambda _: None, folders=folders, timing=QUICK)
        assert is_right(errand)
        assert files_below(cache) == sorted([*FILES_AFTER_SUCCESS, "other"])
        assert (cache / "other").read_text() == "precious"
    assert "HIT" not in done.stderr
    assert json.loads(done.stdout)["reference"] == ""
    assert hits >= 1, f"nothing called {call}: the shim failed nothing"
