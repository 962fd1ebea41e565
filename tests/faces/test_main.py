"""Every way out of the command line: words for people, an exit code, and never a bare traceback."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from bringup import __version__
from bringup.errors import CannotTell, FileTrouble
from bringup.faces.cli import main
from bringup.faces.render.console import Console, OutputClosed


def called(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command line in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    code = main.run(arguments, console=Console(stdin=None, stdout=stdout, stderr=stderr))
    return code, stdout.getvalue(), stderr.getvalue()


def started(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """The real program in a process of its own."""
    argv = [sys.executable, "-m", "bringup", *arguments]
    return subprocess.run(argv, text=True, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=30)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    """Put a function behind the command `probe` (made for these tests)."""

    def put(body: Callable[..., object]) -> None:
        @click.command()
        @click.option("--port", type=int)
        @click.pass_obj
        def probe(console: Console, port: int | None) -> object:
            return body(console)

        module = SimpleNamespace(command=probe)
        monkeypatch.setitem(sys.modules, "made_for_this_test", module)
        entry = main.CommandEntry("probe", "Made.", "made_for_this_test")
        monkeypatch.setattr(main, "COMMANDS", (*main.COMMANDS, entry))

    return put


def test_help_lists_every_command_without_loading_one() -> None:
    before = set(sys.modules)
    done = started("--help")
    assert (called("--help")[0], done.returncode, done.stderr) == (0, 0, "")
    for entry in main.COMMANDS:
        assert f"  {entry.name} " in done.stdout
        assert entry.help in " ".join(done.stdout.split())
    loaded = {name for name in set(sys.modules) - before if name.startswith("bringup.faces.cli.commands.")}
    assert not loaded


def test_version() -> None:
    assert started("--version").stdout == f"bringup {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("serv", "Did you mean serve?"),
        ("PULL", "Did you mean pull?"),
        ("qwen3-4b", "To chat with a model: bringup run qwen3-4b"),
        ("models/run.gguf", "To chat with a model: bringup run models/run.gguf"),
        ("frobnicate", "bringup --help lists the commands."),
    ],
)
def test_an_unknown_command_is_told_with_the_next_step(typed: str, hint: str) -> None:
    code, answer, told = called(typed)
    assert (code, answer) == (2, "")
    assert told == f"error: no such command: {typed}\nhint: {hint}\n[unknown-command]\n"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", "''"),
        ("\x1b]0;title\x07x\n[forged]", "x [forged]"),
        ("y" * 5000, "y" * 59 + "…"),
    ],
)
def test_a_strange_command_stays_on_one_line(typed: str, shown: str) -> None:
    assert called(typed)[2].splitlines()[0] == f"error: no such command: {shown}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--prompt", "caf\udce9"),
        ("run", "--prompt=caf\udce9"),
        ("log", "search", "caf\udce9"),
        ("log", "add", "--learned", "caf\udce9"),
        ("learn", "note", "vram", "caf\udce9"),
        ("explain", "caf\udce9"),
        ("pull", "caf\udce9"),
    ],
)
def test_an_argument_that_is_no_text_is_refused_before_anything_is_done(arguments: tuple[str, ...]) -> None:
    code, answer, told = called(*arguments)
    assert (code, answer) == (2, "")
    assert "is not text: byte 0xe9 at character 3" in told
    assert "[input-not-text]" in told


def test_a_file_may_be_called_whatever_bytes(tmp_path: Path) -> None:
    (tmp_path / "caf\udce9").write_text("nothing wrong here\n")
    code, answer, _ = called("diagnose", str(tmp_path / "caf\udce9"))
    assert (code, answer.partition(" in ")[0]) == (0, "No fault found")


def test_a_wrong_option_is_told_in_the_same_shape(command: Callable[[Callable[..., object]], None]) -> None:
    command(lambda _console: None)
    code, _, told = called("probe", "--prot", "1")
    assert code == 2
    assert told == (
        "error: no such option '--prot'\n  usage: bringup probe [OPTIONS]\n"
        "hint: Did you mean --port?\n[wrong-use]\n"
    )
    code, _, told = called("probe", "--port", "\x1b[31mx")
    assert (code, "\x1b" in told) == (2, False)
    code, _, told = called("probe", "--port", "x")
    assert code == 2
    assert told.startswith("error: invalid value for '--port': 'x' is not a number\n")
    assert told.endswith("hint: bringup probe --help says what it takes.\n[wrong-use]\n")
    for words in (("run", "--temperature"), ("top", "--interval"), ("web", "--interval")):
        code, _, told = called(*words, "nan")
        assert (code, "'nan' is not a number" in told) == (2, True), words


@pytest.mark.parametrize(
    ("problem", "code", "told"),
    [
        (
            FileTrouble("could not read x: no rights", context=("seen: mode 000",), hint="Ask its owner."),
            1,
            "error: could not read x: no rights\n  seen: mode 000\nhint: Ask its owner.\n[file-trouble]\n",
        ),
        (CannotTell("could not look at x"), 3, "error: could not look at x\n[cannot-tell]\n"),
        (KeyboardInterrupt(), 130, ""),
        (OutputClosed(), 141, ""),
        (SystemExit(7), 7, ""),
    ],
)
def test_every_way_out_has_its_code_and_words(
    command: Callable[[Callable[..., object]], None], problem: BaseException, code: int, told: str
) -> None:
    def body(console: Console) -> None:
        raise problem

    command(body)
    assert called("probe") == (code, "", told)


def test_a_command_answers_with_its_exit_code(command: Callable[[Callable[..., object]], None]) -> None:
    def body(console: Console) -> int:
        console.answer("the answer")
        return 3

    command(body)
    assert called("probe") == (3, "the answer\n", "")


def test_a_crash_of_ours_is_reported_without_traceback_key_or_home(
    command: Callable[[Callable[..., object]], None], own_home: Path
) -> None:
    key_file = own_home / ".local/state/bringup/key"
    key_file.parent.mkdir(parents=True)
    key_file.write_text("sk-0123456789abcdef\n")

    def body(console: Console) -> None:
        raise ZeroDivisionError(
            f"made: sk-0123456789abcdef in {own_home}/models at 10.1.2.3\n\x1b[2Jsecond line"
        )

    command(body)
    code, answer, told = called("probe")
    assert (code, answer) == (4, "")
    assert "Traceback" not in told
    (report,) = (own_home / ".local/state/bringup/crashes").iterdir()
    assert str(report) in told
    assert report.stat().st_mode & 0o777 == 0o600
    for text in (told, report.read_text()):
        assert "ZeroDivisionError: made: secret-1 in ~/models at 192.0.2.2" in text
        assert "sk-0123456789abcdef" not in text
    assert "\x1b" not in told
    assert "Traceback" in report.read_text()


def test_a_crash_that_cannot_be_written_down_says_where_it_was(
    command: Callable[[Callable[..., object]], None], own_home: Path
) -> None:
    (own_home / ".local").write_text("not a folder")

    def body(console: Console) -> None:
        raise ZeroDivisionError("made")

    command(body)
    code, _, told = called("probe")
    assert code == 4
    assert "test_main.py:" in told
    assert "Traceback" not in told


def test_a_crash_whose_report_crashes_too_is_still_told_in_words(
    command: Callable[[Callable[..., object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("made: nothing works")

    monkeypatch.setattr("bringup.machine.folders.our_folders", broken)

    def body(console: Console) -> None:
        raise ZeroDivisionError("made")

    command(body)
    code, _, told = called("probe")
    assert code == 4
    assert "ZeroDivisionError" in told
    assert "could not be written: RuntimeError" in told
    assert "Traceback" not in told


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_where_nothing_says_where_home_is_the_next_step_is_told() -> None:
    script = (
        "import os, pwd\n"
        "from bringup.errors import BringupError\n"
        "from bringup.machine.folders import our_folders\n"
        "os.environ.clear()\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
        "try: our_folders()\n"
        "except BringupError as problem: print(problem.message, problem.hint, sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.startswith("this user (id 54321) has no home folder: HOME is not set")
    assert "Set HOME" in done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_left_is_no_error(monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    for arguments in ((), ("--help",)):
        reading, writing = os.pipe()
        os.close(reading)
        done = started(*arguments, stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_once(monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    for arguments in ((), ("--help",)):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = started(*arguments, stdout=full.fileno())
        told = "error: could not write the output: No space left on device\n[output-failed]\n"
        assert (done.returncode, done.stderr) == (1, told)


def test_outputs_closed_before_the_start_are_no_error() -> None:
    command = f"{sys.executable} -m bringup --help >&- 2>&-"
    assert subprocess.run(command, shell=True, check=False, timeout=30).returncode == 0  # noqa: S602 - only a shell closes


def test_completing_a_command_imports_none_of_them(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("_BRINGUP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "bringup s")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setattr(main, "COMMANDS", (main.CommandEntry("serve", "Made.", "not.there"),))
    assert main.run((), console=Console(stdin=None, stdout=None, stderr=None)) == 0
    assert capsysbinary.readouterr().out == b"plain,serve\n"


def test_ctrl_c_leaves_no_traceback() -> None:
    code = (
        "import sys, time, types, click\n"
        "from bringup.faces.cli import main\n"
        "@click.command()\n"
        "def probe():\n    print('ready', flush=True)\n    time.sleep(30)\n"
        "sys.modules['made'] = types.SimpleNamespace(command=probe)\n"
        "main.COMMANDS = (main.CommandEntry('probe', '', 'made'),)\n"
        "sys.exit(main.run(['probe']))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=10)
    assert (child.returncode, told) == (130, b"")
