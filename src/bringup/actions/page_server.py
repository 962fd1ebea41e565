"""What the local page needs: a free port, and the secret that Prometheus sends to `/metrics`."""

from __future__ import annotations

import secrets
import signal
import threading
from typing import Final

from bringup.engine.ports import PortTaken, check_address
from bringup.errors import Failure, FileTrouble
from bringup.machine import clock, files, paths, process, sockets
from bringup.machine.folders import Folders, all_variables

_NAME: Final = "web-metrics-token"
_START_S: Final = 20.0
_STAY: Final = b"stay\n"

TOKEN_PARAMETER: Final = "token"

DETACHED: Final = "--token-on-stdin"
"""Told to a server in the background: its token comes on stdin, and it prints none."""


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


def page_address(host: str, port: int, token: str) -> str:
    """What is opened in a browser."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?{TOKEN_PARAMETER}={token}"


def check_port(port: int, *, host: str) -> None:
    """Refuse a port that somebody listens on.

    Raises:
        Failure: it is taken; says by whom.
        WrongUse: nobody here can have it, or the address.
    """
    if sockets.is_port_free(port, host=host):
        return
    check_address(host, port)
    holder = sockets.port_holder(port)
    words = process.command_line(holder.pid) if holder is not None and holder.pid is not None else None
    if holder is None or words is None or "web" not in words or "bringup" not in " ".join(words):
        raise PortTaken(port, holder)
    raise Failure(
        f"port {port} is taken: bringup web runs there already (process {holder.pid})",
        hint=f"Its page gives an address for another browser; kill {holder.pid} ends it.",
        reference="port-in-use",
    )


def told_token() -> str:
    """The token that a server in the background is told; empty where there is none.

    It ends by itself where the one that started it ends before `start_detached` has told it to stay: nobody
    knows its address then.
    """
    line = process.read_told()
    threading.Thread(target=_stay_or_end, daemon=True).start()
    return line.decode("ascii", "replace").strip()


def _stay_or_end() -> None:
    if not process.read_told():
        signal.raise_signal(signal.SIGTERM)


def start_detached(arguments: tuple[str, ...], folders: Folders, *, port: int) -> tuple[str, int]:
    """Start the page's server in a session of its own; the token that it takes once, and its process number.

    Returns once it listens on the port. The token goes to it on stdin: no file and no command line holds it.
    What it prints goes to a file of mode 0600.

    Raises:
        Failure: it ended, or did not listen in time; its words are in the context.
    """
    token = secrets.token_urlsafe(24)
    log_path = paths.join(folders.logs, "web.log")
    files.write_atomic(log_path, b"")
    with files.open_append(log_path) as log:
        child = process.spawn_told(
            process.python_argv("bringup", *arguments, DETACHED),
            token.encode() + b"\n",
            environment=all_variables(),
            output=log,
            new_session=True,
        )
    until_s = clock.monotonic_s() + _START_S
    while clock.monotonic_s() < until_s and child.poll() is None:
        if sockets.is_only_listener(child.pid, port):
            process.tell(child, _STAY)
            return token, child.pid
        clock.sleep_s(0.05)
    process.end_child(child, timeout_s=2.0)
    words = (files.read_small(log_path) or b"").decode("utf-8", "replace").strip()
    raise Failure(
        "the page's server did not start",
        context=tuple(words.splitlines()[:8]),
        hint="" if words else "In front it says why: the same command without --detach.",
        reference="web-failed",
    )
