"""What a file is when it should be a GGUF, and what to do about it."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.errors import ModelFileError
from bringup.patterns import regex
from bringup.records import dataclass


class FileKind(Enum):
    """Kinds of files that are found under a model's name."""

    GGUF = "GGUF"
    EMPTY = "empty"
    TOO_SHORT = "too short"
    SWAPPED_MAGIC = "GGUF with its magic byte-swapped"
    HTML = "HTML page"
    JSON = "JSON text"
    LFS_POINTER = "git-LFS pointer"
    SAFETENSORS = "safetensors"
    PYTORCH_ZIP = "PyTorch checkpoint"
    ZIP = "zip archive"
    GZIP = "gzip archive"
    TAR = "tar archive"
    XZ = "xz archive"
    ZSTD = "zstd archive"
    PICKLE = "Python pickle"
    GGML = "old GGML file"
    ZEROS = "only zero bytes"
    TEXT = "text"
    UNKNOWN = "unknown"


HEAD_BYTES: Final = 512
"""As many first bytes as `identify` wants to see."""

# Magics are little-endian 32-bit words, so the letters stand reversed in the file.
# llama.cpp b11434, `convert_llama_ggml_to_gguf.py`, and its removed loaders of 2023.
_OLD_MAGICS: Final = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla", b"nsgg": "ggsn"}
_LFS: Final = regex(rb"\Aversion https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v\d", re.ASCII)
_LFS_OID: Final = regex(rb"^oid sha256:([0-9a-f]{64})\s*$", re.MULTILINE)
_LFS_SIZE: Final = regex(rb"^size (\d{1,20})\s*$", re.MULTILINE)
_HTML: Final = regex(
    rb"\A\s*(?:<!--.{0,200}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class LfsPointer:
    """What a git-LFS pointer stands for: hash and size of the real file."""

    sha256: str
    size_bytes: int


def identify(head: bytes, size_bytes: int | None = None) -> FileKind:
    """Kind of a file by its first bytes.

    Args:
        head: the first `HEAD_BYTES` bytes, or all of a shorter file.
        size_bytes: size of the whole file where it is known.
    """
    if not head:
        return FileKind.EMPTY
    if head.startswith(b"GGUF"):
        return FileKind.GGUF if (size_bytes or len(head)) >= 8 else FileKind.TOO_SHORT
    if head.startswith(b"FUGG"):
        return FileKind.SWAPPED_MAGIC
    if head[:4] in _OLD_MAGICS:
        return FileKind.GGML
    return _archive(head) or _text_like(head, size_bytes)


def _archive(head: bytes) -> FileKind | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        is_torch = b"/data.pkl" in head or b"archive/" in head[:128]
        return FileKind.PYTORCH_ZIP if is_torch else FileKind.ZIP
    if head[257:262] == b"ustar":
        return FileKind.TAR
    for magic, kind in (
        (b"\x1f\x8b", FileKind.GZIP),
        (b"\xfd7zXZ\x00", FileKind.XZ),
        (b"\x28\xb5\x2f\xfd", FileKind.ZSTD),
    ):
        if head.startswith(magic):
            return kind
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return FileKind.PICKLE
    return None


def _text_like(head: bytes, size_bytes: int | None) -> FileKind:
    if _LFS.match(head):
        return FileKind.LFS_POINTER
    if _HTML.match(head):
        return FileKind.HTML
    if _is_safetensors(head, size_bytes):
        return FileKind.SAFETENSORS
    if not head.strip(b"\0"):
        return FileKind.ZEROS
    if _is_text(head):
        return FileKind.JSON if head.lstrip()[:1] in (b"{", b"[") else FileKind.TEXT
    return FileKind.UNKNOWN


def _is_safetensors(head: bytes, size_bytes: int | None) -> bool:
    """An 8-byte length, then a JSON object of that length."""
    length = int.from_bytes(head[:8], "little")
    fits = 2 <= length <= 100 * 1024**2 and (size_bytes is None or 8 + length <= size_bytes)
    return fits and head[8:10] in (b'{"', b"{}", b"{ ", b"{\n")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as problem:
        if problem.reason != "unexpected end of data":  # more than a character cut at the end
            return False
        text = head[: problem.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)


def parse_lfs_pointer(head: bytes) -> LfsPointer | None:
    """Hash and size in a git-LFS pointer; `None` where the text lacks one.

    A pointer is three lines: `version https://git-lfs.github.com/spec/v1`, `oid sha256:4d7a...`,
    `size 98362432`.
    """
    oid, size = _LFS_OID.search(head), _LFS_SIZE.search(head)
    if oid is None or size is None:
        return None
    return LfsPointer(oid[1].decode(), int(size[1]))


_CONVERT: Final = (
    "llama.cpp reads GGUF only: pull a GGUF conversion of this model (most have one on the hub), or convert "
    "it with llama.cpp's convert_hf_to_gguf.py."
)
_ARCHIVE: Final = "Unpack it first; a model is the .gguf file inside."
_AGAIN: Final = "Remove it and pull the model again."

# kind: (what is wrong, what to do, reference)
_EXPLANATIONS: Final[dict[FileKind, tuple[str, str, str]]] = {
    FileKind.EMPTY: ("the file is empty", _AGAIN, "empty-file"),
    FileKind.TOO_SHORT: ("the file ends inside its first 8 bytes", _AGAIN, "gguf-cut-short"),
    FileKind.SWAPPED_MAGIC: (
        "the magic is byte-swapped (FUGG), as no GGUF writer does it",
        "Convert the model again on a machine of this byte order.",
        "byte-swapped",
    ),
    FileKind.HTML: (
        "an HTML page, not a model",
        "A web page was saved under the model's name: a login, an error or a /blob/ address. Take the "
        "download link (with /resolve/), or let `bringup pull USER/REPO` fetch it.",
        "html-page",
    ),
    FileKind.JSON: (
        "JSON text, not a model",
        "A server's answer or a configuration was saved here. " + _AGAIN,
        "not-a-model",
    ),
    FileKind.LFS_POINTER: (
        "a git-LFS pointer, not the model itself",
        "The repository was cloned without git-LFS: run `git lfs pull` in it, or `bringup pull USER/REPO`.",
        "lfs-pointer",
    ),
    FileKind.SAFETENSORS: ("a safetensors file, not GGUF", _CONVERT, "safetensors"),
    FileKind.PYTORCH_ZIP: ("a PyTorch checkpoint, not GGUF", _CONVERT, "pytorch-checkpoint"),
    FileKind.PICKLE: (
        "a Python pickle (an old PyTorch checkpoint), not GGUF",
        _CONVERT,
        "pytorch-checkpoint",
    ),
    FileKind.ZIP: ("a zip archive, not a model", _ARCHIVE, "archive"),
    FileKind.GZIP: ("a gzip archive, not a model", _ARCHIVE, "archive"),
    FileKind.TAR: ("a tar archive, not a model", _ARCHIVE, "archive"),
    FileKind.XZ: ("an xz archive, not a model", _ARCHIVE, "archive"),
    FileKind.ZSTD: ("a zstd archive, not a model", _ARCHIVE, "archive"),
    FileKind.GGML: (
        "an old GGML file from before August 2023",
        "llama.cpp no longer reads this format: pull a GGUF conversion of the model.",
        "old-ggml",
    ),
    FileKind.ZEROS: (
        "nothing but zero bytes at its beginning",
        "A download that reserved its space and never filled it, or a damaged disk. " + _AGAIN,
        "zero-filled",
    ),
    FileKind.TEXT: ("a text file, not a model", "Give the path of a .gguf file.", "not-a-model"),
    FileKind.UNKNOWN: (
        "not a GGUF file, nor any other kind that is known here",
        "Give the path of a .gguf file.",
        "not-a-model",
    ),
}


def explain_not_gguf(
    kind: FileKind, name: str, *, head: bytes = b"", size_bytes: int | None = None
) -> ModelFileError:
    """The error for a file that is no GGUF: what it is, what was seen, what to do.

    Args:
        kind: as `identify` gave it.
        name: path or URL, for the message.
        head: its first bytes; they say more of pointers and old formats.
        size_bytes: its size where it is known.
    """
    what, hint, reference = _EXPLANATIONS.get(kind, _EXPLANATIONS[FileKind.UNKNOWN])
    context = [f"size: {size_bytes:,} bytes"] if size_bytes is not None else []
    if head:
        context.append(f"first bytes: {head[:16].hex(' ')}")
    if kind is FileKind.LFS_POINTER and (pointer := parse_lfs_pointer(head)):
        context.append(f"it stands for {pointer.size_bytes:,} bytes with SHA-256 {pointer.sha256}")
    if kind is FileKind.GGML and head[:4] in _OLD_MAGICS:
        version = int.from_bytes(head[4:8], "little") if head[:4] != b"lmgg" else 0
        context.append(f"format: {_OLD_MAGICS[head[:4]]}" + (f" version {version}" if version else ""))
    return ModelFileError(f"{name}: {what}", context=tuple(context), hint=hint, reference=reference)
