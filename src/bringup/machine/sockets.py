"""Ports on loopback: is one free, who holds it."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class PortHolder:
    """Who listens on a port. `pid` and `name` are `None` where another user owns it and hides it."""

    port: int
    user_id: int
    pid: int | None
    name: str | None


def is_port_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind this address now (a port in TIME_WAIT counts as free)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return not _listens_anywhere(port)


def free_port(*, host: str = "127.0.0.1") -> int:
    """A port that the kernel says is free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_holder(port: int) -> PortHolder | None:
    """Who listens on a TCP port, IPv4 or IPv6, from /proc; `None` when nobody does."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for line in lines:
                fields = line.split()
                if len(fields) > 9 and fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    pid = _owner_of_socket(fields[9])
                    return PortHolder(port, int(fields[7]), pid, _process_name(pid))
    return None


def _listens_anywhere(port: int) -> bool:
    return port_holder(port) is not None


def _owner_of_socket(inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        folder = f"/proc/{name}/fd"
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{descriptor}") == wanted:
                        return int(name)
    return None


def _process_name(pid: int | None) -> str | None:
    if pid is None:
        return None
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as handle:
        return handle.read().strip()
    return None
