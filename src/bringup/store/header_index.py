"""Headers already read, kept in the cache so that a second look costs no second walk.

One small file per model file, named by device and inode and valid for one size and modification time
only. Whatever is wrong with it (another version, a flipped bit, a truncated write) makes it as good as
not there: it is read again from the model and written anew.
"""

from __future__ import annotations

import binascii
import json
from typing import Any, Final

from bringup.errors import FileTrouble
from bringup.machine import files, paths, tree
from bringup.model.gguf import GgufHeader, Tensor
from bringup.model.quants import TensorType
from bringup.model.source import ByteSource
from bringup.model.values import Entry, Metadata, ValueType
from bringup.model.window import ByteOrder
from bringup.reading import Known, parse_json
from bringup.units import MIB

_MAGIC: Final = b"bringup header index 2\n"
_CHECKSUM_BYTES: Final = 4
_LIMIT_BYTES: Final = 8 * MIB
_FILES_LIMIT: Final = 512
_SUFFIX: Final = ".header"
MARK_SUFFIX: Final = ".sound"
"""Of the marks that `soundness` keeps beside the headers."""


def entry_path(folder: str, identity: tree.Entry) -> str:
    """Where the header of this file is kept."""
    return paths.join(folder, f"{identity.device:x}-{identity.inode:x}{_SUFFIX}")


def load(folder: str, identity: tree.Entry, source: ByteSource) -> GgufHeader | None:
    """The kept header of an unchanged file, `None` when there is none to rely on.

    Args:
        folder: of the index.
        identity: of the model file now.
        source: from which its larger values are read when they are asked for.
    """
    try:
        data = files.read_small(entry_path(folder, identity), limit_bytes=_LIMIT_BYTES)
    except FileTrouble:
        return None
    if data is None or not data.startswith(_MAGIC):
        return None
    checksum = data[len(_MAGIC) : len(_MAGIC) + _CHECKSUM_BYTES]
    payload = data[len(_MAGIC) + _CHECKSUM_BYTES :]
    if _checksum(payload) != checksum:
        return None
    try:
        record = parse_json(payload)
        if record["identity"] != _identity(identity):
            return None
        return _decode(record, source)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, binascii.Error):
        return None


def save(folder: str, identity: tree.Entry, header: GgufHeader) -> None:
    """Keep a header. A cache that cannot be written is no trouble of the user's: nothing is said."""
    payload = json.dumps({"identity": _identity(identity), **_encode(header)}, separators=(",", ":")).encode()
    data = _MAGIC + _checksum(payload) + payload
    if len(data) > _LIMIT_BYTES:
        return
    try:
        files.write_atomic(entry_path(folder, identity), data)
        _prune(folder)
    except FileTrouble:
        return


def _checksum(payload: bytes) -> bytes:
    """Tells a flipped bit or a cut end; the import of `hashlib` would take a fiftieth of a plan's time."""
    return binascii.crc32(payload).to_bytes(_CHECKSUM_BYTES, "big")


def _prune(folder: str) -> None:
    """Keep the folder small: the oldest records beyond the limit go."""
    listing = tree.list_entries(folder)
    if not isinstance(listing, Known):
        return
    ours = [entry for entry in listing.value if entry.is_file and entry.name.endswith((_SUFFIX, MARK_SUFFIX))]
    for entry in sorted(ours, key=lambda entry: entry.modified_s)[: max(0, len(ours) - _FILES_LIMIT)]:
        files.remove(entry.path)


def _identity(entry: tree.Entry) -> list[int | float]:
    return [entry.device, entry.inode, entry.size_bytes, entry.modified_s]


def _encode(header: GgufHeader) -> dict[str, Any]:
    pairs = [
        [
            key,
            *(int(entry.type), int(entry.element_type), entry.count, entry.offset_bytes, entry.length_bytes),
            None if entry.raw is None else binascii.b2a_base64(entry.raw, newline=False).decode("ascii"),
        ]
        for key, entry in header.metadata.entries().items()
    ]
    tensors = [[t.name, t.shape, int(t.type), t.offset_bytes, t.size_bytes] for t in header.tensors]
    return {
        "version": header.version,
        "byte_order": header.byte_order.value,
        "alignment": header.alignment,
        "data_offset": header.data_offset,
        "file_size_bytes": header.file_size_bytes,
        "pairs": pairs,
        "tensors": tensors,
    }


def _decode(record: dict[str, Any], source: ByteSource) -> GgufHeader:
    order = ByteOrder(record["byte_order"])
    entries = {
        str(key): Entry(
            ValueType(kind),
            ValueType(element_kind),
            int(count),
            int(offset),
            int(length),
            None if raw is None else binascii.a2b_base64(raw),
        )
        for key, kind, element_kind, count, offset, length, raw in record["pairs"]
    }
    types = {int(kind): kind for kind in TensorType}
    tensors = tuple(
        Tensor(str(name), tuple(shape), types[kind], int(offset), int(size))
        for name, shape, kind, offset, size in record["tensors"]
    )
    return GgufHeader(
        name=source.name,
        version=int(record["version"]),
        byte_order=order,
        alignment=int(record["alignment"]),
        metadata=Metadata(entries, order=order, source=source),
        tensors=tensors,
        data_offset=int(record["data_offset"]),
        file_size_bytes=int(record["file_size_bytes"]),
    )
