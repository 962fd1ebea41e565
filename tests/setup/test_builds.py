"""Builds side by side: proved ones get a name, the current one is used, and the proof itself."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import make_fake

from bringup.actions.journal.reading import with_journal
from bringup.actions.setting_up.builds import our_builds, remove_build
from bringup.actions.setting_up.choice import Method, SetupChoice
from bringup.actions.setting_up.record import record_setup
from bringup.actions.setting_up.request import SetupPlan, SetupResult
from bringup.engine import builds
from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.builds import NewBuild
from bringup.engine.environment import clean_environment
from bringup.engine.find import find_engines
from bringup.engine.key import read_or_create_key
from bringup.engine.killer_requests import killer_requests
from bringup.engine.known_bad import bad_ranges, what_is_bad
from bringup.engine.proof import (
    Proof,
    ProofJob,
    check_devices,
    check_offload,
    list_devices,
    prove,
    read_offload,
    why_none,
)
from bringup.engine.source_build import Backend
from bringup.engine.unproved import forget_failure, note_failure
from bringup.errors import EngineError, Failure, WrongUse
from bringup.faces.render.setup import build_lines
from bringup.journal.entry import Kind
from bringup.machine import locks
from bringup.machine.folders import Folders
from bringup.machine.live import LiveMachine

PROOF = Proof("b7", ("CUDA0: RTX",), 31, 31, "Paris.", 12.5, 0.5, ("a", "b"), ("c",))


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(str(tmp_path / "configuration"), str(tmp_path / "cache"), str(tmp_path / "state"))


def put(folders: Folders, name: str, backend: str = "cuda") -> builds.BuildRecord:
    staged = Path(folders.build_work) / "staged"
    make_fake(staged)
    archs = ("86",) if backend == "cuda" else ()
    new = NewBuild(name, str(staged), backend, archs, "source", "the folder /s")
    return builds.publish(folders, new, PROOF, now_s=1.0)


def test_builds_side_by_side(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert builds.list_builds(folders) == () and builds.current_name(folders) is None
    first, second = put(folders, "b1-cuda-86"), put(folders, "b2-cuda-86")
    assert builds.list_builds(folders) == (first, second)
    assert builds.current_name(folders) == "b2-cuda-86"
    assert second.tokens_per_s == 12.5 and second.survived == 2 and second.refused == 1

    def used() -> str:
        found = find_engines(LiveMachine(), configured_path=None, builds_folder=folders.builds)
        return found[0].path if found[0].origin == "our build" else ""

    assert used() == f"{folders.builds}/b2-cuda-86/llama-server"
    builds.use_build(folders, "b1-cuda-86")
    assert used() == f"{folders.builds}/b1-cuda-86/llama-server"
    assert builds.remove_build(folders, "b2-cuda-86") is False
    assert builds.remove_build(folders, "b1-cuda-86") is True
    assert builds.list_builds(folders) == () and used() == ""
    assert os.listdir(folders.builds) == []
    with pytest.raises(WrongUse):
        builds.use_build(folders, "b1-cuda-86")


def test_the_same_name_is_replaced_whole(folders: Folders) -> None:
    put(folders, "b1-cuda-86")
    left = Path(folders.builds, "b1-cuda-86", "left-over")
    left.touch()
    put(folders, "b1-cuda-86")
    assert not left.exists() and len(builds.list_builds(folders)) == 1
    assert sorted(os.listdir(folders.builds)) == ["b1-cuda-86", "current"]


def test_damaged_records_and_names_that_lead_away(folders: Folders) -> None:
    put(folders, "good")
    for name, text in (("a", "{"), ("b", '{"schema": 2}'), ("c", "[]"), ("d", '{"schema": 1, "name": "d"}')):
        folder = Path(folders.builds, name)
        folder.mkdir()
        (folder / "build.json").write_text(text)
    assert [one.name for one in builds.list_builds(folders)] == ["good"]
    for text in ("../../etc", "nothing", "", "a/b"):
        Path(folders.builds, "current").write_text(text)
        assert builds.current_name(folders) is None


def test_a_card_is_not_lost_unsaid(folders: Folders) -> None:
    builds.check_not_worse(folders, "cpu")
    put(folders, "b1-cuda-86")
    builds.check_not_worse(folders, "cuda")
    with pytest.raises(WrongUse) as caught:
        builds.check_not_worse(folders, "cpu")
    assert caught.value.reference == "engine-lost-cuda" and "--backend cpu" in caught.value.hint
    put(folders, "b2-cpu", backend="cpu")
    builds.check_not_worse(folders, "cpu")


def job(small_model: Path, folders: Folders, build: EngineBuild, backend: Backend) -> ProofJob:
    read_or_create_key(folders)
    return ProofJob(
        build=build,
        backend=backend,
        model_path=str(small_model),
        key_file=folders.key_file,
        environment=clean_environment(os.environ, is_external=build.is_external).variables,
        log_path=str(Path(folders.state) / "proof.log"),
    )


def test_the_proof_of_the_packages_own_engine_in_the_journal(folders: Folders) -> None:
    choice = SetupChoice(Method.EXISTING, Backend.CPU, ("it is here",))
    assert record_setup(SetupResult(SetupPlan(choice), PROOF, None), duration_s=9.0, ours=folders) == ""
    entries, _ = with_journal(folders, lambda journal: journal.entries(kinds=[Kind.SETUP]))
    assert entries is not None
    (entry,) = entries
    assert entry.text.startswith("the engine of the Python package: proved in 9 s with version b7, cpu")
    assert entry.data["tokens_per_s"] == PROOF.tokens_per_s and entry.data["phase"] == "proved"


def test_a_program_that_is_no_engine_is_not_proved(
    small_model: Path, folders: Folders, tmp_path: Path
) -> None:
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    build = EngineBuild(EngineKind.EXTERNAL, str(program), "", "made")
    with pytest.raises(EngineError) as caught:
        prove(job(small_model, folders, build, Backend.CPU), lambda _: None)
    assert caught.value.reference == "engine-not-usable"


def test_a_build_for_a_card_that_sees_none_is_not_proved(
    small_model: Path, folders: Folders, tmp_path: Path
) -> None:
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\necho 'Available devices:'\n")
    program.chmod(0o755)
    build = EngineBuild(EngineKind.EXTERNAL, str(program), "", "made")
    with pytest.raises(EngineError) as caught:
        prove(job(small_model, folders, build, Backend.CUDA), lambda _: None)
    assert caught.value.reference == "running-on-cpu"
    assert "sees no such device" in caught.value.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("exit 0", "it lists no device at all"),
        (
            "echo 'error while loading shared libraries: libcuda.so.1: no' >&2; exit 127",
            "libcuda.so.1",
        ),
        ("exit 1", "could not be asked"),
    ],
)
def test_a_build_that_lists_nothing_says_why(tmp_path: Path, body: str, said: str) -> None:
    program = tmp_path / "llama-server"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    build = EngineBuild(EngineKind.EXTERNAL, str(program), "", "made")
    with pytest.raises(EngineError) as caught:
        check_devices(Backend.CUDA, (), lambda: why_none(build, environment=dict(os.environ)))
    assert said in caught.value.context[0]


def test_devices_and_layers(tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    listed = "Available devices:\n  CUDA0: NVIDIA GeForce RTX 3080 Ti (12036 MiB, 11800 MiB free)\n"
    program.write_text(f"#!/bin/sh\ncat <<'X'\n{listed}X\n")
    program.chmod(0o755)
    build = EngineBuild(EngineKind.EXTERNAL, str(program), "", "made")
    devices = list_devices(build, environment=dict(os.environ))
    assert devices == ("CUDA0: NVIDIA GeForce RTX 3080 Ti (12036 MiB, 11800 MiB free)",)
    check_devices(Backend.CUDA, devices)
    with pytest.raises(EngineError):
        check_devices(Backend.VULKAN, devices)
    log = "load_tensors: offloaded 2/31 layers to GPU\nload_tensors: offloaded 31/31 layers to GPU\n"
    assert read_offload(log) == (31, 31) and read_offload("nothing") == (0, 0)
    check_offload(Backend.CUDA, 31, 31)
    check_offload(Backend.CPU, 0, 0)
    for on_gpu, layers in ((30, 31), (0, 0), (0, 31)):
        with pytest.raises(EngineError) as caught:
            check_offload(Backend.CUDA, on_gpu, layers)
        assert caught.value.reference == "offload-partial"


def test_the_hard_requests_are_twenty_and_differ() -> None:
    made = killer_requests()
    assert len({one.name for one in made}) == len({(one.path, one.body) for one in made}) == 20
    assert [one.name for one in made if one.is_only_kept_out] == ["a grammar of 50,000 brackets"]
    assert all(one == replace(one) and one.path.startswith("/") for one in made)


def test_what_is_known_to_be_bad(folders: Folders) -> None:
    """Each range names its last build and not the next."""
    for one in bad_ranges():
        assert one in what_is_bad(f"b{one.before - 1}") and one not in what_is_bad(f"b{one.before}")
        assert one.source.startswith("https://") and one.what
    assert what_is_bad("b11434") == () and what_is_bad("") == () and what_is_bad("2026.10.11549") == ()
    for name, version in (("old", "b5000"), ("good", "b11434")):
        put(folders, name)
        record = Path(folders.builds, name, "build.json")
        record.write_text(record.read_text().replace('"b7"', f'"{version}"'))
    ours = our_builds(folders)
    assert [name for name, _ in ours.known_bad] == ["old"] * len(bad_ranges())
    lines = build_lines(ours, width_columns=None)
    assert any("known to be bad: old: it does not load gpt-oss; mended in b6096" in line for line in lines)


def test_what_is_not_to_be_used_is_named(folders: Folders) -> None:
    put(folders, "b1-cuda-86")
    put(folders, "b2-cuda-86")
    Path(folders.builds, "b1-cuda-86", "llama-server").unlink()
    Path(folders.builds, "b2-cuda-86", "build.json").write_text("{")
    failed, stopped = (Path(folders.build_work, name) for name in ("b3-cpu", "b4-cpu"))
    for work in (failed, stopped):
        work.mkdir(parents=True)
        (work / "build.log").touch()
    note_failure(str(failed), EngineError("the engine answers wrongly", reference="engine-answers-wrong"))
    (Path(folders.build_work) / "existing").mkdir()
    found = {one.name: one.why for one in our_builds(folders).unproved}
    assert found == {
        "b1-cuda-86": "its engine is gone",
        "b2-cuda-86": "its record build.json cannot be read",
        "b3-cpu": "failed: the engine answers wrongly [engine-answers-wrong]",
        "b4-cpu": "not finished: bringup setup goes on where it stopped",
    }
    assert remove_build(folders, "b4-cpu").was_current is False and not stopped.exists()
    lease = locks.try_lease(str(Path(folders.build_work, "lock")))
    assert isinstance(lease, locks.Lease)
    with lease, pytest.raises(Failure) as caught:
        remove_build(folders, "b3-cpu")
    assert caught.value.reference == "setup-runs" and failed.exists()
    forget_failure(str(failed))
    assert {one.why for one in our_builds(folders).unproved if one.name == "b3-cpu"} == {found["b4-cpu"]}
