"""Promise 26: no rights are taken, none leak: as a user, as root, under sudo with a hostile environment."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stubs.terminal import Terminal

from bringup.machine import rights
from bringup.machine.effects import system_environment
from bringup.machine.folders import our_folders

CHILD = Path(__file__).with_name("fix_child.py")
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root")

EVIL = (
    *(
        "sudo",
        "pkexec",
        "doas",
        "su",
        "less",
        "more",
        "vi",
        "nano",
        "sensible-editor",
        "sensible-pager",
        "xdg-open",
    ),
    *("env", "id", "touch", "ls", "dpkg", "rpm", "modinfo", "dmesg", "journalctl", "systemctl", "nvidia-smi"),
    *("ldconfig", "lspci", "docker", "mokutil", "dkms", "nvcc", "uname", "cat", "sh", "bash", "python3"),
)
"""Programs in the caller's own folder, each of which leaves a mark when it is run."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="bringup-rights-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def hostile_home(place: Path, *, user: int) -> tuple[Path, dict[str, str]]:
    """A user's home with traps in it, and an environment that leads into them."""
    home = place / "home"
    programs = home / "bin"
    programs.mkdir(parents=True)
    for name in EVIL:
        program = programs / name
        program.write_text(f"#!/bin/sh\necho {name} $(/usr/bin/id -u) >> {place}/traps\nexit 0\n")
        program.chmod(0o755)
    (place / "traps").touch()
    (place / "traps").chmod(0o666)
    environment = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "PATH": f"{programs}:relative:/usr/bin:/bin",
        "TERM": "xterm",
        **{name: str(programs / "less") for name in ("PAGER", "SYSTEMD_PAGER", "MANPAGER", "LESSOPEN")},
        **{name: str(programs / "vi") for name in ("EDITOR", "VISUAL", "SUDO_EDITOR", "BROWSER")},
        **{name: str(programs) for name in ("LD_LIBRARY_PATH", "PERL5LIB", "PERL5OPT", "RUBYLIB")},
        **{name: str(programs / "sh") for name in ("SHELL", "ENV", "BASH_ENV")},
        **{"SUDO_USER": "somebody", "SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "SUDO_COMMAND": "x"},
        **{"IFS": "x", "CDPATH": "/tmp", "TMPDIR": str(programs), "DISPLAY": ":0"},
    }
    for path in (home, *home.rglob("*")):
        os.chown(path, user, user)
    return home, environment


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_uid, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def walk(
    place: Path, environment: dict[str, str], *commands: str, user: int | None = None
) -> tuple[int, str]:
    """Say yes to every question of a walk through these commands."""
    python = [sys.executable]
    if user is not None:
        python = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *python]
    argv = [*python, str(CHILD), str(place), *commands, "--", "fix", "made-up-fault"]
    with Terminal(argv, environment) as terminal:
        while terminal.process.poll() is None:
            try:
                terminal.wait_for("(?:leave it out|to go on): ")
            except AssertionError:
                break
            terminal.send("yes\r")
        code = terminal.wait_end()
    return code, terminal.text


COMMANDS = ("look id -u", "root touch PLACE/as-root", "touch PLACE/free/as-user", "env", "id -u")


def commands(place: Path) -> tuple[str, ...]:
    free = place / "free"
    free.mkdir()
    free.chmod(0o777)
    return tuple(one.replace("PLACE", str(place)) for one in COMMANDS)


def printed(text: str) -> list[str]:
    lines = text.replace("<sent>", "").split("\n")
    return [line[4:] for line in lines if line.startswith("  | ")]


@as_root
def test_a_user_stays_one(place: Path) -> None:
    home, environment = hostile_home(place, user=NOBODY)
    code, text = walk(place, environment, *commands(place), user=NOBODY)
    assert code == 1, text
    assert f"$ sudo touch {place}/as-root" in text
    assert "needs root, which bringup never takes" in text
    assert not (place / "as-root").exists()
    assert (place / "free/as-user").stat().st_uid == NOBODY
    assert printed(text).count(str(NOBODY)) == 2
    assert "0" not in printed(text)
    ran = {line.split()[0] for line in (place / "traps").read_text().splitlines()}
    assert not ran & {
        "sudo",
        "pkexec",
        "doas",
        "su",
        "less",
        "more",
        "vi",
        "nano",
        "xdg-open",
        "env",
        "id",
        "touch",
    }
    assert (home / ".local/state/bringup/fixes.jsonl").stat().st_uid == NOBODY


@as_root
def test_under_sudo_nothing_of_the_callers_is_used_and_nothing_written_to_their_home(place: Path) -> None:
    (place / "roots-home").mkdir(mode=0o700)
    home, environment = hostile_home(place, user=NOBODY)
    before = listing(home)
    code, text = walk(place, environment, *commands(place))
    assert code == 1, text
    assert f"$ touch {place}/as-root" in text
    assert "$ sudo" not in text
    assert (place / "as-root").stat().st_uid == 0
    assert (place / "traps").read_text() == ""
    assert listing(home) == before
    written = {path.name for path in (place / "roots-home").rglob("*") if path.is_file()}
    assert "fixes.jsonl" in written
    shown = dict(line.split("=", 1) for line in printed(text) if "=" in line)
    assert set(shown) == set(system_environment())
    assert not any(str(home) in value for value in shown.values())
    assert shown["PATH"].startswith("/usr/local/sbin:")
    assert shown["PAGER"] == "cat"
    assert shown["EDITOR"] == "/bin/false"


@as_root
def test_the_doctor_under_sudo_runs_nothing_of_the_callers(place: Path) -> None:
    (place / "roots-home").mkdir(mode=0o700)
    home, environment = hostile_home(place, user=NOBODY)
    before = listing(home)
    with Terminal([sys.executable, str(CHILD), str(place), "true", "--", "doctor"], environment) as terminal:
        assert terminal.wait_end(60) in (0, 1, 3)
    assert (place / "traps").read_text() == ""
    assert listing(home) == before


def test_a_user_keeps_the_folders_that_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "is_root", lambda: False)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/me/state")
    assert our_folders().state == "/home/me/state/bringup"


def test_home_and_name_come_from_the_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USER", "LOGNAME"):
        monkeypatch.setenv(name, "/somewhere/else")
    account = pwd.getpwuid(os.geteuid())
    assert (rights.own_home(), rights.own_name()) == (account.pw_dir, account.pw_name)
    environment = system_environment()
    assert environment["HOME"] == account.pw_dir
    assert not [name for name in environment if name.startswith(("LD_", "PYTHON", "XDG_"))]


@as_root
@pytest.mark.parametrize(
    ("path", "is_own"),
    [
        ("root", True),
        ("root/not/there/yet", True),
        ("theirs", False),
        ("theirs/below", False),
        ("theirs/roots", False),
        ("theirs/roots/below", False),
        ("open", False),
        ("open/below", False),
        ("sticky/not-there", True),
        ("sticky/theirs", False),
        ("link-of-theirs/root", False),
        ("link-to-theirs", False),
        ("link-to-root", True),
        ("file/below", True),
        ("file-of-theirs/below", False),
    ],
)
def test_what_root_may_trust(place: Path, path: str, *, is_own: bool) -> None:
    for name, mode, user in (
        ("root", 0o755, 0),
        ("theirs", 0o755, NOBODY),
        ("theirs/roots", 0o755, 0),
        ("open", 0o777, 0),
        ("sticky", 0o1777, 0),
        ("sticky/theirs", 0o755, NOBODY),
    ):
        (place / name).mkdir()
        (place / name).chmod(mode)
        os.chown(place / name, user, user)
    (place / "file").touch()
    (place / "file-of-theirs").touch()
    os.chown(place / "file-of-theirs", NOBODY, NOBODY)
    (place / "link-of-theirs").symlink_to(place)
    os.lchown(place / "link-of-theirs", NOBODY, NOBODY)
    (place / "link-to-theirs").symlink_to("theirs")
    (place / "link-to-root").symlink_to("root")
    assert rights.is_roots_own(str(place / path)) == is_own


@as_root
def test_a_namespace_with_one_user_called_root_has_no_roots_rights() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    code = "from bringup.machine import rights; import os; print(os.geteuid(), rights.is_root())"
    for options, words in ((["--map-root-user"], "0 False"), ([], "0 True")):
        argv = ["unshare", *(["--user"] if options else []), *options, sys.executable, "-c", code]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        if done.returncode and "unshare" in done.stderr:
            pytest.skip("no unshare")
        assert done.stdout.strip() == words


@pytest.mark.parametrize("path", ["", "relative", "./here", "~"])
def test_a_relative_path_is_never_trusted(path: str) -> None:
    assert not rights.is_roots_own(path)
