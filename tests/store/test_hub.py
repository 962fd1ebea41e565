"""Listings, names and tokens: what a hostile hub says leads nowhere and costs nothing (promise 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.store.behaviours import (
    DATA,
    FINAL,
    GZIP_BOMB,
    PAGE,
    cut,
    first_times,
    redirect,
)
from tests.store.conftest import FILE, QUICK, REPO, SIZE_BYTES, files_below
from tests.stubs.hub import Handler, StubFile, StubHub, gguf_bytes, running_hub

from bringup.errors import BringupError
from bringup.machine.folders import Folders
from bringup.store.names import HubName, parse_name
from bringup.store.pull import pull
from bringup.store.resolve import find_local
from bringup.store.web import Token, Web, site_of


@contextmanager
def api_answering(hub: StubHub, respond: Callable[[Handler], None]) -> Iterator[None]:
    def api(handler: Handler, _: str) -> bool:
        respond(handler)
        return True

    hub.answer_api = api
    yield


def endless_json(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    handler.wfile.write(b'{"siblings": [')
    while True:
        handler.wfile.write(b'{"rfilename": "x"},' * 4096)


@pytest.mark.parametrize(
    ("respond", "reference"),
    [
        (endless_json, "answer-too-large"),
        (lambda h: h.plain(200, b"x" * (9 * 1024 * 1024)), "answer-too-large"),
        (lambda h: h.plain(200, GZIP_BOMB, {"Content-Encoding": "gzip"}), "encoded-answer"),
        (lambda h: h.plain(200, PAGE, {"Content-Type": "text/html"}), "hub-answer-senseless"),
        (lambda h: h.plain(200, b"[" * 100_000), "hub-answer-senseless"),
        (lambda h: h.plain(200, b'{"siblings": 5}'), "hub-answer-senseless"),
        (lambda h: h.plain(200, b"null"), "hub-answer-senseless"),
        (lambda h: h.plain(200, b'{"id": "x", "siblings": []}'), "no-such-quantisation"),
        (
            lambda h: h.plain(401, b"", {"WWW-Authenticate": 'Bearer realm="http://127.0.0.2/"'}),
            "hub-token-needed",
        ),
        (lambda h: h.plain(403, b"", {"X-Error-Code": "GatedRepo"}), "hub-token-needed"),
        (lambda h: h.plain(404, b"", {"X-Error-Code": "RevisionNotFound"}), "no-such-revision"),
        (lambda h: h.plain(404), "no-such-repository"),
        (lambda h: h.plain(500), "hub-failing"),
        (lambda h: h.plain(302, b"", {"Location": "http://192.168.0.1/"}), "redirect-to-private"),
    ],
)
def test_a_hostile_listing_is_a_named_error(
    respond: Callable[[Handler], None], reference: str, hub: StubHub, folders: Folders
) -> None:
    with api_answering(hub, respond), pytest.raises(BringupError) as caught:
        pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert caught.value.reference == reference, caught.value.context
    assert files_below(folders.cache) == [] if Path(folders.cache).exists() else True


@pytest.mark.parametrize(
    "name",
    [
        "../../../outside.gguf",
        "/etc/outside.gguf",
        "a/../../outside.gguf",
        "nul\0byte.gguf",
        "x" * 300 + ".gguf",
        "..\\outside.gguf",
        "C:\\outside.gguf",
        "a//b.gguf",
        "./a.gguf",
        "line\nbreak.gguf",
        "\u202efugg.gguf",
        "../m-00001-of-00002.gguf",
    ],
)
def test_no_name_of_the_hub_leads_outside(name: str, hub: StubHub, folders: Folders, tmp_path: Path) -> None:
    before = files_below(tmp_path)
    hub.repos[REPO] = {name: StubFile(DATA)}
    with pytest.raises(BringupError) as caught:
        pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert caught.value.reference == "no-such-quantisation"
    assert files_below(tmp_path) == before
    assert hub.file_requests() == []


@pytest.mark.parametrize("etag", ['"../../x"', '"' + "e" * 300 + '"', "no quotes", '"a\tb"', '"/etc/passwd"'])
def test_no_etag_of_the_hub_leads_outside(etag: str, hub: StubHub, folders: Folders) -> None:
    hub.repos[REPO][FILE].etag = etag
    hub.behave = first_times(1, cut)
    pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert files_below(folders.cache) == sorted([f"models/{FINAL}", f"models/{REPO}/.{FILE}.origin.json"])


def test_only_model_files_are_ever_taken(hub: StubHub, folders: Folders) -> None:
    others = (
        "config.json",
        "modeling.py",
        "model.bin",
        "x.pkl",
        "README.md",
        "evil.gguf.py",
        "mmproj-F16.gguf",
    )
    hub.repos[REPO].update({name: StubFile(b"GGUF") for name in others})
    pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert files_below(folders.cache) == sorted([f"models/{FINAL}", f"models/{REPO}/.{FILE}.origin.json"])
    assert len(hub.asked) == 2, "one listing, one file"


def test_a_token_goes_to_its_own_host_alone(
    hub: StubHub, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_environment")  # never sent by itself
    pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert all("authorization" not in one.headers for one in hub.asked)
    with running_hub({REPO: {FILE: StubFile(DATA)}}) as other:
        hub.behave = redirect(other.url + "{path}")
        sites = frozenset({site_of(hub.url), site_of(other.url)})
        token = Token(site_of(hub.url), "hf_secret")
        assert "hf_secret" not in repr(token)
        with (
            Web(timing=QUICK, typed_sites=sites, token=token) as web,
            web.get(f"{hub.url}/{REPO}/resolve/main/{FILE}", {}) as response,
        ):
            assert response.status_code == 200
        assert hub.asked[-1].headers["authorization"] == "Bearer hf_secret"
        assert [one.headers.get("authorization") for one in other.asked] == [None]


def test_a_second_host_that_nobody_typed_gets_no_request(hub: StubHub, folders: Folders) -> None:
    with running_hub() as other:
        hub.behave = redirect(other.url + "{path}")
        with pytest.raises(BringupError) as caught:
            pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
        assert caught.value.reference == "redirect-to-private"
        assert other.asked == []


def test_another_revision_is_another_model(hub: StubHub, folders: Folders) -> None:
    hub.revisions = ("main", "v2")
    first = pull(HubName(REPO), on_progress=lambda _: None, folders=folders, timing=QUICK)
    hub.repos[REPO][FILE] = StubFile(gguf_bytes(1000, seed=2))
    second = pull(HubName(REPO, revision="v2"), on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert (first.size_bytes, second.size_bytes) == (SIZE_BYTES, 1000)
    assert second.name == f"{REPO}@v2/{FILE}"
    for model in (first, second):
        assert find_local(parse_name(model.name), folders) == model
