"""A hostile server costs time, not truth (promise 6): the right file, or a named error and no file."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.conftest import FILE, QUICK, REPO, SIZE_BYTES, files_below
from tests.stubs.hub import Behave, Handler, StubFile, StubHub, gguf_bytes, running_hub

from bringup.errors import BringupError
from bringup.machine.folders import Folders
from bringup.store.names import HubName, Url, parse_name
from bringup.store.prepare import prepare
from bringup.store.progress import TransferProgress, TransferState
from bringup.store.pull import fetch, pull
from bringup.store.web import Token, Web, site_of

DATA = gguf_bytes(SIZE_BYTES)
HALF = SIZE_BYTES // 2
FINAL = f"{REPO}/{FILE}"


def first_times(count: int, odd: Behave) -> Behave:
    """Misbehave on the first requests, then serve well."""
    seen: list[int] = []

    def behave(handler: Handler, stub: StubFile) -> bool:
        seen.append(1)
        return odd(handler, stub) if len(seen) <= count else False

    return behave


def after_a_break(odd: Behave) -> Behave:
    """Break the first request in the middle, misbehave on the second, then serve well."""
    seen: list[int] = []

    def behave(handler: Handler, stub: StubFile) -> bool:
        seen.append(1)
        if len(seen) == 1:
            return cut(handler, stub)
        return odd(handler, stub) if len(seen) == 2 else False

    return behave


def cut_with(**extra: str) -> Behave:
    """Promise all, send half of what was asked for, hang up."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        start = handler.wanted_range(stub) or 0
        head(handler, 206 if start else 200, stub, start=start, **extra)
        handler.send_pieces(stub.data[start : start + HALF])
        handler.drop()
        return True

    return behave


def cut(handler: Handler, stub: StubFile) -> bool:
    """As `cut_with`, with the file's own headers."""
    return cut_with()(handler, stub)


def head(
    handler: Handler, status: int, stub: StubFile, *, start: int = 0, length: int | None = None, **extra: str
) -> None:
    """Status and headers of a file; `extra` adds or replaces (underscores are dashes, empty leaves out)."""
    handler.send_response(status)
    fields = {
        "ETag": stub.etag,
        "Content-Length": str(len(stub.data) - start if length is None else length),
        "Content-Type": "application/octet-stream",
    }
    if status == 206:
        fields["Content-Range"] = f"bytes {start}-{len(stub.data) - 1}/{len(stub.data)}"
    fields.update({name.replace("_", "-"): value for name, value in extra.items()})
    for name, value in fields.items():
        if value:
            handler.send_header(name, value)
    handler.end_headers()


def answer(status: int, body: bytes = b"", **headers: str) -> Behave:
    """One fixed answer."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        handler.plain(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return behave


def whole_again(etag: str = "") -> Behave:
    """Ignore the range: 200 and everything."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        head(handler, 200, stub, **({"ETag": etag} if etag else {}))
        handler.send_pieces(stub.data)
        return True

    return behave


def wrong_part(**extra: str) -> Behave:
    """A 206 that is not what was asked for."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        start = handler.wanted_range(stub) or 0
        head(handler, 206, stub, start=start, **extra)
        handler.send_pieces(stub.data[start:])
        return True

    return behave


def body_of(data: bytes, **extra: str) -> Behave:
    """A 200 with other bytes."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        head(handler, 200, stub, length=len(data), **extra)
        handler.send_pieces(data)
        return True

    return behave


def endless(first: bytes) -> Behave:
    """A body without a length that never ends by itself."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        head(handler, 200, stub, Content_Length="", Connection="close")
        handler.close_connection = True
        handler.send_pieces(first)
        while True:
            handler.send_pieces(b"\0" * 65536)

    return behave


def stall(handler: Handler, stub: StubFile) -> bool:
    """Send a little, then nothing, with the connection open."""
    head(handler, 200, stub)
    handler.send_pieces(stub.data[:100_000])
    time.sleep(QUICK.stall_s * 4)
    handler.drop()
    return True


def trickle(handler: Handler, stub: StubFile) -> bool:
    """A byte now and then, for ever."""
    head(handler, 200, stub)
    for at in range(len(stub.data)):
        handler.wfile.write(stub.data[at : at + 1])
        handler.wfile.flush()
        time.sleep(QUICK.stall_s / 8)
    return True


def nonsense(handler: Handler, _: StubFile) -> bool:
    """Not HTTP at all."""
    handler.wfile.write(b"HTTP/9.9 banana\r\n\r\n")
    handler.drop()
    return True


def great_header(handler: Handler, _: StubFile) -> bool:
    """Headers of many megabytes."""
    handler.send_response(200)
    handler.wfile.write(b"X-Pad: " + b"x" * (12 * 1024 * 1024) + b"\r\n")
    handler.drop()
    return True


def redirect(to: str) -> Behave:
    """Send elsewhere; `{path}` is the path asked for."""

    def behave(handler: Handler, _: StubFile) -> bool:
        if handler.path.startswith("/cdn/"):
            return False
        handler.plain(302, b"", {"Location": to.format(path=handler.path)} if to else {})
        return True

    return behave


def flipped(data: bytes, at: int) -> bytes:
    """The same bytes but for one bit."""
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>" + b" " * 2000
GZIP_BOMB = gzip.compress(bytes(10**7), compresslevel=1)
RIGHT = "right"

BEHAVIOURS: dict[str, tuple[Behave, str]] = {
    "range ignored on resume": (after_a_break(whole_again()), RIGHT),
    "new etag on resume": (after_a_break(whole_again('"new"')), RIGHT),
    "part from another place": (
        after_a_break(wrong_part(Content_Range=f"bytes 0-{SIZE_BYTES - 1}/{SIZE_BYTES}")),
        RIGHT,
    ),
    "part of another size": (
        after_a_break(wrong_part(Content_Range=f"bytes {HALF}-9999999/10000000")),
        RIGHT,
    ),
    "part with another etag": (after_a_break(wrong_part(ETag='"other"')), RIGHT),
    "part without its range": (after_a_break(wrong_part(Content_Range="")), RIGHT),
    "part with an absurd range": (after_a_break(wrong_part(Content_Range="bytes -1--5/-7")), RIGHT),
    "416 on resume": (after_a_break(answer(416, Content_Range=f"bytes */{HALF}")), RIGHT),
    "breaks again and again, but moves": (first_times(1, cut), RIGHT),
    "stalls once": (first_times(1, stall), RIGHT),
    "503 twice": (first_times(2, answer(503)), RIGHT),
    "429 with a short pause": (first_times(1, answer(429, Retry_After="0")), RIGHT),
    "429 with a date": (first_times(1, answer(429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")), RIGHT),
    "not http once": (first_times(1, nonsense), RIGHT),
    "endless behind the right bytes": (endless(DATA), RIGHT),
    "redirect to another path": (redirect("/cdn{path}"), RIGHT),
    "weak etag": (first_times(1, cut_with(ETag='W/"x"')), RIGHT),
    "no etag": (first_times(1, cut_with(ETag="")), RIGHT),
    "a part that nobody asked for": (wrong_part(), "unexpected-answer"),
    "endless zeros": (endless(DATA[:100]), "checksum-mismatch"),
    "one bit flipped": (body_of(flipped(DATA, 99_999)), "checksum-mismatch"),
    "short for ever": (body_of(DATA[:-1], Content_Length=""), "download-interrupted"),
    "stalls for ever": (stall, "download-interrupted"),
    "a byte now and then": (trickle, "download-interrupted"),
    "500 for ever": (answer(500), "download-interrupted"),
    "not http": (nonsense, "download-interrupted"),
    "headers without end": (great_header, "download-interrupted"),
    "429 for hours": (answer(429, Retry_After="7200"), "server-busy"),
    "a web page, said so": (body_of(PAGE, Content_Type="text/html; charset=utf-8"), "web-page-instead"),
    "a web page of the right size": (body_of(PAGE.ljust(SIZE_BYTES)), "html-page"),
    "an LFS pointer": (body_of(LFS_POINTER.ljust(SIZE_BYTES, b"\n")), "lfs-pointer"),
    "compressed": (
        body_of(gzip.compress(DATA), Content_Encoding="gzip", Content_Length=""),
        "encoded-answer",
    ),
    "another size": (body_of(DATA + b"x"), "size-differs"),
    "absurd length": (body_of(DATA, Content_Length="-5"), "download-interrupted"),
    "401 with a foreign realm": (
        answer(401, WWW_Authenticate='Bearer realm="http://127.0.0.2/token",service="evil"'),
        "hub-token-needed",
    ),
    "403": (answer(403), "hub-token-needed"),
    "404": (answer(404), "no-such-file"),
    "a teapot": (answer(418), "unexpected-answer"),
    "redirects in a circle": (redirect("{path}"), "too-many-redirects"),
    "redirect to nowhere": (redirect(""), "bad-redirect"),
    "redirect to a file": (redirect("file:///etc/passwd"), "bad-redirect"),
    "redirect with a password": (redirect("http://me:pw@127.0.0.1/x"), "bad-redirect"),
    "redirect to a shapeless address": (redirect("http://[::1"), "download-interrupted"),
    "redirect to a private network": (redirect("http://10.1.2.3/x"), "redirect-to-private"),
    "redirect to another loopback port": (redirect("http://127.0.0.1:9/x"), "redirect-to-private"),
    "redirect to the cloud's metadata": (redirect("http://169.254.169.254/latest"), "redirect-to-private"),
    "redirect to mapped loopback": (redirect("http://[::ffff:127.0.0.1]/x"), "redirect-to-private"),
}


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
