"""A machine is a folder: what was recorded is answered the same, what was not is not made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.errors import FileTrouble
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import CommandResult, DiskSpace, FileKind, FileStat
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder
from bringup.machine.rooted import RootedMachine
from bringup.reading import Absent, Known, Reading, Unreadable

MACHINE = """
now_s = 1763958063.5
[environment]
HOME = "/home/user"
[unreadable]
"/etc/shadow" = "Permission denied"
"/root" = "Permission denied"
[disk_space."/"]
total_bytes = 1000
free_bytes = 500
[stat."/dev/nvidia0"]
kind = "device"
mode = 0o660
group_id = 44
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A machine made by hand."""
    folder = tmp_path / "made"
    (folder / "root/etc").mkdir(parents=True)
    (folder / "root/etc/os-release").write_text("ID=ubuntu\n")
    (folder / "root/etc/link").symlink_to("/etc/os-release")
    (folder / "root/etc/escape").symlink_to("/../../../../../../etc/passwd")
    (folder / "commands.json").write_text(
        json.dumps(
            [
                {"argv": ["uname", "-r"], "exit_code": 0, "stdout": "6.8.0-51-generic\n", "stderr": ""},
                {"argv": ["nvidia-smi"], "absent": True},
                {"argv": ["dkms", "status"], "unreadable": "it did not end within 5 s"},
            ]
        )
    )
    (folder / "machine.toml").write_text(MACHINE)
    return folder


def test_a_folder_that_is_there_is_complete_and_one_that_is_not_was_not_recorded(made: Path) -> None:
    machine = RecordedMachine(str(made))
    assert machine.read_text("/etc/os-release") == Known("ID=ubuntu\n", "/etc/os-release")
    assert machine.read_text("/etc/link") == Known("ID=ubuntu\n", "/etc/link")
    assert machine.read("/etc/missing") == Absent("/etc/missing")
    assert machine.stat("/etc/missing") == Absent("/etc/missing")
    assert machine.read("/srv") == Absent("/srv")
    for path in ("/etc/missing/below", "/proc/meminfo", "/usr/lib/x"):
        assert machine.read(path) == Unreadable(path, "not recorded")
        assert machine.list_folder(path) == Unreadable(path, "not recorded")
    assert machine.list_folder("/") == Known(("etc",), "/")
    escape = machine.read("/etc/escape")
    assert escape == Absent("/etc/escape")


def test_commands_variables_disk_and_clock_made_by_hand(made: Path) -> None:
    machine = RecordedMachine(str(made))
    uname = ("uname", "-r")
    assert machine.run(uname, timeout_s=1) == Known(
        CommandResult(uname, 0, "6.8.0-51-generic\n", ""), "uname -r"
    )
    assert machine.run(("nvidia-smi",), timeout_s=1) == Absent("nvidia-smi")
    assert machine.run(("dkms", "status"), timeout_s=1) == Unreadable(
        "dkms status", "it did not end within 5 s"
    )
    assert machine.run(("true",), timeout_s=1) == Unreadable("true", "not recorded")
    assert machine.environment("HOME") == Known("/home/user", "environment variable HOME")
    assert machine.environment("PATH") == Absent("environment variable PATH")
    assert machine.disk_space("/home/user") == Known(DiskSpace(1000, 500), "/home/user")
    assert machine.now_s() == Known(1763958063.5, "clock")
    assert machine.read("/etc/shadow") == Unreadable("/etc/shadow", "Permission denied")
    assert machine.read("/root/.ssh/id") == Unreadable("/root/.ssh/id", "Permission denied")
    device = machine.stat("/dev/nvidia0")
    assert device == Known(FileStat(FileKind.DEVICE, 0, 0o660, 0, 44, 0.0, 0, 0), "/dev/nvidia0")


def test_a_folder_without_tables_knows_nothing_of_the_rest(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    machine = RecordedMachine(str(tmp_path))
    assert machine.environment("HOME") == Unreadable("environment variable HOME", "not recorded")
    assert machine.disk_space("/x") == Unreadable("/x", "not recorded")
    assert machine.now_s() == Unreadable("clock", "not recorded")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("commands.json", "{"),
        ("commands.json", '[{"exit_code": 0}]'),
        ("commands.json", '[{"argv": ["x"], "exit_code": "one"}]'),
        ("commands.json", "[" * 100_000),
        ("looks.json", "[]"),
        ("looks.json", '{"schema": 99}'),
        ("commands.json", '[{"argv": ["x"], "exit_code": 1e999}]'),
        ("looks.json", '{"schema": 1, "read": {"/x": 3}}'),
        ("machine.toml", "= ="),
        ("machine.toml", "[surprise]"),
        ("machine.toml", '[stat."/x"]\nkind = "ghost"'),
        ("machine.toml", b"\xff\xfe"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, name: str, text: str | bytes) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileTrouble, match=f"{name} is damaged"):
        RecordedMachine(str(tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileTrouble, match="no recorded machine"):
        RecordedMachine(str(tmp_path / "none"))


# Record, then replay.

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
NAMES = st.one_of(
    st.sampled_from(["a", "b", "proc", "..", "x" * 220, "back\\slash", "new\nline", "\udcff", "é"]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=5),
)
PATHS = st.lists(NAMES, max_size=3).map(lambda parts: "/" + "/".join(parts))


def readings(values: st.SearchStrategy[object], source: str) -> st.SearchStrategy[Reading[object]]:
    return st.one_of(
        values.map(lambda value: Known(value, source)),
        st.just(Absent(source)),
        TEXTS.map(lambda why: Unreadable(source, why)),
    )


class MadeMachine:
    """A machine (made) that answers anything, but the same to the same question."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self._answers: dict[object, object] = {}

    def _answer(self, question: object, source: str, values: st.SearchStrategy[object]) -> object:
        if question not in self._answers:
            self._answers[question] = self._data.draw(readings(values, source))
        return self._answers[question]

    def read(self, path: str, *, limit_bytes: int = 0) -> object:
        return self._answer(("read", path), path, st.binary(max_size=20))

    def list_folder(self, path: str) -> object:
        return self._answer(("list", path), path, st.lists(NAMES, max_size=4).map(lambda n: tuple(sorted(n))))

    def stat(self, path: str) -> object:
        stats = st.builds(
            FileStat,
            st.sampled_from(FileKind),
            st.integers(0, 2**50),
            st.integers(0, 0o7777),
            st.integers(0, 2**32),
            st.integers(0, 2**32),
            st.floats(0, 2e9),
            st.integers(0, 2**60),
            st.integers(0, 2**60),
            st.none() | TEXTS,
        )
        return self._answer(("stat", path), path, stats)

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> object:
        from bringup.machine.commands import source_of

        results = st.builds(CommandResult, st.just(argv), st.integers(-64, 255), TEXTS, TEXTS)
        return self._answer(("run", argv), source_of(argv), results)

    def environment(self, name: str) -> object:
        return self._answer(("environment", name), f"environment variable {name}", TEXTS)

    def disk_space(self, path: str) -> object:
        return self._answer(
            ("disk", path), path, st.builds(DiskSpace, st.integers(0, 2**60), st.integers(0, 2**60))
        )

    def now_s(self) -> object:
        return self._answer("now", "clock", st.floats(0, 2e9))


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_a_replay_answers_what_the_machine_answered(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    recorder = Recorder(MadeMachine(data))  # type: ignore[arg-type]
    looks = data.draw(st.lists(st.sampled_from(["read", "list_folder", "stat", "disk_space"]), max_size=8))
    questions = [(look, data.draw(PATHS)) for look in looks]
    argvs = data.draw(st.lists(st.lists(TEXTS, min_size=1, max_size=3).map(tuple), max_size=3))
    names = data.draw(st.lists(TEXTS, max_size=3))

    def ask(machine: object) -> list[object]:
        return [
            *(getattr(machine, look)(path) for look, path in questions),
            *(machine.run(argv, timeout_s=1) for argv in argvs),  # type: ignore[attr-defined]
            *(machine.environment(name) for name in names),  # type: ignore[attr-defined]
            machine.now_s(),  # type: ignore[attr-defined]
        ]

    answers = ask(recorder)
    folder = tmp_path_factory.mktemp("recording")
    recorder.save(str(folder), None)
    replay = RecordedMachine(str(folder))
    assert ask(replay) == answers
    assert replay.read("/never asked") == Unreadable("/never asked", "not recorded")
    assert replay.list_folder("/never") == Unreadable("/never", "not recorded")
    assert replay.stat("/never") == Unreadable("/never", "not recorded")


def test_a_real_look_is_replayed(tmp_path: Path) -> None:
    recorder = Recorder(LiveMachine())

    def ask(machine: object) -> list[object]:
        return [
            machine.read("/proc/version"),  # type: ignore[attr-defined]
            machine.read_text("/etc/os-release"),  # type: ignore[attr-defined]
            machine.read("/proc/version", limit_bytes=3),  # type: ignore[attr-defined]
            machine.read("/no/such"),  # type: ignore[attr-defined]
            machine.read("/dev/null"),  # type: ignore[attr-defined]
            machine.list_folder("/"),  # type: ignore[attr-defined]
            machine.stat("/dev/null"),  # type: ignore[attr-defined]
            machine.run(("uname", "-r"), timeout_s=10),  # type: ignore[attr-defined]
            machine.run(("sleep", "9"), timeout_s=0.05),  # type: ignore[attr-defined]
            machine.run(("not-installed-here",), timeout_s=5),  # type: ignore[attr-defined]
            machine.environment("PATH"),  # type: ignore[attr-defined]
        ]

    answers = ask(recorder)
    recorder.save(str(tmp_path / "recording"), None)
    assert ask(RecordedMachine(str(tmp_path / "recording"))) == answers
    assert (tmp_path / "recording/root/proc/version").read_text().startswith("Linux version")


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    recorder = Recorder(RootedMachine(str(tmp_path)))
    recorder.save(str(tmp_path / "recording"), None)
    with pytest.raises(FileTrouble, match="already"):
        recorder.save(str(tmp_path / "recording"), None)


def test_a_recording_cannot_lead_out_of_itself(tmp_path: Path) -> None:
    recorder = Recorder(RootedMachine(str(tmp_path)))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/file").write_text("inside")
    recorder.read("/etc/file")
    folder = tmp_path / "recording"
    recorder.save(str(folder), None)
    (folder / "root/etc/file").unlink()
    (folder / "root/etc/file").symlink_to("/etc/passwd")
    assert not isinstance(RecordedMachine(str(folder)).read("/etc/file"), Known)
