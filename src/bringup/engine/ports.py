"""Which port an engine gets: what was said, in the order of who said it; else the engine's own defaults."""

from __future__ import annotations

from typing import Final

from bringup.errors import EngineError, WrongUse
from bringup.machine import sockets
from bringup.machine.sockets import PortHolder
from bringup.records import dataclass

DEFAULT_PORTS: Final = (8080, 9931)
"""llama-server's default, and the one that it moves to in 2026."""

_TRIES: Final = 64


class PortTaken(EngineError):
    """Somebody else listens on the port; `holder` is `None` where it cannot be seen who."""

    default_reference = "port-in-use"

    def __init__(self, port: int, holder: PortHolder | None) -> None:
        """The error of one port and its holder."""
        super().__init__(
            f"port {port} is taken",
            context=(describe_holder(holder),)
            if holder
            else ("it cannot be bound; who has it cannot be seen",),
            hint="Stop that program, or choose another port (--port).",
        )
        self.port = port
        self.holder = holder


def check_address(host: str, port: int) -> None:
    """Refuse an address that no server here can have, and a port that this user may not have.

    Raises:
        WrongUse: which of the two.
    """
    why = sockets.why_no_address(host)
    if why:
        raise WrongUse(
            f"no server here can listen on {host}: {why}",
            hint="`ip -brief address` lists the addresses of this machine; 127.0.0.1 is for it alone.",
            reference="no-such-address",
        )
    if sockets.needs_rights(port, host=host):
        raise WrongUse(
            f"this user may not listen on port {port}",
            hint="Give one from 1024 on with --port.",
            reference="port-needs-rights",
        )


@dataclass(frozen=True, slots=True)
class PortChoice:
    """The port that an engine gets.

    Attributes:
        port: it.
        wanted: the port that was taken and is replaced; `None` when nothing had to give way.
        holder: who has the wanted one.
    """

    port: int
    wanted: int | None = None
    holder: PortHolder | None = None


def choose_port(
    *,
    explicit: int | None = None,
    environment: str | None = None,
    configured: int | None = None,
    host: str = "127.0.0.1",
    claimed: frozenset[int] = frozenset(),
    may_move: bool,
) -> PortChoice:
    """Choose a port: `--port`, then BRINGUP_PORT, then the configuration, then the engine's own defaults.

    Args:
        explicit: of the command line.
        environment: text of BRINGUP_PORT.
        configured: of the configuration.
        host: address that it is for.
        claimed: ports of detached engines, taken also while such an engine is between two starts.
        may_move: whether the next free one may replace a port that is taken; the defaults may always move.

    Raises:
        PortTaken: the port that was said is taken and may not be replaced.
        WrongUse: no port number, or an address or port that nobody here can have.
    """
    said = explicit if explicit is not None else _from_text(environment)
    said = said if said is not None else configured
    if said is not None and not 1 <= said <= 65535:
        raise WrongUse(f"{said} is no TCP port (1 to 65535)", reference="wrong-port")
    wanted = DEFAULT_PORTS[0] if said is None else said
    if wanted not in claimed and sockets.is_port_free(wanted, host=host):
        return PortChoice(wanted)
    check_address(host, wanted)
    holder = sockets.port_holder(wanted)
    if said is not None and not may_move:
        raise PortTaken(wanted, holder)
    following = range(wanted + 1, min(wanted + 1 + _TRIES, 65536))
    for port in (*(DEFAULT_PORTS[1:] if said is None else ()), *following):
        if port not in claimed and sockets.is_port_free(port, host=host):
            return PortChoice(port, wanted, holder)
    return PortChoice(sockets.free_port(host=host), wanted, holder)


def _from_text(text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not text.strip().isascii() or not text.strip().isdigit():
        raise WrongUse(f"BRINGUP_PORT={text[:40]!r} is no TCP port", reference="wrong-port")
    return int(text)


def describe_holder(holder: PortHolder) -> str:
    """Who holds a port, in one line; the process's name is foreign text."""
    if holder.pid is None:
        return f"held at {holder.address} by a process of user id {holder.user_id}"
    return f"held at {holder.address} by {holder.name} (process {holder.pid}, user id {holder.user_id})"
