"""Where the bytes of a model come from: a file, a buffer, a remote file.

The readers of this package do no I/O of their own. They ask a `ByteSource` for ranges, so one reader
serves an open file, bytes in memory and HTTP range requests alike.
"""

from __future__ import annotations

from typing import Protocol


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
    """Bytes in memory, or of a file that is mapped.

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
