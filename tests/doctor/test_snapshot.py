"""`snapshot`: what it says, where it writes, and that the doctor finds in it what he found on the machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.doctor.schema import load_schema, problems
from tests.doctor.shown import shown_by
from tests.doctor.whole_machines import HEALTHY, WHOLE_MACHINES
from tests.faults.cases import CASES, Case, all_cases
from tests.store.test_disk import needs_mount
from tests.stubs.command_line import Home, argv, run_cli
from tests.stubs.terminal import Terminal

from bringup.actions.diagnosis.doctor import Examination, examine
from bringup.actions.diagnosis.facts import Seen, list_facts
from bringup.actions.diagnosis.snapshot import Snapshot, device_ids, essential, take_snapshot
from bringup.faces.render.snapshot import render_contents
from bringup.machine.archive import unpack_recording
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recording import Recording
from bringup.reading import Known, Reading, Unreadable

MORNING = str(CASES / "driver-library-mismatch/morning")
MACHINES = [case for case in all_cases() if case.is_machine]


def opened(snapshot: Snapshot) -> Examination:
    recording = unpack_recording(snapshot.data, name="x")
    return examine(RecordedMachine.from_recording(recording), subject="x")


def whole_verdict(examination: Examination) -> object:
    found = examination.diagnosis.findings
    told = [(f.fault.id, f.role, f.evidence.certainty, f.evidence.saw, f.evidence.steps) for f in found]
    return examination.verdict, told, [(one.layer, one.what) for one in examination.unseen]


@pytest.mark.parametrize("case", MACHINES, ids=lambda case: case.name)
def test_the_verdict_of_a_snapshot_is_that_of_the_machine(case: Case) -> None:
    snapshot = take_snapshot(RecordedMachine(str(case.folder)), subject="x")
    assert whole_verdict(opened(snapshot)) == whole_verdict(snapshot.examination)
    assert snapshot.is_faithful


def test_the_sixteen_are_there_and_whole() -> None:
    found = {case.name: case for case in MACHINES}
    assert len(set(WHOLE_MACHINES.values())) == len(WHOLE_MACHINES) == 16
    for words, name in WHOLE_MACHINES.items():
        case = found[name]
        assert case.expected == (() if words in HEALTHY else (case.fault_id,)), words
        facts = list_facts(take_snapshot(RecordedMachine(str(case.folder)), subject="x").examination.stack)
        known = {fact.layer for fact in facts if fact.seen is Seen.KNOWN}
        assert len(known) >= 6, (words, known)


@pytest.mark.parametrize("name", WHOLE_MACHINES.values(), ids=list(WHOLE_MACHINES))
def test_each_whole_machine_goes_through_the_commands(name: str, tmp_path: Path) -> None:
    file = str(tmp_path / "m.tar.zst")
    code, _ = shown_by("snapshot", "--from", str(CASES / name), file)
    assert code == 0
    first, second = (shown_by("doctor", "--from", place, "--json") for place in (str(CASES / name), file))
    told = [json.loads(text) for _, text in (first, second)]
    for value in told:
        del value["subject"], value["looks"]
    assert told[0] == told[1]
    assert first[0] == second[0]


def test_a_snapshot_of_a_snapshot_says_the_same() -> None:
    once = take_snapshot(RecordedMachine(MORNING), subject="x")
    again = take_snapshot(RecordedMachine.from_recording(unpack_recording(once.data, name="x")), subject="x")
    assert whole_verdict(again.examination) == whole_verdict(once.examination)


def test_what_it_holds_is_said_before_it_is_written(own_home: Path, tmp_path: Path) -> None:
    done = run_cli(Home(own_home), "snapshot", "--from", MORNING, str(tmp_path / "a"))
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path / 'a'}\n"
    for words in ("This snapshot holds", "/var/log", "commands with what they printed", "Replaced by"):
        assert words in done.stderr
    assert "gives the verdict of this machine: driver-library-mismatch." in " ".join(done.stderr.split())
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_changed_verdict_is_said() -> None:
    good = take_snapshot(RecordedMachine(MORNING), subject="x")
    empty = examine(RecordedMachine.from_recording(Recording()), subject="x")
    worse = Snapshot(
        good.data, good.examination, good.files, good.commands, good.variables, (), good.hidden, empty
    )
    shown = " ".join("".join(map(str, line)) for line in render_contents(worse, with_list=False))
    assert not worse.is_faithful
    assert "Careful: read back" in shown
    assert "cannot tell" in shown


def test_a_list_writes_nothing_and_names_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = shown_by("snapshot", "--from", MORNING, "--list")
    assert code == 0
    assert list(tmp_path.iterdir()) == []
    for words in ("/proc/driver/nvidia/version", "command  dmesg --color=never", "variable  HOME"):
        assert words in text


@pytest.mark.parametrize("more", [("--list",), ()])
def test_its_json_fits_the_schema(own_home: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    file = () if more else (str(tmp_path / "x.tar.zst"),)
    done = run_cli(Home(own_home), "snapshot", "--from", MORNING, "--json", *more, *file)
    value = json.loads(done.stdout)
    assert problems(value, load_schema("snapshot")) == []
    assert value["path"] == (file[0] if file else None)
    assert value["roots"] == ["driver-library-mismatch"]
    assert value["is_faithful"]


def test_standard_output_takes_the_archive(own_home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        argv("snapshot", "--from", MORNING, "-"),
        env=Home(own_home).environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"This snapshot holds" in done.stderr
    (tmp_path / "x").write_bytes(done.stdout)
    assert shown_by("doctor", "--from", str(tmp_path / "x"))[0] == 1
    code, text = shown_by("snapshot", "--json", "-")
    assert (code, "Give a file's name" in text) == (2, True)


def test_a_live_snapshot_says_here_what_it_says_elsewhere(own_home: Path, tmp_path: Path) -> None:
    home = Home(own_home)
    done = run_cli(home, "snapshot", "--json", str(tmp_path / "x"))
    told = json.loads(done.stdout)
    assert told["is_faithful"]
    code, text = shown_by("doctor", "--from", str(tmp_path / "x"), "--json")
    assert json.loads(text)["verdict"] == told["verdict"]
    assert code == {"healthy": 0, "faults": 1, "cannot-tell": 3}[told["verdict"]]


def test_nothing_is_ever_replaced(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    for path, words in (
        (there, "is there already"),
        (tmp_path, "is there already"),
        (tmp_path / "no/x", "there is no folder"),
    ):
        code, text = shown_by("snapshot", "--from", MORNING, str(path))
        assert (code, words in text) == (2, True), text
    assert there.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [there]


@needs_mount
@pytest.mark.parametrize(("options", "words"), [("size=4k", "No space left"), ("ro", "Read-only")])
def test_a_full_or_shut_disk_is_named_and_left_clean(own_home: Path, options: str, words: str) -> None:
    place = own_home / "disk"
    place.mkdir()
    script = f'mount -t tmpfs -o {options} none {place}; "$@"; code=$?; ls -A {place}; exit $code'
    command = ["unshare", "-m", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*command, *argv("snapshot", "--from", MORNING, str(place / "x"))],
        env=Home(own_home).environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"could not write {place}/x: {words}" in done.stderr
    assert "hint: Give a name elsewhere" in done.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_a_disk_without_hard_links_takes_it_too(own_home: Path, tmp_path: Path) -> None:
    source, library = tmp_path / "l.c", tmp_path / "l.so"
    source.write_text(
        "#include <errno.h>\nint link(const char *a, const char *b) { errno = EPERM; return -1; }\n"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    home = Home(own_home)
    for code in (0, 2):
        done = run_cli(home, "snapshot", "--from", MORNING, str(tmp_path / "x"), LD_PRELOAD=str(library))
        assert done.returncode == code, done.stderr
    assert shown_by("doctor", "--from", str(tmp_path / "x"))[0] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l.c", "l.so", "x"]


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1), ("\x03", 130)])
def test_a_person_is_asked(own_home: Path, tmp_path: Path, typed: str, code: int) -> None:
    file = tmp_path / "x.tar.zst"
    with Terminal(argv("snapshot", "--from", MORNING, str(file)), Home(own_home).environment()) as terminal:
        shown = terminal.wait_for(r"\[y/N\]")
        assert "This snapshot holds" in shown
        assert not file.exists()
        terminal.send(typed)
        assert terminal.wait_end() == code
    assert file.exists() == (code == 0)


def test_a_yes_beforehand_needs_no_question(own_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "x"
    command = argv("snapshot", "--yes", "--from", MORNING, str(file))
    with Terminal(command, Home(own_home).environment()) as terminal:
        assert terminal.wait_end() == 0
        assert "[y/N]" not in terminal.text
    assert file.exists()
    with Terminal(argv("snapshot", "-"), Home(own_home).environment()) as terminal:
        assert terminal.wait_end() == 2
        assert "no place for an archive" in terminal.text


def test_a_name_that_spoils_the_facts_is_left_in_them() -> None:
    """A machine called vm: its name is a folder of /proc, and replacing it would lose what lies below."""
    recording = Recording(is_exact=True)
    for path, text in (("/etc/hostname", "vm\n"), ("/proc/sys/vm/overcommit_memory", "0\n")):
        recording.reads[path] = Known(text.encode(), path)
    kept = unpack_recording(
        take_snapshot(RecordedMachine.from_recording(recording), subject="x").data, name="x"
    )
    assert "/proc/sys/vm/overcommit_memory" in kept.reads


def test_of_files_that_do_not_fit_the_largest_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bringup.actions.diagnosis.snapshot._KEEP_LIMIT_BYTES", 30)
    sizes = {"/etc/a": 10, "/etc/b": 25, "/etc/c": 20}
    reads: dict[str, Reading[bytes]] = {path: Known(b"x" * size, path) for path, size in sizes.items()}
    kept, left_out = essential(Recording(reads=reads), str, devices=frozenset())
    assert left_out == (("/etc/b", "too large"),)
    assert [path for path, read in kept.reads.items() if isinstance(read, Known)] == ["/etc/a", "/etc/c"]
    assert isinstance(kept.reads["/etc/b"], Unreadable)


def test_ids_of_the_bus_are_those_that_could_be_read() -> None:
    folder = "/sys/bus/pci/devices/0000:01:00.0"
    reads: dict[str, Reading[bytes]] = {
        f"{folder}/vendor": Known(b"0x10de\n", folder),
        f"{folder}/device": Unreadable(folder, "Permission denied"),
        f"{folder}/class": Known(b"0x030000\n", folder),
    }
    assert device_ids(Recording(reads=reads)) == {"10de"}
