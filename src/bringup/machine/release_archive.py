"""Hands: unpack the programs of a llama.cpp release (.tar.gz, .tar.xz, .zip) into a new folder.

Of the archive only the folder that holds `llama-server` is looked at, and of that only names that a release
has: the program, its libraries, its licence. Links may name a file beside them and nothing else. All names
are read and judged before the first byte is written; sizes and counts are bounded.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from bringup.machine.files import file_errors, make_private_folder
from bringup.machine.packed_files import Damaged, archive_errors, check_tail, write_member
from bringup.machine.paths import is_safe_relative
from bringup.records import dataclass

UNPACKED_LIMIT_BYTES: Final = 4 * 1024**3
MEMBERS_LIMIT: Final = 10_000
_PROGRAM: Final = "llama-server"
_TAKEN: Final = re.compile(
    r"llama-server|llama-fit-params|LICENSE[\w.-]{0,60}|lib[\w.+-]{1,120}\.so(?:\.\d{1,9}){0,4}"
)
_LINK_LIMIT_BYTES: Final = 200
_EXPECTED: Final = "Expected a release archive of llama.cpp for Linux (.tar.gz or .zip) with its programs."


@dataclass(frozen=True, slots=True)
class _Member:
    """One file or link of an archive, and how its target or bytes are read."""

    name: str
    size: int
    is_link: bool
    target: Callable[[], str]
    open: Callable[[], IO[bytes]]


def unpack_release(archive: str, target: str) -> tuple[str, ...]:
    """Unpack what a release needs to run; the names that were written.

    Args:
        archive: path.
        target: a folder that is not there yet.

    Raises:
        FileTrouble: no archive of these kinds, damaged, beyond a limit, without a llama-server, or with a
            link that leaves its folder.
    """
    with archive_errors(archive, _EXPECTED), _opened(archive) as members:
        chosen = _choose(members)
        make_private_folder(target)
        for name, member in chosen.items():
            _put(target, name, member)
    return tuple(chosen)


def _choose(members: list[_Member]) -> dict[str, _Member]:
    """Those to write, by their plain name."""
    programs = [one for one in members if one.name.rpartition("/")[2] == _PROGRAM and not one.is_link]
    if len(programs) != 1:
        raise Damaged(f"it holds {len(programs)} files called {_PROGRAM} instead of one")
    folder = programs[0].name.rpartition("/")[0]
    chosen: dict[str, _Member] = {}
    for one in members:
        above, _, name = one.name.rpartition("/")
        if above != folder or not _TAKEN.fullmatch(name):
            continue
        if not is_safe_relative(name) or name in chosen:
            raise Damaged(f"the name {one.name[:120]!r} is there twice or is no file name")
        chosen[name] = one
    if sum(one.size for one in chosen.values()) > UNPACKED_LIMIT_BYTES:
        raise Damaged(f"more than {UNPACKED_LIMIT_BYTES:,} bytes")
    for name, one in chosen.items():
        if one.is_link and one.target() not in chosen:
            raise Damaged(f"the link {name} names {one.target()[:120]!r}, which is no file beside it")
    return chosen


def _put(target: str, name: str, member: _Member) -> None:
    path = os.path.join(target, name)
    if member.is_link:
        with file_errors("write", path):
            os.symlink(member.target(), path)
        return
    with member.open() as stream:
        write_member(path, stream, member.size)
    os.chmod(path, 0o755 if name.startswith(("llama-", "lib")) else 0o644)


@contextmanager
def _opened(archive: str) -> Iterator[list[_Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield _bounded(_of_zip(packed, info) for info in packed.infolist() if not info.is_dir())
        return
    with tarfile.open(archive) as packed_tar:
        members = _bounded(_of_tar(packed_tar, one) for one in packed_tar if one.isreg() or one.issym())
        check_tail(packed_tar)
        yield members


def _bounded(members: Iterator[_Member]) -> list[_Member]:
    found: list[_Member] = []
    for member in members:
        found.append(member)
        if len(found) > MEMBERS_LIMIT:
            raise Damaged(f"more than {MEMBERS_LIMIT:,} files")
    return found


def _of_zip(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    def target() -> str:
        with packed.open(info) as stream:
            return stream.read(_LINK_LIMIT_BYTES).decode("utf-8", "replace")

    return _Member(
        info.filename,
        info.file_size,
        stat.S_ISLNK(info.external_attr >> 16),
        target,
        lambda: packed.open(info),
    )


def _of_tar(packed: tarfile.TarFile, member: tarfile.TarInfo) -> _Member:
    def opened() -> IO[bytes]:
        stream = packed.extractfile(member)
        if stream is None:
            raise ValueError(f"{member.name[:120]} cannot be read")
        return stream

    return _Member(member.name, member.size, member.issym(), lambda: member.linkname, opened)
