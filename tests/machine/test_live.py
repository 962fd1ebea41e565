"""Looking at this machine: readings for everything that can be in the way, and nothing that hangs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bringup.machine.commands import OUTPUT_LIMIT_BYTES
from bringup.machine.live import LiveMachine
from bringup.machine.look import NAMES_LIMIT
from bringup.machine.protocol import FileKind
from bringup.reading import Absent, Known, Unreadable

MACHINE = LiveMachine()


def test_a_file_and_its_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"caf\xc3\xa9 \xff")
    assert MACHINE.read(str(path)) == Known(b"caf\xc3\xa9 \xff", str(path))
    assert MACHINE.read_text(str(path)) == Known("café \ufffd", str(path))


def test_a_file_of_proc_that_claims_no_size_is_read() -> None:
    reading = MACHINE.read_text("/proc/self/status")
    assert isinstance(reading, Known)
    assert "Cpus_allowed_list" in reading.value


def test_missing_things_are_absent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("missing", "missing/below", "file/below", "dangling"):
        path = str(tmp_path / name)
        assert MACHINE.read(path) == Absent(path)
        assert MACHINE.list_folder(path) == Absent(path)
    assert MACHINE.stat(str(tmp_path / "missing")) == Absent(str(tmp_path / "missing"))


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        (tmp_path / "link").symlink_to("fifo")
        start = time.monotonic()
        for name, what in (("fifo", "FIFO"), ("link", "FIFO"), ("socket", "socket"), (".", "folder")):
            path = str(tmp_path / name)
            assert MACHINE.read(path) == Unreadable(path, f"not a file but a {what}")
        assert MACHINE.read("/dev/zero") == Unreadable("/dev/zero", "not a file but a device")
        assert time.monotonic() - start < 1


def test_a_file_beyond_the_limit_is_unreadable_and_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as handle:
        handle.truncate(2**40)
    start = time.monotonic()
    reading = MACHINE.read(str(path))
    assert isinstance(reading, Unreadable)
    assert "16,777,216 bytes" in reading.why
    assert time.monotonic() - start < 1
    path.write_bytes(b"12345")
    assert isinstance(MACHINE.read(str(path), limit_bytes=5), Known)
    assert isinstance(MACHINE.read(str(path), limit_bytes=4), Unreadable)
    assert isinstance(MACHINE.read("/proc/self/status", limit_bytes=10), Unreadable)


def test_a_kernel_file_that_would_block_is_unreadable() -> None:
    for path in ("/proc/kmsg", "/sys/kernel/tracing/trace_pipe"):
        start = time.monotonic()
        assert not (isinstance(MACHINE.read(path), Known) and time.monotonic() - start > 1)
        assert time.monotonic() - start < 2


def test_paths_that_are_none() -> None:
    assert MACHINE.disk_space("relative") == Unreadable("relative", "not an absolute path")
    for look in (MACHINE.read, MACHINE.list_folder, MACHINE.stat):
        assert look("relative") == Unreadable("relative", "not an absolute path")
        assert isinstance(look("/nul\0byte"), Unreadable)
        assert isinstance(look("/" + "x" * 5000), Unreadable)


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    reading = MACHINE.read(str(tmp_path / "a"))
    assert isinstance(reading, Unreadable)
    assert "symbolic links" in reading.why


def test_a_folder_is_listed_in_order_and_a_file_is_no_folder(tmp_path: Path) -> None:
    for name in ("b", "a", ".c"):
        (tmp_path / name).write_text("")
    assert MACHINE.list_folder(str(tmp_path)) == Known((".c", "a", "b"), str(tmp_path))
    assert MACHINE.list_folder(str(tmp_path / "a")) == Unreadable(str(tmp_path / "a"), "not a folder")
    assert NAMES_LIMIT >= 32_768, "a full /proc must fit"


def test_stat_tells_a_link_as_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    file, link = MACHINE.stat(str(tmp_path / "file")), MACHINE.stat(str(tmp_path / "link"))
    assert isinstance(file, Known)
    assert isinstance(link, Known)
    assert (file.value.kind, file.value.size_bytes, file.value.mode) == (FileKind.FILE, 5, 0o640)
    assert (link.value.kind, link.value.link_target) == (FileKind.LINK, "file")
    assert file.value.inode == (tmp_path / "file").stat().st_ino
    device = MACHINE.stat("/dev/null")
    assert isinstance(device, Known)
    assert device.value.kind is FileKind.DEVICE


def test_without_rights_a_file_is_unreadable_and_not_absent(tmp_path: Path) -> None:
    """A child without our rights looks; a test that runs as root could read everything itself."""
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "file").write_text("secret")
    code = (
        "import os, sys\n"
        "from bringup.machine.look import read_file, stat_path\n"
        "os.getuid() or os.setuid(65534)\n"
        "print(read_file(sys.argv[1], source='x', limit_bytes=9), stat_path(sys.argv[1], source='x'))"
    )
    if os.getuid() != 0:
        (tmp_path / "closed").chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    argv = [sys.executable, "-c", code, f"{tmp_path}/closed/file"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout
    (tmp_path / "closed").chmod(0o700)
    assert answer.count("Unreadable(source='x', why='Permission denied')") == 2


def test_environment_disk_and_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SET", "value")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)
    assert MACHINE.environment("SET") == Known("value", "environment variable SET")
    assert MACHINE.environment("EMPTY") == Known("", "environment variable EMPTY")
    assert MACHINE.environment("UNSET") == Absent("environment variable UNSET")
    here, later = MACHINE.disk_space(str(tmp_path)), MACHINE.disk_space(str(tmp_path / "not/yet/there"))
    assert isinstance(here, Known)
    assert isinstance(later, Known)
    assert 0 < here.value.free_bytes <= here.value.total_bytes
    assert later.value.total_bytes == here.value.total_bytes
    now = MACHINE.now_s()
    assert isinstance(now, Known)
    assert abs(now.value - time.time()) < 5


# Commands.


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_a_command_and_its_ends() -> None:
    argv = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    reading = MACHINE.run(argv, timeout_s=20)
    assert isinstance(reading, Known)
    result = reading.value
    assert (result.argv, result.exit_code, result.stdout, result.stderr) == (argv, 3, "out\n", "err\n")
    killed = MACHINE.run(("sh", "-c", "kill -9 $$"), timeout_s=20)
    assert isinstance(killed, Known)
    assert killed.value.exit_code == -9
    assert killed.source == "sh -c 'kill -9 $$'"


def test_a_command_gets_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("PYTHONPATH", "/evil")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("PATH", f"relative:.:{os.environ['PATH']}")
    reading = MACHINE.run(("env",), timeout_s=20)
    assert isinstance(reading, Known)
    given = dict(line.split("=", 1) for line in reading.value.stdout.splitlines())
    assert set(given) == {"PATH", "HOME", "LC_ALL"}
    assert given["LC_ALL"] == "C"
    assert all(folder.startswith("/") for folder in given["PATH"].split(":"))
    assert "/usr/sbin" in given["PATH"].split(":")


def test_not_installed_is_absent_and_not_startable_is_unreadable(tmp_path: Path) -> None:
    assert MACHINE.run(("no-such-program-here", "-x"), timeout_s=5) == Absent("no-such-program-here -x")
    assert MACHINE.run((str(tmp_path / "none"),), timeout_s=5) == Absent(str(tmp_path / "none"))
    for name, text in (("loader", "#!/no/such/interpreter\n"), ("garbage", "\x7fnot a program")):
        program = tmp_path / name
        program.write_text(text)
        program.chmod(0o755)
        reading = MACHINE.run((str(program),), timeout_s=5)
        assert isinstance(reading, Unreadable)
        assert "cannot start" in reading.why
    assert isinstance(MACHINE.run((), timeout_s=5), Absent)
    assert isinstance(MACHINE.run(("echo", "nul\0byte"), timeout_s=5), Unreadable)


def is_running(command_line: bytes) -> bool:
    """Whether a process of this command line lives (a killed one needs a moment on a busy machine)."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if process.read_bytes() == command_line:
                return True
    return False


def test_a_time_limit_ends_the_command_and_its_children() -> None:
    marker = f"97{os.getpid() % 100_000:05}"
    start = time.monotonic()
    reading = MACHINE.run(("sh", "-c", f"trap '' TERM INT; sleep {marker} & sleep {marker}"), timeout_s=0.3)
    assert time.monotonic() - start < 3
    assert isinstance(reading, Unreadable)
    assert reading.why == "it did not end within 0.3 s"
    deadline = time.monotonic() + 10
    while is_running(f"sleep\0{marker}\0".encode()):
        assert time.monotonic() < deadline, "a child of the command lives on"
        time.sleep(0.02)


def test_a_child_left_behind_cannot_hold_the_answer_back() -> None:
    start = time.monotonic()
    reading = MACHINE.run(("sh", "-c", "echo done; sleep 98 & exit 0"), timeout_s=20)
    assert time.monotonic() - start < 5
    assert isinstance(reading, Known)
    assert (reading.value.exit_code, reading.value.stdout) == (0, "done\n")


def test_a_child_that_left_the_group_cannot_either() -> None:
    start = time.monotonic()
    reading = MACHINE.run(("sh", "-c", "echo done; setsid sleep 4 & sleep 0.1; exit 0"), timeout_s=20)
    assert time.monotonic() - start < 3
    assert isinstance(reading, Known)


def test_output_without_end_is_cut_off() -> None:
    reading = MACHINE.run(("yes",), timeout_s=60)
    assert isinstance(reading, Unreadable)
    assert reading.why == f"it printed more than {OUTPUT_LIMIT_BYTES:,} bytes"


def test_large_output_on_both_streams_does_not_lock_up() -> None:
    code = "import sys\nfor _ in range(300):\n    sys.stdout.write('o' * 1000); sys.stderr.write('e' * 1000)"
    reading = MACHINE.run(python(code), timeout_s=30)
    assert isinstance(reading, Known)
    assert (len(reading.value.stdout), len(reading.value.stderr)) == (300_000, 300_000)


def test_no_descriptor_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        MACHINE.run(("true",), timeout_s=5)
        MACHINE.run(("sleep", "5"), timeout_s=0.01)
        MACHINE.read("/proc/self/status")
        MACHINE.list_folder("/")
    assert len(os.listdir("/proc/self/fd")) == before
