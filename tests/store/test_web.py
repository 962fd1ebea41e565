"""Which addresses are whose, which redirects are followed, what a lease promises."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.store.conftest import QUICK
from tests.stubs.hub import StubHub

from bringup.errors import DownloadError, FileTrouble, WrongUse
from bringup.machine import reach
from bringup.machine.locks import Holder, Lease, try_lease
from bringup.machine.partial import (
    PartialData,
    claim_partial,
    create_partial,
    find_partials,
    parse_partial_name,
)
from bringup.store import token, web


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::8.8.8.8", True),
        ("not an address", False),
    ],
)
def test_only_addresses_of_the_open_net_are_public(address: str, expected: bool) -> None:
    assert reach.is_public(address) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("example.org", False),
    ],
)
def test_loopback_is_known_by_name(host: str, expected: bool) -> None:
    assert reach.is_loopback_name(host) is expected


def test_a_proxy_is_seen_and_never_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "mirror.example")
    assert reach.has_proxy_for("https", "huggingface.co")
    assert not reach.has_proxy_for("http", "huggingface.co")
    assert not reach.has_proxy_for("https", "mirror.example")
    assert not reach.has_proxy_for("https", "localhost")
    monkeypatch.setenv("all_proxy", "http://proxy.example:3128")
    assert reach.has_proxy_for("http", "huggingface.co")
    assert not reach.has_proxy_for("http", "127.0.0.1")


def test_an_unknown_name_and_a_closed_port_have_their_own_words() -> None:
    unknown = reach.resolve("name.invalid", limit_s=5)
    assert isinstance(unknown, reach.NotReached)
    nobody_asked = reach.why_no_address(
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    )
    assert nobody_asked == "its name could not be looked up (temporary failure in name resolution)"
    assert reach.why_no_address(socket.gaierror(socket.EAI_NONAME, "Unknown")) == "its name is not known"
    assert unknown.why
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        refused = reach.connect_to_any(("127.0.0.1",), probe.getsockname()[1], limit_s=2)
    assert refused is not None
    assert "refused" in refused.why


@pytest.mark.parametrize(
    ("location", "reference"),
    [
        ("http://example.org/x", "redirect-to-http"),
        (None, "bad-redirect"),
        ("ftp://example.org/x", "bad-redirect"),
        ("https://me@example.org/", "bad-redirect"),
        ("https://example.org:99999/", "bad-redirect"),
    ],
)
def test_redirects_that_lower_or_break_are_refused(location: str | None, reference: str) -> None:
    with pytest.raises(DownloadError) as caught:
        web._redirect_target("https://hub.example/a/b?x=1", location)
    assert caught.value.reference == reference


def test_relative_redirects_stay_on_the_host() -> None:
    assert web._redirect_target("https://hub.example/a/b?x=1", "/c?d=2") == "https://hub.example/c?d=2"
    assert web._redirect_target("http://a.example/x", "https://b.example/y") == "https://b.example/y"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Hub.Example/x", "https://hub.example:443"),
        ("http://hub.example/x", "http://hub.example:80"),
        ("https://hub.example:8443/", "https://hub.example:8443"),
    ],
)
def test_a_site_is_scheme_host_and_port(url: str, expected: str) -> None:
    assert web.site_of(url) == expected


def test_a_token_is_found_where_the_hubs_tools_put_it(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token.find_user_token() is None
    stored = own_home / ".cache/huggingface/token"
    stored.parent.mkdir(parents=True)
    stored.write_text("hf_stored\n")
    assert token.find_user_token() == "hf_stored"
    monkeypatch.setenv("HF_TOKEN", "hf_named")
    assert token.find_user_token() == "hf_named"
    monkeypatch.setenv("HF_TOKEN", "hf_two\nX-Injected: yes")
    with pytest.raises(WrongUse) as caught:
        token.find_user_token()
    assert "hf_two" not in caught.value.message


def test_a_lease_has_one_holder_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".x.lease"
    first = try_lease(str(path))
    assert isinstance(first, Lease)
    second = try_lease(str(path))
    assert second == Holder(os.getpid(), socket.gethostname())
    first.release()
    assert not path.exists()
    third = try_lease(str(path))
    assert isinstance(third, Lease)
    third.release()


@pytest.mark.parametrize("text", ["", "{", '{"pid": "x"}', "[]", '{"pid": Infinity}', "[" * 4000])
def test_a_lease_with_shapeless_words_in_it_can_be_taken(text: str, tmp_path: Path) -> None:
    path = tmp_path / ".x.lease"
    path.write_text(text)
    lease = try_lease(str(path))
    assert isinstance(lease, Lease)
    lease.release()


def test_a_lease_of_a_dead_process_or_a_reused_number_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / ".x.lease"
    for pid, ticks in ((2**22 - 1, 5), (os.getpid(), 1)):
        path.write_text(
            json.dumps({"pid": pid, "start_ticks": ticks, "boot_id": "b", "host": socket.gethostname()})
        )
        lease = try_lease(str(path))
        assert isinstance(lease, Lease)
        lease.release()


def test_the_kernels_lock_counts_before_a_name_is_written(tmp_path: Path) -> None:
    """A twin has locked the file and not yet said who it is."""
    path = tmp_path / ".x.lease"
    with path.open("w") as twin:
        fcntl.flock(twin, fcntl.LOCK_EX)
        assert try_lease(str(path)) == Holder(0, "")
    lease = try_lease(str(path))
    assert isinstance(lease, Lease)
    lease.release()


def test_no_link_is_followed_into_another_file(tmp_path: Path) -> None:
    """Whoever may write into a shared models folder cannot have another file of ours written over."""
    precious = tmp_path / "precious"
    precious.write_text("whole")
    (tmp_path / ".x.lease").symlink_to(precious)
    with pytest.raises(FileTrouble):
        try_lease(str(tmp_path / ".x.lease"))
    made = create_partial(str(tmp_path), "x.gguf")
    Path(made.data_path).symlink_to(precious)
    with pytest.raises(FileTrouble):
        PartialData(made)
    assert precious.read_text() == "whole"


def test_a_name_that_means_two_things_is_judged_by_who_answered(
    hub: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS that turns round after our look: the name was a public one, the connection goes to this machine."""
    port = urlsplit(hub.url).port
    asked: list[str] = []

    def resolve(host: str, *, limit_s: float) -> tuple[str, ...]:
        asked.append(host)
        return ("93.184.215.14",)

    monkeypatch.setattr(web.reach, "resolve", resolve)
    monkeypatch.setattr(web.reach, "connect_to_any", lambda *_, **__: None)
    with (
        web.Web(timing=QUICK) as client,
        pytest.raises(DownloadError) as caught,
        client.get(f"http://localhost:{port}/x", {}),
    ):
        raise AssertionError("it was believed")
    assert (caught.value.reference, asked) == ("redirect-to-private", ["localhost"])


@pytest.mark.parametrize("host", ["10.0.0.1", "[fd00::1]", "169.254.169.254", "127.0.0.1", "localhost"])
def test_no_proxy_leads_into_a_private_network(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy resolves names, so an address that is written out is all that can be judged, and is."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with (
        web.Web(timing=QUICK) as client,
        pytest.raises(DownloadError) as caught,
        client.get(f"http://{host}/x", {}),
    ):
        raise AssertionError("it was asked for")
    assert caught.value.reference == "redirect-to-private"


def test_a_holder_on_another_host_is_believed_while_it_shows_life(tmp_path: Path) -> None:
    path = tmp_path / ".x.lease"
    path.write_text(json.dumps({"pid": 7, "start_ticks": 1, "boot_id": "b", "host": "elsewhere"}))
    assert try_lease(str(path)) == Holder(7, "elsewhere")
    long_ago = path.stat().st_mtime - 3600
    os.utime(path, (long_ago, long_ago))
    lease = try_lease(str(path))
    assert isinstance(lease, Lease)
    lease.release()


def test_only_one_can_claim_what_a_dead_process_left(tmp_path: Path) -> None:
    left = tmp_path / ".x.gguf.4194303-1-0123abcd.partial"
    left.mkdir()
    (left / "data").write_bytes(b"123")
    (found,) = find_partials(str(tmp_path), "x.gguf")
    assert not found.is_owner_alive
    assert found.data_bytes() == 3
    mine = claim_partial(found)
    assert mine is not None
    assert mine.is_ours
    assert mine.data_bytes() == 3
    assert claim_partial(found) is None


@pytest.mark.parametrize(
    "name", ["x.gguf", ".x.gguf.partial", ".x.gguf.1-1-short.partial", ".x.1-1-0123abcd.partial.d"]
)
def test_other_names_are_no_partials(name: str) -> None:
    assert parse_partial_name(f"/f/{name}") is None


def test_names_with_dots_keep_their_base(tmp_path: Path) -> None:
    made = create_partial(str(tmp_path), "a.1-2-3.gguf")
    assert made.base == "a.1-2-3.gguf"
    assert made.is_ours
