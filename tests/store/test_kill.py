"""A kill costs at most one chunk (promise 5), a flipped bit never gets a name (4), many pulls are one (8)."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.store.children import Errand, start
from tests.store.conftest import FILE, QUICK, REPO, files_below
from tests.stubs.hub import Handler, StubFile, StubHub, gguf_bytes, running_hub

from bringup.errors import FileTrouble
from bringup.machine import locks, partial
from bringup.machine.folders import Folders
from bringup.store import records
from bringup.store.landing import CHUNK_BYTES, HashMismatch, Landing, Wanted, is_here
from bringup.store.names import HubName
from bringup.store.progress import Reporter
from bringup.store.pull import fetch, pull

IS_SOAK = os.environ.get("BRINGUP_SOAK") == "1"
KILLS = 1000 if IS_SOAK else 50
PATH = f"/{REPO}/resolve/main/{FILE}"


@pytest.fixture
def throttled() -> Iterator[StubHub]:
    """A hub that sends 24 MiB in about half a second."""
    with running_hub({REPO: {FILE: StubFile(gguf_bytes(24 * 1024 * 1024 + 5))}}) as hub:
        hub.bytes_per_s = 48 * 1024 * 1024
        yield hub


def errand_for(hub: StubHub, cache: Path) -> Errand:
    """Fetch the hub's one file into a cache folder."""
    stub = hub.repos[REPO][FILE]
    final = cache / "models" / REPO / FILE
    return Errand(hub.url + PATH, str(final), str(cache), len(stub.data), stub.sha256)


def fetched_twice(hub: StubHub) -> list[int]:
    """For each request but the first: how many bytes it brought again that were sent before."""
    asked = hub.file_requests()
    return [
        earlier.range_start + earlier.sent_bytes - later.range_start for earlier, later in pairwise(asked)
    ]


def untouched_s(hub: StubHub, cache: Path) -> float:
    """How long one pull takes here and now when nobody kills it."""
    spent_s = 0.0
    for name in ("warm", "timed"):  # the first one starts the fork server as well
        started_s = time.monotonic()
        child = start(errand_for(hub, cache / name))
        child.join()
        assert child.exitcode == 0
        spent_s = time.monotonic() - started_s
    return spent_s


def is_whole_and_alone(errand: Errand) -> bool:
    """Whether the right file is there, with its record and nothing else."""
    digest = hashlib.sha256(Path(errand.final_path).read_bytes()).hexdigest()
    beside = [f"models/{REPO}/{FILE}", f"models/{REPO}/.{FILE}.origin.json"]
    return digest == errand.sha256 and files_below(errand.cache) == sorted(beside)


@pytest.mark.timeout(2400 if IS_SOAK else 300)
def test_a_kill_costs_at_most_one_chunk(throttled: StubHub, tmp_path: Path) -> None:
    chance = random.Random(20261124)
    full_s = untouched_s(throttled, tmp_path / "first")
    kills = in_mid_way = whole = 0
    while kills < KILLS:
        errand = errand_for(throttled, tmp_path / str(whole))
        throttled.asked.clear()
        while True:
            child = start(errand)
            child.join(chance.uniform(0.0, full_s) if kills < KILLS else None)
            if child.exitcode is not None:
                assert child.exitcode == 0
                break
            child.kill()
            child.join()
            kills += 1
            reached = max((one.range_start + one.sent_bytes for one in throttled.file_requests()), default=0)
            in_mid_way += 0 < reached < errand.size_bytes
        assert is_whole_and_alone(errand)
        assert max(fetched_twice(throttled), default=0) <= CHUNK_BYTES
        Path(errand.final_path).unlink()
        whole += 1
    assert in_mid_way >= KILLS // 5, "the kills came too early or too late to test anything"


def test_nothing_of_several_dead_runs_is_left_after_success(tmp_path: Path) -> None:
    with running_hub({REPO: {FILE: StubFile(gguf_bytes(100_000))}}) as hub:
        errand = errand_for(hub, tmp_path / "cache")
        folder = Path(errand.final_path).parent
        for number in range(3):
            left = folder / f".{FILE}.4194303-1-0000000{number}.partial"
            left.mkdir(parents=True)
            (left / "data").write_bytes(b"x" * 1000 * number)
        child = start(errand)
        child.join()
        assert child.exitcode == 0
        assert is_whole_and_alone(errand)
        assert not list(folder.glob(".*.partial"))


def test_kills_around_the_last_byte_leave_no_wrong_file(tmp_path: Path) -> None:
    """Each kill comes a little earlier after a whole file and a little later after none.

    So they close in on the moment between the last byte and the name, however fast the machine is.
    """
    chance = random.Random(7)
    with running_hub({REPO: {FILE: StubFile(gguf_bytes(6 * 1024 * 1024))}}) as hub:
        delay_s = untouched_s(hub, tmp_path / "first")
        named = 0
        for number in range(60):
            errand = errand_for(hub, tmp_path / str(number))
            child = start(errand)
            child.join(delay_s * chance.uniform(0.9, 1.1))
            child.kill()
            child.join()
            final = Path(errand.final_path)
            delay_s *= 0.85 if final.exists() else 1.15
            if final.exists():
                named += 1
                assert hashlib.sha256(final.read_bytes()).hexdigest() == errand.sha256
        assert 5 < named < 55, "the kills fell on one side only"


@pytest.mark.parametrize("is_published", [True, False])
def test_a_flipped_bit_never_gets_the_name(is_published: bool, folders: Folders) -> None:
    data = gguf_bytes(64 * 1024 + 3)
    sha256 = hashlib.sha256(data).hexdigest() if is_published else None
    chance = random.Random(4)
    refused = 0
    with running_hub({REPO: {FILE: StubFile(data, sha256=sha256)}}) as hub:
        errand = errand_for(hub, Path(folders.cache))
        for _ in range(200):
            # The first four bytes are refused as no GGUF at all; here it is about the rest.
            at = chance.randrange(4, len(data))
            hub.repos[REPO][FILE].data = (
                data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
            )
            try:
                model = fetch(errand.plan, on_progress=lambda _: None, folders=folders, timing=QUICK)
            except HashMismatch:
                refused += 1
                assert not Path(errand.final_path).exists()
            else:
                assert not model.is_verified and model.verified is None
                Path(errand.final_path).unlink()
    assert refused == (200 if is_published else 0)
    assert not any(name.endswith("data") for name in files_below(folders.cache)) or is_published


def test_a_wrong_beginning_from_an_earlier_run_is_fetched_anew(hub: StubHub, folders: Folders) -> None:
    """The partial file rots on the disk between two runs: the second notices and mends it by itself."""
    data = hub.repos[REPO][FILE].data

    def cut(handler: Handler, stub: StubFile) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(stub.data)))
        handler.end_headers()
        handler.send_pieces(stub.data[: len(data) // 2])
        handler.drop()
        return True

    hub.behave = cut
    with pytest.raises(Exception, match="does not send"):
        pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    (part,) = Path(folders.models).rglob("data")
    rotten = bytearray(part.read_bytes())
    rotten[1000] ^= 1
    part.write_bytes(rotten)
    hub.behave = None
    said: list[str] = []
    model = pull(HubName(REPO), on_progress=lambda p: said.append(p.message), folders=folders, timing=QUICK)
    assert Path(model.paths[0]).read_bytes() == data
    assert any("does not match" in message for message in said)


def test_after_a_power_cut_only_what_was_synced_is_continued(throttled: StubHub, tmp_path: Path) -> None:
    """Made: another boot id and zeros behind the synced part, as a file system may leave them."""
    errand = errand_for(throttled, tmp_path)
    child = start(errand)
    while not list(tmp_path.rglob("data")) or next(tmp_path.rglob("data")).stat().st_size < 10 * 1024 * 1024:
        child.join(0.01)
    child.kill()
    child.join()
    (part,), (record,) = tmp_path.rglob("data"), tmp_path.rglob("record.json")
    part.write_bytes(part.read_bytes()[: 8 * 1024 * 1024].ljust(12 * 1024 * 1024, b"\0"))
    text = record.read_text()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot_id in text
    record.write_text(text.replace(boot_id, "00000000-0000-0000-0000-000000000000"))
    fetch(errand.plan, on_progress=lambda _: None, folders=errand.folders, timing=QUICK)
    assert hashlib.sha256(Path(errand.final_path).read_bytes()).hexdigest() == errand.sha256
    restarted_at = throttled.file_requests()[-1].range_start
    assert 8 * 1024 * 1024 <= restarted_at < 12 * 1024 * 1024 - CHUNK_BYTES // 4


def test_a_kill_between_record_and_data_leaves_nothing_that_is_vouched_for(tmp_path: Path) -> None:
    """A new version of just the same size; made: no data to rename, as if we ended right before."""
    final = tmp_path / FILE
    final.write_bytes(b"the old bytes")
    new = hashlib.sha256(b"the new bytes").hexdigest()
    wanted = Wanted(str(final), FILE, "http://x/y", new, 13, new)
    mine = partial.create_partial(str(tmp_path), FILE)
    records.write_record(mine.origin_path, records.Origin(FILE, "http://x/y", 13, new, verified=True))
    with pytest.raises(FileTrouble, match="rename"):
        partial.publish(mine, str(final), origin_path=records.origin_path(str(final)))
    assert not is_here(wanted)


def test_without_a_boot_id_only_what_was_synced_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made: /proc says no boot id in either run, so nobody knows whether the power was cut in between."""
    monkeypatch.setattr(partial, "boot_id", lambda: "")
    mine = partial.create_partial(str(tmp_path), FILE)
    Path(mine.data_path).write_bytes(b"GGUF synced" + bytes(9))
    record = records.PartialRecord(FILE, "http://x/y", "key", 40, None, '"etag"', 11, "")
    records.write_record(mine.record_path, record)
    wanted = Wanted(str(tmp_path / FILE), FILE, "http://x/y", "key", 40, None)
    with locks.try_lease(str(tmp_path / "lease")) as lease:
        landing = Landing(wanted, mine, lease, Reporter(FILE, 40, lambda _: None))
        landing.resume()
        landing.close()
    assert landing.done_bytes == 11


@pytest.mark.parametrize("locks_work", [True, False])
def test_eight_pulls_at_once_give_eight_right_files(
    locks_work: bool, throttled: StubHub, tmp_path: Path
) -> None:
    errand = errand_for(throttled, tmp_path)
    children = [start(errand, locks_work=locks_work) for _ in range(8)]
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert hashlib.sha256(Path(errand.final_path).read_bytes()).hexdigest() == errand.sha256
    assert files_below(tmp_path) == sorted([f"models/{REPO}/{FILE}", f"models/{REPO}/.{FILE}.origin.json"])
    if locks_work:
        assert throttled.sent_bytes() <= 1.05 * errand.size_bytes


def test_a_waiting_pull_goes_on_for_a_killed_one(throttled: StubHub, tmp_path: Path) -> None:
    errand = errand_for(throttled, tmp_path)
    first = start(errand)
    first.join(0.2)
    second = start(errand)
    second.join(0.1)
    first.kill()
    first.join()
    second.join()
    assert second.exitcode == 0
    assert hashlib.sha256(Path(errand.final_path).read_bytes()).hexdigest() == errand.sha256
    assert max(fetched_twice(throttled), default=0) <= CHUNK_BYTES


def test_a_waiting_pull_says_for_whom(throttled: StubHub, tmp_path: Path) -> None:
    errand = errand_for(throttled, tmp_path)
    first = start(errand)
    while not list(tmp_path.rglob("data")):
        first.join(0.01)
    said: list[str] = []
    fetch(errand.plan, on_progress=lambda p: said.append(p.message), folders=errand.folders, timing=QUICK)
    first.join()
    assert any(f"process {first.pid} " in message for message in said)
