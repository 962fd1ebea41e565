"""What we write beside our files: the record of a partial file and the origin of a whole one."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, TypeVar

from bringup.machine import files, paths
from bringup.reading import parse_json

_SCHEMA = 1
_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PartialRecord:
    """What a partial file is a part of, and how much of it is surely on the disk.

    `key` names the wanted content: bytes of another key are never continued. `done_bytes` is what was
    synced; after a mere kill in the same boot (`boot_id`) all that is in the file is whole.
    """

    name: str
    address: str
    key: str
    size_bytes: int
    sha256: str | None
    etag: str | None
    done_bytes: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file of ours came from.

    `name` can be typed to get its model. `sha256` was computed over the bytes; `verified` says that it was
    compared with a published one. `modified_s` is the file's time at that moment: another one says that
    somebody wrote to it since; `None` where it was not noted.
    """

    name: str
    address: str
    size_bytes: int
    sha256: str
    verified: bool
    modified_s: float | None = None


Record = TypeVar("Record", PartialRecord, Origin)


def write_record(path: str, record: PartialRecord | Origin) -> None:
    """Write a record durably.

    Raises:
        FileTrouble: disk full, no rights.
    """
    text = json.dumps({"schema": _SCHEMA, **dataclasses.asdict(record)}, indent=1)
    files.write_atomic(path, text.encode())


def read_partial_record(path: str) -> PartialRecord | None:
    """A partial file's record, `None` when there is none or it is damaged (then nothing is continued)."""
    return _read(path, PartialRecord)


def read_origin(path: str) -> Origin | None:
    """A file's origin, `None` when there is none or it is damaged (then nobody vouches)."""
    return _read(path, Origin)


def origin_path(file_path: str) -> str:
    """Where the origin of a file is written: hidden beside it."""
    return paths.join(paths.dirname(file_path), f".{paths.basename(file_path)}.origin.json")


def _read(path: str, kind: type[Record]) -> Record | None:
    data = files.read_small(path, limit_bytes=_LIMIT_BYTES)
    if data is None:
        return None
    try:
        fields: dict[str, Any] = parse_json(data)
        if fields.pop("schema") != _SCHEMA:
            return None
        record = kind(**fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return record if _has_right_types(record) else None


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "str | None": (str, NoneType),
    "float | None": (float, NoneType),
}
"""What a field may hold, by its annotation."""


def _has_right_types(record: PartialRecord | Origin) -> bool:
    """Whether each field holds what it says, and no size is negative."""
    for column in dataclasses.fields(record):
        value = getattr(record, column.name)
        if type(value) not in _TYPES[str(column.type)] or (type(value) is int and value < 0):
            return False
    return True
