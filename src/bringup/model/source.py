"""Where the bytes of a model come from: a file, a buffer, a remote file.

The readers of this package do no I/O of their own. They ask a `ByteSource` for ranges, so one reader
serves an open file, bytes in memory and HTTP range requests alike.
"""

from __future__ import annotations

import io
from typing import BinaryIO, Protocol


class ByteSource(Protocol):
    """Random access to the bytes of one file.

    Attributes:
        size_bytes: size of the whole file, not of what has been fetched.
        name: path, URL or label; it stands in every error about this source.
    """

    @property
    def size_bytes(self) -> int:
        """Size of the whole file in bytes."""
        ...

    @property
    def name(self) -> str:
        """Path, URL or label for messages."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`; fewer only where the file ends."""
        ...


class BufferSource:
    """Bytes in memory.

    Args:
        data: the content, or its beginning.
        name: label for messages.
        size_bytes: size of the whole file where `data` is only its beginning.
    """

    __slots__ = ("_data", "_name", "_size_bytes")

    def __init__(
        self, data: bytes | bytearray | memoryview, *, name: str = "buffer", size_bytes: int | None = None
    ) -> None:
        self._data = memoryview(data)
        self._name = name
        self._size_bytes = len(self._data) if size_bytes is None else size_bytes

    @property
    def size_bytes(self) -> int:
        """Size of the whole file in bytes."""
        return self._size_bytes

    @property
    def name(self) -> str:
        """Label for messages."""
        return self._name

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`; fewer only where the data ends."""
        return bytes(self._data[offset : offset + max(length, 0)])


class StreamSource:
    """An open, seekable binary file. The caller keeps it open as long as the source is in use.

    Args:
        binary_file: open for reading, not shared with another reader (its position moves).
        size_bytes: its size.
        name: path for messages.
    """

    __slots__ = ("_file", "_name", "_size_bytes")

    def __init__(self, binary_file: BinaryIO, size_bytes: int, name: str) -> None:
        self._file = binary_file
        self._size_bytes = size_bytes
        self._name = name

    @property
    def size_bytes(self) -> int:
        """Size of the whole file in bytes."""
        return self._size_bytes

    @property
    def name(self) -> str:
        """Path for messages."""
        return self._name

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`; fewer only where the file ends.

        Raises:
            OSError: the medium failed.
        """
        length = min(length, self._size_bytes - offset)
        if length <= 0:
            return b""
        self._file.seek(offset, io.SEEK_SET)
        return self._file.read(length)
