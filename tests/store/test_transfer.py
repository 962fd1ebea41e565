"""A hostile server costs time, not truth (promise 6): the right file, or a named error and no file."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.behaviours import (
    BEHAVIOURS,
    DATA,
    FINAL,
    HALF,
    RIGHT,
    after_a_break,
    answer,
    cut,
    cut_with,
    endless,
    first_times,
    head,
    stall,
    whole_again,
)
from tests.store.conftest import FILE, QUICK, REPO, SIZE_BYTES, files_below
from tests.stubs.hub import Handler, StubFile, StubHub, gguf_bytes

from bringup.errors import BringupError
from bringup.machine.folders import Folders
from bringup.store.names import HubName, Url, parse_name
from bringup.store.prepare import prepare
from bringup.store.progress import TransferProgress, TransferState
from bringup.store.pull import fetch, pull


def test_there_are_enough_behaviours() -> None:
    assert len(BEHAVIOURS) >= 30


@pytest.mark.parametrize("case", BEHAVIOURS)
def test_a_hostile_server_costs_time_not_truth(case: str, hub: StubHub, folders: Folders) -> None:
    hub.behave, expected = BEHAVIOURS[case]
    final = Path(folders.models) / FINAL
    started_s = time.monotonic()
    if expected == RIGHT:
        model = pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
        assert model.is_verified
        assert final.read_bytes() == DATA
        assert files_below(folders.models) == sorted([FINAL, f"{REPO}/.{FILE}.origin.json"])
    else:
        with pytest.raises(BringupError) as caught:
            pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
        assert caught.value.reference == expected, caught.value.context
        assert not final.exists()
    assert time.monotonic() - started_s < 20
    assert all("authorization" not in one.headers and "cookie" not in one.headers for one in hub.asked)


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("new etag on resume", "changed at the server"),
        ("range ignored on resume", "does not continue"),
        ("stalls once", "no byte came"),
        ("503 twice", "answered 503"),
    ],
)
def test_what_happens_is_said(case: str, word: str, hub: StubHub, folders: Folders) -> None:
    hub.behave = {  # fresh ones: the table's count their calls
        "new etag on resume": after_a_break(whole_again('"new"')),
        "range ignored on resume": after_a_break(whole_again()),
        "stalls once": first_times(1, stall),
        "503 twice": first_times(2, answer(503)),
    }[case]
    heard: list[TransferProgress] = []
    pull(HubName(REPO), on_progress=heard.append, folders=folders, timing=QUICK)
    assert any(word in moment.message for moment in heard)
    assert heard[-1].state is TransferState.FINISHED
    assert heard[-1].done_bytes == SIZE_BYTES


def test_a_break_is_continued_with_range_and_condition(hub: StubHub, folders: Folders) -> None:
    hub.behave = first_times(1, cut)
    pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    first, second = hub.file_requests()
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={HALF}-"
    assert second.headers["if-range"] == hub.repos[REPO][FILE].etag
    assert hub.sent_bytes() == SIZE_BYTES


def test_a_changed_publication_is_not_joined_to_the_old_bytes(hub: StubHub, folders: Folders) -> None:
    hub.behave = cut
    with pytest.raises(BringupError):
        pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=replace(QUICK, pauses_s=()))
    new = gguf_bytes(SIZE_BYTES, seed=7)
    hub.repos[REPO][FILE] = StubFile(new)
    hub.behave = None
    pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert (Path(folders.models) / FINAL).read_bytes() == new
    assert "range" not in hub.file_requests()[-1].headers


def test_a_long_pause_asked_for_is_kept_up_to_the_bound(hub: StubHub, folders: Folders) -> None:
    hub.behave = first_times(1, answer(429, Retry_After="1"))
    started_s = time.monotonic()
    pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert time.monotonic() - started_s >= 1.0


def test_loopback_is_reached_under_any_proxy_variable(
    hub: StubHub, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK).is_verified


def test_a_web_address_is_whole_but_not_verified(hub: StubHub, folders: Folders) -> None:
    address = f"{hub.url}/{REPO}/resolve/main/{FILE}"
    name = Url(f"{address}?token=s3cret")
    model = pull(name, on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert not model.is_verified and model.verified is None
    assert Path(model.paths[0]).read_bytes() == DATA
    assert model.name == address
    assert pull(parse_name(model.name), on_progress=lambda _: None, folders=folders) == model
    kept = "".join(path.read_text() for path in Path(folders.cache).rglob("*.json"))
    assert "s3cret" not in kept


def test_a_web_address_that_hides_its_size_is_refused(hub: StubHub, folders: Folders) -> None:
    hub.behave = endless(DATA)
    with pytest.raises(BringupError) as caught:
        prepare(Url(f"{hub.url}/{REPO}/resolve/main/{FILE}"), folders=folders, timing=QUICK)
    assert caught.value.reference == "size-unknown"


def test_a_split_model_comes_with_all_its_parts(hub: StubHub, folders: Folders) -> None:
    names = [f"sub/S-Q4_0-0000{index}-of-00003.gguf" for index in (1, 2, 3)]
    hub.repos[REPO] = {name: StubFile(gguf_bytes(1000 + index, index)) for index, name in enumerate(names)}
    model = pull(HubName(REPO, "Q4_0"), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert [Path(path).name for path in model.paths] == [Path(name).name for name in names]
    assert model.size_bytes == 3003 and model.is_verified
    for text in (f"{REPO}:Q4_0", f"{REPO}/{names[1]}"):
        assert pull(parse_name(text), on_progress=lambda _: None, folders=folders) == model
    del hub.repos[REPO][names[1]]
    with pytest.raises(BringupError) as caught:
        prepare(HubName(REPO), folders=folders, timing=QUICK)
    assert names[1] in caught.value.message


def test_what_is_here_is_not_fetched_again(hub: StubHub, folders: Folders) -> None:
    pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    asked = len(hub.asked)
    plan = prepare(HubName(REPO), folders=folders, timing=QUICK)
    fetch(plan, on_progress=lambda _: None, folders=folders, timing=QUICK)
    pull(HubName(REPO, "Q4_K_M"), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert len(hub.asked) == asked + 1, "one listing by prepare, no bytes"


def test_a_host_that_takes_no_connection_is_given_up_within_the_limit(folders: Folders) -> None:
    with socket.socket() as full:
        # A listener whose queue is full drops further connections: they hang, as behind a firewall.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        held = [socket.socket() for _ in range(8)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        started_s = time.monotonic()
        with pytest.raises(BringupError) as caught:
            prepare(
                Url(f"http://127.0.0.1:{port}/x.gguf"), folders=folders, timing=replace(QUICK, connect_s=0.5)
            )
        assert caught.value.reference == "host-unreachable"
        assert "127.0.0.1" in caught.value.message
        assert 0.4 < time.monotonic() - started_s < 3
        for one in held:
            one.close()
    assert threading.active_count() < 50


@pytest.mark.parametrize("odd", [{"Content_Range": "moved"}, {"ETag": '"new"'}], ids=["part", "etag"])
def test_a_part_of_something_else_is_not_joined_where_no_hash_would_show_it(
    odd: dict[str, str], hub: StubHub, folders: Folders
) -> None:
    new = gguf_bytes(SIZE_BYTES, seed=7)
    asked: list[int] = []

    def behave(handler: Handler, stub: StubFile) -> bool:
        asked.append(handler.wanted_range(stub) or 0)
        if len(asked) <= 2:  # the first answers the question for the size
            return cut(handler, stub)
        if len(asked) > 3:
            return False
        said = {name: f"bytes 1-{SIZE_BYTES - 1}/{SIZE_BYTES}" if value == "moved" else value
                for name, value in odd.items()}  # fmt: skip
        head(handler, 206, stub, start=asked[-1], **said)
        handler.send_pieces(new[asked[-1] :])
        return True

    hub.behave = behave
    address = Url(f"{hub.url}/{REPO}/resolve/main/{FILE}")
    model = pull(address, on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert asked[2] == HALF, "it was continued"
    assert Path(model.paths[0]).read_bytes() == DATA


@pytest.mark.parametrize(
    ("validators", "continues"),
    [
        ({"ETag": ""}, False),
        ({"ETag": 'W/"weak"'}, False),
        ({"ETag": "", "Last_Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, True),
        ({}, True),
    ],
)
def test_without_a_hash_only_what_is_surely_the_same_file_is_continued(
    validators: dict[str, str], continues: bool, hub: StubHub, folders: Folders
) -> None:
    hub.behave = first_times(2, cut_with(**validators))  # the first answers the question for the size

    def serve_dated(handler: Handler, stub: StubFile) -> bool:
        condition = handler.asked.headers.get("if-range", "")
        if condition.endswith("GMT"):
            stub.etag = condition  # a server that knows files by their date
        return False

    odd = hub.behave
    hub.behave = lambda handler, stub: odd(handler, stub) or serve_dated(handler, stub)
    model = pull(
        Url(f"{hub.url}/{REPO}/resolve/main/{FILE}"),
        on_progress=lambda _: None,
        folders=folders,
        timing=QUICK,
    )
    assert Path(model.paths[0]).read_bytes() == DATA
    assert ("range" in hub.file_requests()[-1].headers) is continues
