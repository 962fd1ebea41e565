"""The systemd unit: systemd itself accepts it, words come back unchanged, limits are there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bringup.engine.unit_file import Unit, quote, unit_text
from bringup.machine.folders import our_folders

HARD = ("NoNewPrivileges=yes", "RestrictNamespaces=yes", "SystemCallFilter=@system-service", "UMask=0077")
NAMESPACED = ("PrivateTmp=yes", "ProtectSystem=strict", "PrivateUsers=yes")


def unit(*argv: str, has_user_namespaces: bool = True) -> str:
    given = Unit("bringup: 100% of\nit", ("/bin/true", *argv), 2**30, has_user_namespaces)
    return unit_text(given, our_folders())


@pytest.mark.parametrize("has_user_namespaces", [True, False])
def test_systemd_accepts_it(tmp_path: Path, *, has_user_namespaces: bool) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze")
    path = tmp_path / "bringup-test.service"
    path.write_text(unit("serve", "a b$c%d\"e'f\\g", has_user_namespaces=has_user_namespaces))
    tmp_path.chmod(0o700)
    answer = subprocess.run(
        [program, "verify", "--user", str(path)],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def test_it_is_hardened_and_limited() -> None:
    lines = unit().splitlines()
    for wanted in (*HARD, *NAMESPACED, "MemoryMax=1073741824", "Restart=on-failure", "StartLimitBurst=5"):
        assert wanted in lines
    assert f"ReadWritePaths=-{our_folders().state} -{our_folders().cache}" in lines


def test_where_namespaces_are_closed_the_unit_says_what_it_leaves_out() -> None:
    text = unit(has_user_namespaces=False)
    for wanted in HARD:
        assert wanted in text.splitlines()
    for left_out in NAMESPACED:
        assert left_out not in text.splitlines()
    assert "# Left out: PrivateTmp" in text


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("--port", "--port"),
        ("", '""'),
        ("a b", '"a b"'),
        ("50%", '"50%%"'),
        ('say "x"', '"say \\"x\\""'),
        ("a\\b", '"a\\\\b"'),
        ("a\nExecStart=/bin/sh", '"a\\nExecStart=/bin/sh"'),
    ],
)
def test_words(word: str, written: str) -> None:
    assert quote(word) == written


def test_a_name_cannot_add_a_line() -> None:
    text = unit("x\n[Service]\nExecStart=/bin/sh", "$HOME")
    assert [line for line in text.splitlines() if line.startswith("ExecStart=")] == [
        'ExecStart=/bin/true "x\\n[Service]\\nExecStart=/bin/sh" "$$HOME"'
    ]
    assert "Description=bringup: 100%% of it" in text.splitlines()
