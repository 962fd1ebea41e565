"""Hands: unpack a source archive (.tar.gz, .tar.xz, .tar.bz2, .zip) into a new folder, plain files only.

Every name is checked before anything is written; links and devices are left out, names that leave the folder
are refused. Unlike a snapshot, a source has to be on the disk: a compiler reads it.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO, Final

from bringup.errors import FileTrouble
from bringup.machine.files import file_errors, make_private_folder
from bringup.machine.paths import is_safe_relative

UNPACKED_LIMIT_BYTES: Final = 2 * 1024**3
MEMBERS_LIMIT: Final = 100_000
_PIECE_BYTES: Final = 1024**2


def unpack_sources(archive: str, target: str, *, inside: str = "") -> int:
    """Unpack; the archive's one top folder is left out. How many files were written.

    Args:
        archive: path.
        target: a folder that is not there yet.
        inside: only what lies below this folder of the top folder, and without its name.

    Raises:
        FileTrouble: no archive of these kinds, damaged, beyond a limit, or a name that leaves the folder.
    """
    make_private_folder(target)
    written, total = 0, 0
    try:
        for name, size, stream in _members(archive):
            total += size
            if written >= MEMBERS_LIMIT or total > UNPACKED_LIMIT_BYTES:
                raise _refused(
                    archive, f"more than {MEMBERS_LIMIT:,} files or {UNPACKED_LIMIT_BYTES:,} bytes"
                )
            _, _, rest = name.partition("/")
            if inside:
                rest = rest.removeprefix(inside + "/") if rest.startswith(inside + "/") else ""
            if not rest:
                continue
            if not is_safe_relative(rest):
                raise _refused(archive, f"the name {name[:120]!r} would leave the folder")
            _write(os.path.join(target, *rest.split("/")), stream, size)
            written += 1
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as problem:
        raise _refused(archive, str(problem).partition("\n")[0][:200].rstrip(":")) from problem
    return written


def _members(archive: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    with packed.open(info) as stream:
                        yield info.filename, info.file_size, stream
        return
    with tarfile.open(archive) as packed_tar:
        for member in packed_tar:
            stream_or_none = packed_tar.extractfile(member) if member.isreg() else None
            if stream_or_none is not None:
                yield member.name, member.size, stream_or_none


def _write(path: str, stream: IO[bytes], size: int) -> None:
    make_private_folder(os.path.dirname(path))
    with file_errors("write", path), open(path, "xb") as handle:
        left = size
        while left > 0 and (data := stream.read(min(left, _PIECE_BYTES))):
            handle.write(data)
            left -= len(data)


def _refused(archive: str, why: str) -> FileTrouble:
    return FileTrouble(
        f"{archive}: cannot be unpacked: {why}",
        hint="Expected a source archive of llama.cpp (.tar.gz, .tar.xz or .zip).",
        reference="archive-damaged",
    )
