"""Unpacking in memory with a cap: what a few kilobytes stand for is never trusted."""

from __future__ import annotations

import io
import zlib
from typing import Final

from bringup.errors import Failure

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
GZIP_MAGIC: Final = b"\x1f\x8b"
_WINDOW_LIMIT_BYTES: Final = 8 * 1024**2
_CHUNK_BYTES: Final = 256 * 1024


def unpack(data: bytes, *, limit_bytes: int, name: str) -> bytes:
    """Plain bytes of zstd or gzip data, told by its first bytes; anything else is given back as it is.

    Args:
        data: packed or plain.
        limit_bytes: the most that may come out.
        name: what is read, for the error.

    Raises:
        Failure: damaged, or more than the limit comes out; the message names the limit.
    """
    if data.startswith(ZSTD_MAGIC):
        return _unzstd(data, limit_bytes, name)
    if data.startswith(GZIP_MAGIC):
        return _gunzip(data, limit_bytes, name)
    if len(data) > limit_bytes:
        raise _too_large(name, limit_bytes)
    return data


def _gunzip(data: bytes, limit_bytes: int, name: str) -> bytes:
    """All members of a gzip file; zeros after the last are padding."""
    plain = bytearray()
    rest = data
    while rest.strip(b"\0"):
        reader = zlib.decompressobj(31)
        waiting = rest
        try:
            while not reader.eof:
                piece = reader.decompress(waiting, _CHUNK_BYTES)
                waiting = reader.unconsumed_tail
                plain += piece
                if len(plain) > limit_bytes:
                    raise _too_large(name, limit_bytes)
                if not piece and not waiting and not reader.eof:
                    raise _damaged(name, "cut short")
        except zlib.error as problem:
            raise _damaged(name, str(problem)) from problem
        rest = reader.unused_data
    return bytes(plain)


def _unzstd(data: bytes, limit_bytes: int, name: str) -> bytes:
    import zstandard

    plain = bytearray()
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT_BYTES)
    try:
        with decompressor.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            while piece := reader.read(_CHUNK_BYTES):
                plain += piece
                if len(plain) > limit_bytes:
                    raise _too_large(name, limit_bytes)
    except (zstandard.ZstdError, MemoryError) as problem:
        raise _damaged(name, str(problem)) from problem
    return bytes(plain)


def _too_large(name: str, limit_bytes: int) -> Failure:
    return Failure(
        f"{name}: refused, it unpacks to more than {limit_bytes:,} bytes",
        hint="Nothing that bringup reads is that large.",
        reference="archive-too-large",
    )


def _damaged(name: str, why: str) -> Failure:
    return Failure(f"{name}: cannot be unpacked: {why[:200]}", reference="archive-damaged")
