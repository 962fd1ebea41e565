"""A recorded machine that calls its kernels, units, packages and processes by hostile names."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from bringup.machine.look import as_text
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, FileStat, Machine
from bringup.reading import Known, Reading


class Remembered:
    """A recorded machine that answers from memory what it was asked before."""

    def __init__(self, inner: Machine) -> None:
        self.read = cache(inner.read)
        self.list_folder = cache(inner.list_folder)
        self.stat = cache(inner.stat)
        self.run = cache(inner.run)
        self.environment = cache(inner.environment)
        self.disk_space = cache(inner.disk_space)
        self.now_s = inner.now_s


class HostileMachine:
    """A recorded machine whose names are exchanged for others, wherever they stand in its answers."""

    def __init__(self, inner: Remembered, names: dict[str, str]) -> None:
        self._inner = inner
        self._names = {good.encode(): bad.encode("utf-8", "surrogatepass") for good, bad in names.items()}
        self._back = {as_name(bad): good for good, bad in names.items() if bad}
        self.environment = inner.environment
        self.disk_space = inner.disk_space
        self.now_s = inner.now_s

    def _path(self, path: str) -> str:
        for bad, good in self._back.items():
            path = path.replace(bad, good)
        return path

    def _bytes(self, data: bytes) -> bytes:
        for good, bad in self._names.items():
            data = data.replace(good, bad)
        return data

    def _text(self, text: str) -> str:
        return self._bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        found = self._inner.read(self._path(path), limit_bytes=limit_bytes)
        return Known(self._bytes(found.value), path) if isinstance(found, Known) else found

    def read_text(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[str]:
        return as_text(self.read(path, limit_bytes=limit_bytes))

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        found = self._inner.list_folder(self._path(path))
        if not isinstance(found, Known):
            return found
        return Known(tuple(as_name(self._text(name)) for name in found.value), path)

    def stat(self, path: str) -> Reading[FileStat]:
        return self._inner.stat(self._path(path))

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        found = self._inner.run(tuple(map(self._path, argv)), timeout_s=timeout_s)
        if not isinstance(found, Known):
            return found
        return Known(replace(found.value, stdout=self._text(found.value.stdout)), found.source)


def as_name(text: str) -> str:
    """What a file can be called."""
    return text.replace("/", "_").replace("\0", "_")
