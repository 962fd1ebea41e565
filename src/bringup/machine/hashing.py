"""Hands: the SHA-256 of a whole file."""

from __future__ import annotations

import hashlib

from bringup.machine.files import file_errors


def sha256_of(path: str) -> str:
    """Its hash in hex.

    Raises:
        FileTrouble: it cannot be read.
    """
    with file_errors("read", path), open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
