"""Hands: files out of a stranger's archive (.tar.gz, .tar.xz, .tar.bz2, .zip) onto the disk, errors told."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from bringup.errors import FileTrouble
from bringup.machine.files import file_errors

_PIECE_BYTES: Final = 1024**2
_TAIL_LIMIT_BYTES: Final = 64 * 1024**2
"""Most that may lie behind a tar's end mark: padding of a few kilobytes is usual."""


class Damaged(Exception):
    """What an archive says of itself does not hold; `args[0]` says what."""


@contextmanager
def archive_errors(archive: str, expected: str) -> Iterator[None]:
    """Turn whatever the readers of archives raise into a `FileTrouble`; `expected` is its hint.

    Errors of the disk that is written to are `FileTrouble` already, and pass.
    """
    import lzma
    import zlib

    told = (Damaged, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
    try:
        yield
    except (*told, ValueError, RuntimeError) as problem:  # RuntimeError: a password, or an unknown packing
        why = str(problem).partition("\n")[0][:200].rstrip(":")
        raise FileTrouble(
            f"{archive}: cannot be unpacked: {why}", hint=expected, reference="archive-damaged"
        ) from problem


def write_member(path: str, stream: IO[bytes], size_bytes: int) -> None:
    """Write a member of an archive to a file that is not there yet.

    Raises:
        FileTrouble: no rights, disk full, or the name is taken.
        Damaged, zlib.error, lzma.LZMAError: the archive cannot be read; `archive_errors` tells it.
    """
    with file_errors("write", path), open(path, "xb") as handle:
        for piece in _pieces(stream, size_bytes):
            handle.write(piece)


def _pieces(stream: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    """The bytes of a member. An error of reading them is the archive's, never one of the file written to."""
    left = size_bytes
    while left > 0:
        try:
            data = stream.read(min(left, _PIECE_BYTES))
        except OSError as problem:
            raise Damaged(str(problem)) from problem
        if not data:
            raise Damaged(f"a file of it ends {left:,} bytes early")
        left -= len(data)
        yield data


def check_tail(packed: tarfile.TarFile) -> None:
    """Read a tar's stream to its end, where gzip and xz have the checksum of it all.

    Raises:
        Damaged: much more lies behind the tar than padding.
        zlib.error, lzma.LZMAError, OSError: the archive cannot be read, or its checksum is another.
    """
    assert packed.fileobj is not None
    left = _TAIL_LIMIT_BYTES
    while data := packed.fileobj.read(_PIECE_BYTES):
        left -= len(data)
        if left < 0:
            raise Damaged(f"more than {_TAIL_LIMIT_BYTES:,} bytes lie behind its end mark")
