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
_SLICE_BYTES: Final = 64 * 1024


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
    """All members of a gzip file; zeros after the last are padding. Fed in slices: a tail is never copied."""
    plain = bytearray()
    view = memoryview(data)
    at = 0
    reader = zlib.decompressobj(31)
    try:
        while at < len(view):
            waiting = bytes(view[at : at + _SLICE_BYTES])
            at += len(waiting)
            piece = waiting
            while not reader.eof and (waiting or len(piece) >= _CHUNK_BYTES):
                piece = reader.decompress(waiting, _CHUNK_BYTES)
                plain += piece
                waiting = reader.unconsumed_tail
                if len(plain) > limit_bytes:
                    raise _too_large(name, limit_bytes)
            if reader.eof:
                at = _next_member(view, at - len(reader.unused_data))
                reader = zlib.decompressobj(31) if at < len(view) else reader
    except zlib.error as problem:
        raise _damaged(name, str(problem)) from problem
    if not reader.eof:
        raise _damaged(name, "cut short")
    return bytes(plain)


def _next_member(view: memoryview, at: int) -> int:
    """Where the next member begins behind padding."""
    while at < len(view) and view[at] == 0:
        at += 1
    return at


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
