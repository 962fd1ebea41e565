"""A real fault of this machine, cured by the real program: a driver package that dpkg left unconfigured.

In a mount namespace of its own, with a package database and logs of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, argv
from tests.stubs.terminal import Terminal

CONTROL = """Package: nvidia-driver-570
Version: 570.172.08-0ubuntu1
Architecture: all
Maintainer: made <made@example.org>
Description: made up for a test
"""
ASKS = '#!/bin/sh\nprintf "Configure it? [y/N] "\nread -r answer\ntest "$answer" = y\n'


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder for the test, and how to run a program where a package is unpacked and not configured."""
    if os.geteuid() != 0:
        pytest.skip("not root")
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare")
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg")
    (tmp_path / "package/DEBIAN").mkdir(parents=True)
    (tmp_path / "package/DEBIAN/control").write_text(CONTROL)
    configure = tmp_path / "package/DEBIAN/postinst"
    configure.write_text(ASKS)
    configure.chmod(0o755)
    database = tmp_path / "database"
    for name in ("info", "updates", "triggers"):
        (database / name).mkdir(parents=True)
    (database / "status").touch()
    deb = tmp_path / "made.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(tmp_path / "package"), str(deb)],
        check=True,
        capture_output=True,
    )
    logs = tmp_path / "logs"
    logs.mkdir()
    inside = 'mount --bind "$1" /var/lib/dpkg && mount --bind "$2" /var/log && shift 2 && exec "$@"'
    prefix = [unshare, "--mount", "sh", "-c", inside, "sh", str(database), str(logs)]
    unpacked = subprocess.run([*prefix, "dpkg", "--unpack", str(deb)], capture_output=True, check=False)
    if unpacked.returncode:
        pytest.skip("no unshare")
    before = made_lines(Path("/var/log/dpkg.log"))
    yield tmp_path, prefix
    assert made_lines(logs / "dpkg.log")
    assert made_lines(Path("/var/log/dpkg.log")) == before, "this machine's own log was written to"


def made_lines(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return [line for line in text.splitlines() if "nvidia-driver-570:all 570.172.08-0ubuntu1" in line]


def test_a_half_done_package_is_found_finished_and_found_no_more(broken: tuple[Path, list[str]]) -> None:
    folder, prefix = broken
    home = Home(folder / "home")
    program = [*prefix, *argv("fix", "package-state-broken")]
    for answer, code in (("n\r", 1), ("y\r", 0)):
        with Terminal(program, home.environment()) as terminal:
            terminal.wait_for("Step 1 of 4. Type yes[^\n]*: ")
            terminal.send("\r")
            terminal.wait_for("Step 2 of 4. Type yes[^\n]*: ")
            terminal.send("yes\r")
            terminal.wait_for("Configure it\\? \\[y/N\\] ")
            terminal.send(answer)
            terminal.wait_for("Step 3 of 4")
            terminal.send("\x04")
            assert terminal.wait_end() == code, terminal.text
        assert "$ dpkg --configure -a" in terminal.text
        assert "is unpacked" in terminal.text or "half" in terminal.text
        gone = "gone" if code == 0 else "still there"
        assert f"the doctor: the fault is {gone}" in terminal.text
    done = subprocess.run(
        [*prefix, *argv("fix", "package-state-broken", "--dry-run")],
        env=home.environment(),
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "[fault-not-found]" in done.stderr
