"""Which model a plan is for: no network for what is here, a little of it for what is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.model.writing import gpt_oss_20b
from tests.plan.full_size import header_bytes
from tests.plan.shapes import SHAPES
from tests.planning.made import described, planned
from tests.stubs.hub import StubFile, StubHub, running_hub

from bringup.actions.planning.plan import plan_model
from bringup.actions.planning.report import PlanReport
from bringup.actions.planning.source import find_source
from bringup.actions.planning.start import PlanWishes
from bringup.errors import BringupError, DownloadError, WrongUse
from bringup.machine.folders import our_folders
from bringup.plan.request import Request
from bringup.units import MIB

REPO = "user/gpt-oss-20b-GGUF"
CARD = described("RTX 3060")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHub]:
    with running_hub({REPO: {}}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def sparse(n_ballast_mib: int = 0) -> StubFile:
    """A header with nothing behind it; the size that the hub publishes is that of the whole file."""
    data, size_bytes = header_bytes(SHAPES["gpt-oss-20b"])
    return StubFile(data + bytes(n_ballast_mib * MIB), size_bytes=size_bytes)


def planned_from_hub(name: str, request: Request | None = None) -> PlanReport:
    wishes = PlanWishes(request=request or Request(), described=CARD)
    return plan_model(name, wishes, may_send_token=lambda _: False)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    asked: list[object] = []

    def refuse(*address: object, **_: object) -> None:
        asked.append(address)
        raise OSError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


def test_a_local_file_asks_nobody(gpt_oss: Path, no_network: list[object]) -> None:
    report = planned(gpt_oss, CARD)
    assert report.source.is_local
    assert (report.source.fetched_bytes, report.source.n_requests) == (0, 0)
    assert no_network == []


@pytest.mark.parametrize(
    ("place", "repository"),
    [
        ("models--some--Repo-GGUF/snapshots/0123abcd", "some/Repo-GGUF"),
        ("bringup/models/some/Repo-GGUF", "some/Repo-GGUF"),
        ("downloads/some", None),
    ],
)
def test_smaller_quantisations_of_a_file_are_worked_out_and_its_repository_is_named(
    llama: Path, own_home: Path, place: str, repository: str | None, no_network: list[object]
) -> None:
    folder = own_home / place
    if place.startswith("bringup"):
        folder = Path(our_folders().models) / "some" / "Repo-GGUF"
    folder.mkdir(parents=True)
    path = folder / "model-Q4_K_M.gguf"
    path.hardlink_to(llama)
    report = planned(path, described("RTX 2060"))
    assert report.source.repository == repository
    (first, *_) = [way for way in report.alternatives if "worked out" in way.what]
    assert first.what.startswith(f"Take Q3_K_M of {repository or 'the same model'} (about 3.7 GiB")
    assert first.options == (("bringup", "plan", f"{repository}:Q3_K_M") if repository else ())
    assert first.fits and "16,384 tokens" in first.effect
    assert no_network == []


def test_what_is_here_of_a_repository_is_told_by_its_own_size(llama: Path, own_home: Path) -> None:
    folder = Path(our_folders().models) / "some" / "Repo-GGUF"
    folder.mkdir(parents=True)
    path = folder / "model-Q4_K_M.gguf"
    path.hardlink_to(llama)
    (folder / "model-Q3_K_S.gguf").write_bytes(bytes(3 * MIB))
    ways = planned(path, described("RTX 2060")).alternatives
    assert any("Take Q3_K_S of some/Repo-GGUF (0.0 GiB, on this disk)" in way.what for way in ways)


def test_the_guard_would_see_a_call(no_network: list[object]) -> None:
    with pytest.raises(BringupError):
        planned_from_hub(REPO)
    assert no_network != []


def test_a_remote_header_costs_at_most_16_mb_in_few_requests(hub: StubHub) -> None:
    """The header has the model's whole vocabulary: 15.5 MB, more than which nobody can do without."""
    header = bytes(gpt_oss_20b().data)
    hub.repos[REPO]["gpt-oss-20b-MXFP4.gguf"] = StubFile(header + bytes(4 * MIB), size_bytes=12_109_565_632)
    report = planned_from_hub(f"{REPO}:MXFP4", Request(n_ctx=8192))
    source = report.source
    assert not source.is_local
    assert len(header) <= source.fetched_bytes <= 16_000_000
    assert hub.sent_bytes() <= 16_000_000
    assert source.n_requests == len(hub.file_requests()) <= 10
    assert report.fits
    assert report.command[1:3] == ("--hf-repo", f"{REPO}:MXFP4")


def test_it_is_the_plan_of_the_file_itself(hub: StubHub, gpt_oss: Path) -> None:
    hub.repos[REPO]["gpt-oss-20b-MXFP4.gguf"] = sparse(n_ballast_mib=4)
    far, near = planned_from_hub(REPO), planned(gpt_oss, CARD)
    assert far.uses == near.uses
    assert far.ladder == near.ladder


def test_smaller_models_of_the_same_repository_are_named_with_their_size(hub: StubHub) -> None:
    hub.repos[REPO] = {
        "gpt-oss-20b-Q8_0.gguf": sparse(n_ballast_mib=4),
        "gpt-oss-20b-Q4_K_S.gguf": StubFile(b"GGUF", size_bytes=11 * 1024**3),
        "gpt-oss-20b-Q2_K.gguf": StubFile(b"GGUF", size_bytes=5 * 1024**3),
        "gpt-oss-20b-BF16.gguf": StubFile(b"GGUF", size_bytes=40 * 1024**3),
    }
    fixed = Request(n_ctx=131_072, n_gpu_layers=-1, n_cpu_moe=0)
    report = planned_from_hub(f"{REPO}:Q8_0", fixed)
    assert not report.fits
    named = [way.what for way in report.alternatives if "same repository" in way.what]
    assert named == ["Take Q2_K of the same repository, 5.0 GiB"], "the others are too large"


def test_a_file_without_a_quantisation_in_its_name_is_told_by_its_name(hub: StubHub) -> None:
    hub.repos[REPO]["model.gguf"] = sparse(n_ballast_mib=4)
    report = planned_from_hub(REPO)
    assert report.command[1:5] == ("--hf-repo", REPO, "--hf-file", "model.gguf")


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError) as caught:
        planned_from_hub(REPO)
    assert "cannot be reached" in caught.value.message
    with pytest.raises(DownloadError) as caught:
        planned_from_hub("smollm2-135m")
    assert "bringup pull" in caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no such file"):
        find_source(str(tmp_path / "no.gguf"), our_folders(), may_send_token=lambda _: False)


def test_a_damaged_header(tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 500)
    with pytest.raises(BringupError) as caught:
        planned(path, CARD)
    assert caught.value.exit_code == 1
    assert caught.value.context, "it says where and what was expected"
