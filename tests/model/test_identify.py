"""A file that is no model is told for what it is."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile

import pytest

from bringup.errors import ModelFileError
from bringup.model.gguf import read_header
from bringup.model.identify import FileKind, explain_not_gguf, identify, parse_lfs_pointer
from bringup.model.source import BufferSource

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 98362432\n".encode()


def safetensors() -> bytes:
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 10)
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.gguf"))
    return stream.getvalue()


KINDS = (
    (b"", FileKind.EMPTY, "empty-file", "empty"),
    (b"GGUF", FileKind.TOO_SHORT, "gguf-cut-short", "first 8 bytes"),
    (b"FUGG\x03\0\0\0", FileKind.SWAPPED_MAGIC, "byte-swapped", "byte-swapped"),
    (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", FileKind.HTML, "html-page", "HTML page"),
    (b"\n  <html lang=en>", FileKind.HTML, "html-page", "HTML page"),
    (b"<!-- x --><HTML>", FileKind.HTML, "html-page", "HTML page"),
    (POINTER, FileKind.LFS_POINTER, "lfs-pointer", "git-LFS pointer"),
    (safetensors(), FileKind.SAFETENSORS, "safetensors", "safetensors"),
    (zipped("archive/data.pkl", "archive/data/0"), FileKind.PYTORCH_ZIP, "pytorch-checkpoint", "PyTorch"),
    (pickle.dumps({"a": 1}, protocol=2), FileKind.PICKLE, "pytorch-checkpoint", "pickle"),
    (zipped("model.gguf"), FileKind.ZIP, "archive", "zip"),
    (gzip.compress(b"GGUF", mtime=0), FileKind.GZIP, "archive", "gzip"),
    (lzma.compress(b"GGUF"), FileKind.XZ, "archive", "xz"),
    (b"\x28\xb5\x2f\xfd" + bytes(20), FileKind.ZSTD, "archive", "zstd"),
    (tarred(), FileKind.TAR, "archive", "tar"),
    (b"tjgg\x03\0\0\0" + bytes(40), FileKind.GGML, "old-ggml", "old GGML"),
    (b"lmgg" + bytes(40), FileKind.GGML, "old-ggml", "old GGML"),
    (b'{"error":"Repository not found"}', FileKind.JSON, "not-a-model", "JSON"),
    (b"Not found\n", FileKind.TEXT, "not-a-model", "text"),
    ("Größe: nicht da".encode(), FileKind.TEXT, "not-a-model", "text"),
    (bytes(4096), FileKind.ZEROS, "zero-filled", "zero bytes"),
    (b"\x7fELF\x02\x01\x01" + bytes(range(256)), FileKind.UNKNOWN, "not-a-model", "not a GGUF"),
)


@pytest.mark.parametrize(("data", "kind", "reference", "says"), KINDS, ids=lambda value: str(value)[:24])
def test_each_kind_is_recognised_and_explained(
    data: bytes, kind: FileKind, reference: str, says: str
) -> None:
    assert identify(data[:512], len(data)) is kind
    with pytest.raises(ModelFileError) as told:
        read_header(BufferSource(data, name="m.gguf"))
    assert told.value.reference == reference
    assert told.value.message.startswith("m.gguf: ")
    assert says in told.value.message
    assert told.value.hint


def test_every_kind_but_gguf_has_an_explanation_of_its_own() -> None:
    messages = {kind: explain_not_gguf(kind, "x").message for kind in FileKind if kind is not FileKind.GGUF}
    assert len(set(messages.values())) == len(messages)


def test_a_pointer_tells_what_it_stands_for() -> None:
    pointer = parse_lfs_pointer(POINTER)
    assert pointer is not None
    assert (pointer.sha256, pointer.size_bytes) == (OID, 98_362_432)
    problem = explain_not_gguf(FileKind.LFS_POINTER, "x", head=POINTER, size_bytes=len(POINTER))
    assert any("98,362,432" in line and OID in line for line in problem.context)
    assert parse_lfs_pointer(POINTER[:60]) is None


def test_old_formats_tell_their_version() -> None:
    problem = explain_not_gguf(FileKind.GGML, "x", head=b"tjgg\x03\0\0\0")
    assert any("ggjt version 3" in line for line in problem.context)


def test_near_misses() -> None:
    assert identify(b"GGUF\x03\0\0\0", 8) is FileKind.GGUF
    assert identify(b"<htmlish thing>", 15) is FileKind.TEXT
    assert identify((2**40).to_bytes(8, "little") + b'{"a":1}', 500) is not FileKind.SAFETENSORS
    assert identify("ä".encode()[:1] * 3, 3) is FileKind.UNKNOWN
