"""Reading a header from afar: little is fetched, in few requests, and it is the same header."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.model.writing import gpt_oss_20b
from tests.store.conftest import FILE, QUICK, REPO
from tests.stubs.hub import Handler, StubFile, StubHub, gguf_bytes

from bringup.errors import DownloadError
from bringup.machine.folders import Folders
from bringup.store.header import load_model
from bringup.store.names import HubName
from bringup.store.prepare import VariantSize, prepare
from bringup.store.remote import RangeSource, load_remote_model
from bringup.store.transfer import Remote
from bringup.store.web import Web, site_of

MIB = 1024 * 1024


def test_the_real_header_is_the_same_from_afar(hub: StubHub, small_model: Path, folders: Folders) -> None:
    hub.repos[REPO][FILE] = StubFile(small_model.read_bytes())
    looked = load_remote_model(prepare(HubName(REPO), folders=folders, timing=QUICK), timing=QUICK)
    far = looked.model
    near = load_model(str(small_model), folders=folders)
    assert [tensor.name for tensor in far.tensors] == [tensor.name for tensor in near.tensors]
    assert dict(far.metadata).keys() == dict(near.metadata).keys()
    assert hub.sent_bytes() < 8 * MIB
    assert len(hub.file_requests()) <= 6
    assert looked.n_requests == len(hub.file_requests())
    assert 0 < looked.fetched_bytes <= hub.sent_bytes()


def test_a_header_of_gpt_oss_costs_little_more_than_itself(hub: StubHub, folders: Folders) -> None:
    header = bytes(gpt_oss_20b().data)
    # Made: the weights are 48 MiB of nothing instead of 12 GB; the reader must not ask for them.
    hub.repos[REPO][FILE] = StubFile(header + bytes(48 * MIB))
    model = load_remote_model(prepare(HubName(REPO), folders=folders, timing=QUICK), timing=QUICK).model
    assert len(model.tensors) == 459
    assert hub.sent_bytes() <= 16_000_000
    assert len(hub.file_requests()) <= 10


def test_a_plan_lists_what_else_the_repository_has(hub: StubHub, folders: Folders) -> None:
    hub.repos[REPO] = {
        "m-Q4_K_M.gguf": StubFile(gguf_bytes(4000)),
        "m-Q8_0-00001-of-00002.gguf": StubFile(gguf_bytes(5000)),
        "m-Q8_0-00002-of-00002.gguf": StubFile(gguf_bytes(6000)),
        "m-F16-00001-of-00002.gguf": StubFile(gguf_bytes(7000)),
        "mmproj-m.gguf": StubFile(gguf_bytes(800)),
    }
    plan = prepare(HubName(REPO), folders=folders, timing=QUICK)
    assert plan.variants == (VariantSize("Q4_K_M", 4000), VariantSize("Q8_0", 11000)), (
        "a projector and a model with a missing part are none"
    )


def test_ranges_are_joined_and_kept(hub: StubHub) -> None:
    data = gguf_bytes(3 * MIB)
    hub.repos[REPO][FILE] = StubFile(data)
    url = f"{hub.url}/{REPO}/resolve/main/{FILE}"
    with Web(timing=QUICK, typed_sites=frozenset({site_of(url)})) as web:
        source = RangeSource(Remote(url), web, size_bytes=len(data))
        for offset, length in (
            (0, 4),
            (100, 1000),
            (524_280, 20),
            (2 * MIB, 500_000),
            (len(data) - 5, 50),
            (5, 0),
        ):
            assert source.read_at(offset, length) == data[offset : offset + length]
        asked = len(hub.asked)
        assert source.read_at(0, 500) == data[:500]
        assert len(hub.asked) == asked, "a window that is there is not fetched again"


def test_a_server_without_ranges_is_told(hub: StubHub) -> None:
    def whole(handler: Handler, stub: StubFile) -> bool:
        handler.plain(200, stub.data)
        return True

    hub.behave = whole
    url = f"{hub.url}/{REPO}/resolve/main/{FILE}"
    with Web(timing=QUICK, typed_sites=frozenset({site_of(url)})) as web:
        source = RangeSource(Remote(url), web, size_bytes=10**9)
        with pytest.raises(DownloadError) as caught:
            source.read_at(0, 4)
    assert caught.value.reference == "no-ranges"


def test_a_header_without_end_is_given_up(hub: StubHub) -> None:
    hub.repos[REPO][FILE] = StubFile(gguf_bytes(80 * MIB))
    url = f"{hub.url}/{REPO}/resolve/main/{FILE}"
    with Web(timing=QUICK, typed_sites=frozenset({site_of(url)})) as web:
        source = RangeSource(Remote(url), web, size_bytes=80 * MIB)
        with pytest.raises(DownloadError) as caught:
            for at in range(0, 80 * MIB, 4 * MIB):
                source.read_at(at, 4 * MIB)
    assert caught.value.reference == "header-too-large"
