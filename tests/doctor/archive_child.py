"""Runs `doctor --from` on each archive of a folder and prints what it did: JSON, one line each."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from bringup.faces.cli.main import run
from bringup.faces.render.console import Console

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown"),
    *("os.truncate", "os.utime", "shutil.unpack_archive", "subprocess.Popen", "os.exec", "os.system"),
}


def peak_bytes() -> int:
    """The most main memory of this program; getrusage would count the test runner's before the exec, too."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def main(folder: str) -> None:
    seen: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (
                isinstance(flags, int) and flags & WRITING
            ):
                seen.append(f"open {path} {mode} {flags}")
        elif event in CHANGING:
            seen.append(f"{event} {arguments}")

    sys.addaudithook(watch)
    for path in sorted(Path(folder).iterdir()):
        pipe = io.StringIO()
        started_s = time.monotonic()
        code = run(["doctor", "--from", str(path)], console=Console(stdin=None, stdout=pipe, stderr=pipe))
        took_s = time.monotonic() - started_s
        answer = {
            "name": path.name,
            "code": code,
            "took_s": took_s,
            "text": pipe.getvalue(),
            "wrote": list(seen),
            "peak_bytes": peak_bytes(),
        }
        seen.clear()
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]


main(sys.argv[1])
