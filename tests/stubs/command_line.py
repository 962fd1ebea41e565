"""The built program as a person runs it: a process of its own, with a home of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """A home folder and what a process needs to live in it."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path / ".local/state/bringup"

    @property
    def key(self) -> str:
        return (self.state / "key").read_text().strip()

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        folders = {
            "HOME": str(self.path),
            "XDG_CONFIG_HOME": str(self.path / ".config"),
            "XDG_CACHE_HOME": str(self.path / ".cache"),
            "XDG_STATE_HOME": str(self.path / ".local/state"),
        }
        # Nothing in these tests may reach the network.
        return (
            kept
            | folders
            | {"HF_ENDPOINT": "http://127.0.0.1:9", "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
            | more
        )


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bringup", *arguments]


def run_cli(
    home: Home, *arguments: str, stdin: bytes | None = None, timeout_s: float = 60, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; stdin is empty unless given."""
    answer = subprocess.run(
        argv(*arguments),
        env=home.environment(**more),
        input=stdin or b"",
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return subprocess.CompletedProcess(
        answer.args, answer.returncode, answer.stdout.decode(), answer.stderr.decode()
    )


def processes_of(home: Home) -> dict[int, bytes]:
    """Processes that live in this home, with their command lines."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if f"HOME={home.path}\0".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes()
            except OSError:
                continue
    return found


def engine_processes(home: Home) -> list[int]:
    """Those of them that belong to an engine: itself, its keeper, its supervisor."""
    return [pid for pid, words in processes_of(home).items() if b"bringup.engine" in words]


def listeners(home: Home) -> set[tuple[str, int]]:
    """Listening TCP sockets of this home's processes, IPv4 and IPv6, as (kernel's hex address, port)."""
    inodes = set()
    for pid in processes_of(home):
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    found = set()
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


LOOPBACK = {"0100007F", "00000000000000000000000001000000"}
