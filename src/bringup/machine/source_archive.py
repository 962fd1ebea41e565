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

from bringup.machine.files import make_private_folder
from bringup.machine.packed_files import Damaged, archive_errors, check_tail, write_member
from bringup.machine.paths import is_safe_relative

UNPACKED_LIMIT_BYTES: Final = 2 * 1024**3
MEMBERS_LIMIT: Final = 100_000
_EXPECTED: Final = "Expected a source archive of llama.cpp (.tar.gz, .tar.xz or .zip)."


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
    with archive_errors(archive, _EXPECTED):
        for name, size, stream in _members(archive):
            total += size
            if written >= MEMBERS_LIMIT or total > UNPACKED_LIMIT_BYTES:
                raise Damaged(f"more than {MEMBERS_LIMIT:,} files or {UNPACKED_LIMIT_BYTES:,} bytes")
            _, _, rest = name.partition("/")
            if inside:
                rest = rest.removeprefix(inside + "/") if rest.startswith(inside + "/") else ""
            if not rest:
                continue
            if not is_safe_relative(rest):
                raise Damaged(f"the name {name[:120]!r} would leave the folder")
            path = os.path.join(target, *rest.split("/"))
            make_private_folder(os.path.dirname(path))
            write_member(path, stream, size)
            written += 1
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
        check_tail(packed_tar)
