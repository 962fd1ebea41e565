"""Ports on loopback: is one free, who holds it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator

from bringup.records import dataclass

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class PortHolder:
    """Who listens on a port.

    Attributes:
        port: the TCP port.
        address: where it listens, such as `127.0.0.1`, `0.0.0.0` or `::`.
        user_id: whose socket it is.
        pid: its process, `None` where that belongs to another user and cannot be seen.
        name: the process's name, `None` likewise.
    """

    port: int
    address: str
    user_id: int
    pid: int | None
    name: str | None


def is_port_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether a server could have this port now (TIME_WAIT counts as free).

    A port that anybody listens on at any address is not free: two servers on one number would be taken
    for each other.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return next(_listening(port), None) is None


def why_no_address(host: str) -> str:
    """Why no server on this machine can have an address; empty where it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError as problem:
        if isinstance(problem, socket.gaierror):
            return "its name is not known"
        return (
            "this machine does not have it" if problem.errno == errno.EADDRNOTAVAIL else str(problem.strerror)
        )
    return ""


def needs_rights(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether this user may not have a port of this number (below 1024, mostly)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            return problem.errno == errno.EACCES
    return False


def free_port(*, host: str = "127.0.0.1") -> int:
    """A port that the kernel says is free at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def accepts(host: str, port: int) -> bool:
    """Whether anybody takes a connection there at this moment; nothing is sent."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def port_holders(port: int) -> tuple[PortHolder, ...]:
    """Everybody who listens on a TCP port, IPv4 and IPv6, from /proc."""
    found = []
    for address, user_id, inode in _listening(port):
        pid = _owner_of_socket(inode)
        found.append(PortHolder(port, address, user_id, pid, _process_name(pid)))
    return tuple(found)


def port_holder(port: int) -> PortHolder | None:
    """The first who listens on a TCP port; `None` when nobody does."""
    return next(iter(port_holders(port)), None)


def is_only_listener(pid: int, port: int) -> bool:
    """Whether this process, and nobody else, listens on a port at whatever address."""
    return bool(sole_listener_sockets(pid, port))


def sole_listener_sockets(pid: int, port: int) -> frozenset[str]:
    """The sockets with which this process, and nobody else, listens on a port; empty where that is not so."""
    inodes = frozenset(inode for _, _, inode in _listening(port))
    return inodes if inodes <= _sockets_of(pid) else frozenset()


def holds_sockets(pid: int, inodes: frozenset[str]) -> bool:
    """Whether a process has these sockets open: a quick look, whatever else is on the machine."""
    return bool(inodes) and inodes <= _sockets_of(pid)


def _listening(port: int) -> Iterator[tuple[str, int, str]]:
    """Address, user id and inode of each listening socket on a port.

    Raw line: `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 8841 ...`.
    """
    mark = f":{port:04X} "
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for line in lines:
                if mark not in line:
                    continue  # there may be thousands of them
                fields = line.split()
                if len(fields) > 9 and fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    yield _address(fields[1].rsplit(":", 1)[0]), int(fields[7]), fields[9]


def _address(text: str) -> str:
    # The kernel prints each 32-bit word in the machine's own byte order.
    words = [int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _sockets_of(pid: int) -> set[str]:
    found = set()
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(folder):
            with contextlib.suppress(OSError):
                target = os.readlink(f"{folder}/{descriptor}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _owner_of_socket(inode: str) -> int | None:
    return next((int(n) for n in os.listdir("/proc") if n.isdigit() and inode in _sockets_of(int(n))), None)


def _process_name(pid: int | None) -> str | None:
    if pid is None:
        return None
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as handle:
        return handle.read().strip()
    return None
