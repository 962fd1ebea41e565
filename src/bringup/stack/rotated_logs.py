"""Logs that are rotated and packed: which files belong to one, and their text."""

from __future__ import annotations

import zlib
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import Known, Reading, Unreadable

_LOG_LIMIT_BYTES: Final = 8 * 1024**2
_ROTATED_LIMIT: Final = 120
_OLDER: Final = regex(r"(?:\.(?P<number>\d{1,3})|-(?P<day>\d{8})(?:-\d{1,10})?)(?:\.(?:gz|xz|bz2|zst))?")


def rotated(path: str, count: int, ending: str) -> tuple[str, ...]:
    """A log and those before it, oldest first; `ending` is what stands behind the number.

    The newest rotated one is often not packed yet (`delaycompress`), so it is looked for both ways.
    """
    older = [f"{path}.{number}{ending}" for number in range(count, 0, -1)]
    if ending and count:
        older.append(f"{path}.1")
    return (*older, path)


def all_of_log(machine: Machine, path: str) -> tuple[str, ...]:
    """A log and every one before it that lies beside it, oldest first, however it was rotated and packed.

    `history.log.3.gz`, `history-20250714.xz` and `dnf.rpm.log.1` are such names.
    """
    folder, _, name = path.rpartition("/")
    names = machine.list_folder(folder)
    older = []
    for other in names.value if isinstance(names, Known) else ():
        match = _OLDER.fullmatch(other.removeprefix(name)) if other.startswith(name) else None
        if match is not None:
            # By date before by number: of two ways to rotate, the numbers are those of now.
            place = (1, -int(match["number"]), "") if match["number"] else (0, 0, match["day"])
            older.append((place, f"{folder}/{other}"))
    return (*(found for _, found in sorted(older)[-_ROTATED_LIMIT:]), path)


def read_log(machine: Machine, path: str) -> Reading[str]:
    """The text of a log, unpacked; of a large one its end.

    A log that is being written again from its start, cut short or damaged gives what can be read of it.
    """
    data = machine.read(path)
    if not isinstance(data, Known):
        return data
    raw = data.value
    try:
        if raw.startswith(b"\x1f\x8b"):
            raw = zlib.decompressobj(31).decompress(raw, _LOG_LIMIT_BYTES)
        elif raw.startswith(b"\xfd7zXZ\0"):
            raw = _unpack_xz(raw)
        elif raw.startswith(b"BZh"):
            raw = _unpack_bzip2(raw)
        elif raw.startswith(b"\x28\xb5\x2f\xfd"):
            raw = _unpack_zstd(raw)
    except (zlib.error, ValueError) as problem:
        return Unreadable(path, f"damaged archive: {problem}")
    return Known(raw[-_LOG_LIMIT_BYTES:].decode("utf-8", "replace"), path)


def whole_lines(text: str) -> str:
    """Without a last line that is still being written."""
    return text if text.endswith("\n") else text[: text.rfind("\n") + 1]


def _unpack_xz(raw: bytes) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor().decompress(raw, _LOG_LIMIT_BYTES)
    except (lzma.LZMAError, EOFError) as problem:
        raise ValueError(str(problem)) from problem


def _unpack_bzip2(raw: bytes) -> bytes:
    import bz2

    try:
        return bz2.BZ2Decompressor().decompress(raw, _LOG_LIMIT_BYTES)
    except (OSError, EOFError) as problem:
        raise ValueError(str(problem)) from problem


def _unpack_zstd(raw: bytes) -> bytes:
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=64 * 1024**2).stream_reader(raw) as stream:
            return bytes(stream.read(_LOG_LIMIT_BYTES))
    except zstandard.ZstdError as problem:
        raise ValueError(str(problem)) from problem
