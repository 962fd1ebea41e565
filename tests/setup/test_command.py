"""`bringup setup` as a person runs it."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from tests.doctor.schema import load_schema, problems
from tests.stubs.command_line import Home, run_cli

from bringup.actions.journal.reading import with_journal
from bringup.engine.builds import NewBuild, publish
from bringup.engine.compiling import BuildProgress
from bringup.engine.proof import Proof
from bringup.engine.source_build import BuildStep
from bringup.faces.render.setup import progress_line, proof_lines
from bringup.journal.entry import Kind
from bringup.machine.folders import Folders


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def folders(home: Home) -> Folders:
    return Folders("", "", str(home.state))


def put(home: Home, name: str, backend: str) -> None:
    staged = home.state / "build-work" / "staged"
    staged.mkdir(parents=True)
    (staged / "llama-server").write_text("#!/bin/sh\n")
    proof = Proof("b1", (), 0, 0, "Paris.", 9.0, 0.5, ("a",), ("b",))
    publish(folders(home), NewBuild(name, str(staged), backend, (), "source", "made"), proof, now_s=1.0)


def test_the_list(home: Home) -> None:
    assert run_cli(home, "setup", "--list").stdout == "No build of ours is here. bringup setup gets one.\n"
    put(home, "b1-cpu", "cpu")
    put(home, "b2-cuda-86", "cuda")
    lines = run_cli(home, "setup", "--list").stdout.splitlines()
    assert lines[1].split()[:3] == ["b1-cpu", "b1", "cpu"] and lines[2].split()[:2] == ["*", "b2-cuda-86"]
    assert run_cli(home, "setup", "--use", "b1-cpu").stderr == "b1-cpu is the current engine now.\n"
    listed = json.loads(run_cli(home, "setup", "--list", "--json").stdout)
    assert problems(listed, load_schema("setup")) == [] and listed["current"] == "b1-cpu"
    removed = run_cli(home, "setup", "--remove", "b1-cpu")
    assert "none of ours is in use now" in removed.stderr
    unknown = run_cli(home, "setup", "--use", "b9")
    assert unknown.returncode == 2 and "there is: b2-cuda-86" in unknown.stderr
    assert setups_in_the_log(home) == [
        ("b1-cpu", "b1-cpu is the current engine now, before it b2-cuda-86"),
        ("b1-cpu", "b1-cpu was removed; it was the current engine"),
    ]


def setups_in_the_log(home: Home) -> list[tuple[str, str]]:
    entries, warning = with_journal(folders(home), lambda journal: journal.entries(kinds=[Kind.SETUP]))
    assert warning == "" and entries is not None
    shown = " ".join(run_cli(home, "log").stdout.split())
    ended = [entry for entry in entries if entry.data["phase"] != "started"]
    assert all(" ".join(entry.text.split()[:4]) in shown for entry in ended)
    assert "is being" not in shown, "a start is told again beside its end"
    return [(entry.subject, entry.text) for entry in ended]


def test_a_journal_that_cannot_be_written_is_one_warning(home: Home) -> None:
    put(home, "b1-cpu", "cpu")
    (home.state / "journal.sqlite").mkdir()
    (home.state / "journal-waiting").touch()
    done = run_cli(home, "setup", "--use", "b1-cpu")
    assert (done.returncode, done.stderr.count("warning:")) == (0, 1)
    assert done.stderr.endswith("b1-cpu is the current engine now.\n")


def test_a_dry_run_changes_nothing(home: Home) -> None:
    done = run_cli(home, "setup", "--dry-run", "--method", "source", "--backend", "cpu", "--json")
    plan = json.loads(done.stdout)
    assert problems(plan, load_schema("setup")) == []
    assert (plan["method"], plan["backend"], plan["name"]) == ("source", "cpu", "b11434-cpu")
    assert done.returncode == (1 if plan["missing"] else 0)
    assert "-DGGML_NATIVE=ON" in plan["commands"][0] and plan["commands"][1][-1] == "llama-server"
    assert not (home.state / "build-work").exists() and not (home.state / "builds").exists()
    text = run_cli(
        home, "setup", "--dry-run", "--method", "source", "--backend", "cuda", "--cuda-arch", "8.6"
    )
    assert "build b11434-cuda-86" in text.stdout and "CMAKE_CUDA_ARCHITECTURES=86" in text.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--list", "--dry-run"), 2, "exclude each other"),
        (("--cuda-arch", "fast", "--dry-run"), 2, "no compute capability"),
        (("--version", "newest", "--dry-run"), 2, "no build of llama.cpp"),
        (("--source", "/nowhere/llama.cpp", "--dry-run"), 2, "--source /nowhere/llama.cpp: no such file"),
        (("--backend", "cuda", "--dry-run"), 1, "does not say its compute capability"),
        (("--method", "release", "--backend", "cpu"), 2, "needs the archive"),
        (("--source", "SOURCE", "--backend", "cpu"), 2, "is no source of llama.cpp"),
        (("--source", "ARCHIVE", "--backend", "cpu"), 1, "cannot be unpacked"),
        (("--source", "--upload-pack=x", "--backend", "cpu"), 2, "neither a folder, nor an archive"),
        (
            ("--source", "file:///nowhere/at/all", "--backend", "cpu"),
            1,
            "git could not clone file:///nowhere",
        ),
    ],
)
def test_refusals(
    home: Home, small_model: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    if "cuda" in words and Path("/proc/driver/nvidia").exists():
        pytest.skip("no nvcc")
    if shutil.which("cmake") is None or shutil.which("ninja") is None:
        pytest.skip("no cmake and ninja")
    (tmp_path / "SOURCE").mkdir()
    (tmp_path / "ARCHIVE.tar.gz").write_bytes(b"no archive")
    places = {"SOURCE": tmp_path / "SOURCE", "ARCHIVE": tmp_path / "ARCHIVE.tar.gz"}
    typed = [str(places.get(word, word)) for word in words]
    done = run_cli(home, "setup", *typed, "--proof-model", str(small_model))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_an_archive_is_built_and_what_cannot_be_proved_is_not_used(
    home: Home, small_model: Path, project: Path, tmp_path: Path
) -> None:
    """From an archive to a program, which is no engine: it gets no name, and the engine before it stays."""
    put(home, "b1-cpu", "cpu")
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(project, "llama.cpp-7777")
    words = (
        "--source",
        str(archive),
        "--version",
        "b7777",
        "--backend",
        "cpu",
        "--proof-model",
        str(small_model),
    )
    done = run_cli(home, "setup", *words)
    assert done.returncode == 1
    assert "does not answer --help as a llama-server does" in done.stderr
    work = home.state / "build-work" / "b7777-cpu"
    assert (work / "build" / "bin" / "llama-server").exists()
    listed = json.loads(run_cli(home, "setup", "--list", "--json").stdout)
    assert [one["name"] for one in listed["builds"]] == ["b1-cpu"] and listed["current"] == "b1-cpu"
    # The second time nothing is fetched or compiled anew.
    before = (work / "build" / "done").read_text()
    assert run_cli(home, "setup", *words).returncode == 1
    assert (work / "build" / "done").read_text() == before
    said = "does not answer --help as a llama-server does"
    assert [(name, said in text) for name, text in setups_in_the_log(home)] == [("setup", True)] * 2


def test_the_proof_is_told() -> None:
    proof = Proof("b7", ("CUDA0: RTX",), 31, 31, "Paris.", 12.5, 0.5, ("a", "b"), ("deep brackets",))
    assert list(proof_lines(proof)) == [
        "proved: version b7, the small model loaded in 0.50 s",
        "  device CUDA0: RTX",
        "  31 of 31 layers on the card",
        "  the known question was answered at 12.5 tokens/s: 'Paris.'",
        "  2 requests that have ended engines: survived or refused",
        "  deep brackets: kept out by the key, not tried with it: it was seen to end an engine",
    ]
    assert progress_line(BuildProgress(BuildStep(107, 214), 60.0, 61.0)) == (
        "building [############------------] 107 of 214, about 1 min 01 s left"
    )
