"""What the local page needs: a free port, and the secret that Prometheus sends to `/metrics`."""

from __future__ import annotations

import secrets
from typing import Final

from bringup.errors import Failure, FileTrouble
from bringup.machine import files, paths, sockets
from bringup.machine.folders import Folders

_NAME: Final = "web-metrics-token"


def export_token_path(folders: Folders) -> str:
    """Where it lies, mode 0600; for `credentials_file` of Prometheus."""
    return paths.join(folders.state, _NAME)


def export_token(folders: Folders) -> str:
    """The secret; made on the first call, the same ever after.

    Raises:
        FileTrouble: the file cannot be read or written, or others can read it.
    """
    path = export_token_path(folders)
    files.create_once(path, secrets.token_urlsafe(24).encode() + b"\n")
    data = files.read_small(path, limit_bytes=4096) or b""
    if files.is_open_to_others(path):
        raise FileTrouble(
            f"the file {path} can be read by other users",
            hint=f"Others may know the secret by now: remove the file to get a new one (rm {path}).",
            reference="key-exposed",
        )
    text = data.decode("ascii", "replace").strip()
    if len(text) < 16 or not text.isascii() or " " in text:
        raise FileTrouble(
            f"the file {path} holds no secret",
            hint=f"Remove it to get a new one (rm {path}).",
            reference="key-damaged",
        )
    return text


def check_port(port: int, *, host: str) -> None:
    """Refuse a port that somebody listens on.

    Raises:
        Failure: it is taken.
    """
    if not sockets.is_port_free(port, host=host):
        raise Failure(f"port {port} is taken", hint="Give another one with --port.", reference="port-in-use")
