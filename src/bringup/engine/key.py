"""The one API key of this user: made once, kept in the state folder, read by the engine from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bringup.errors import FileTrouble
from bringup.machine import files

if TYPE_CHECKING:
    from bringup.machine.folders import Folders

KEY_FILE_LIMIT_BYTES: Final = 64 * 1024
"""Of a key file of the user's own."""

_PREFIX = "bringup-"
_RANDOM_BYTES = 24


def read_or_create_key(folders: Folders) -> str:
    """The key; made on the first call, the same ever after. Its file is `folders.key_file`, mode 0600.

    Two first calls at once give one key.

    Raises:
        FileTrouble: the file cannot be read or written, is open to others, or holds no usable key.
    """
    found = _read(folders.key_file)
    if found is not None:
        return found
    import secrets  # with hashing and random numbers of its own: only the first run needs it

    fresh = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    if files.create_once(folders.key_file, fresh.encode() + b"\n"):
        return fresh
    found = _read(folders.key_file)
    if found is None:
        raise FileTrouble(f"the key file {folders.key_file} came and went", reference="key-damaged")
    return found


def engine_key(folders: Folders, *, has_key: bool, key_file: str) -> str | None:
    """What an engine of ours wants to hear: the user's key, or the first one of the file that it was given.

    Raises:
        FileTrouble: the file cannot be read, or is no longer there.
    """
    if not has_key:
        return None
    if key_file in ("", folders.key_file):
        return read_or_create_key(folders)
    data = files.read_small(key_file, limit_bytes=KEY_FILE_LIMIT_BYTES) or b""
    keys = [line.strip() for line in data.splitlines() if line.strip() and not line.startswith(b"#")]
    if not keys:
        raise FileTrouble(f"the engine's key file {key_file} holds no key any more", reference="key-damaged")
    return keys[0].decode("latin-1")


def _read(path: str) -> str | None:
    data = files.read_small(path, limit_bytes=4096)
    if data is None:
        return None
    if files.is_open_to_others(path):
        raise FileTrouble(
            f"the key file {path} can be read by other users",
            hint=f"Others may know the key by now: remove the file to get a new one (rm {path}).",
            reference="key-exposed",
        )
    text = data.decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text or text.startswith("#"):
        raise FileTrouble(
            f"the key file {path} does not hold a key",
            hint=f"Remove it to get a new one (rm {path}).",
            reference="key-damaged",
        )
    return text
