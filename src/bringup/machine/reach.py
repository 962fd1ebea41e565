"""Eyes on the network before anything is sent: what a host name means, and whether it can be reached."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time

from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class NotReached:
    """A host that did not, and why in a few words."""

    why: str


def connect_to_any(addresses: tuple[str, ...], port: int, *, limit_s: float) -> NotReached | None:
    """Open (and close) a connection to the first address that takes one, all within `limit_s`.

    Returns:
        `None` when one did, else why the last did not.
    """
    deadline_s = time.monotonic() + limit_s
    why = f"no connection within {limit_s:g} s"
    for address in addresses:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            break
        try:
            with socket.create_connection((address, port), timeout=left_s):
                return None
        except TimeoutError:
            continue
        except OSError as problem:
            why = (problem.strerror or str(problem)).lower()
    return NotReached(why)


def resolve(host: str, *, limit_s: float) -> tuple[str, ...] | NotReached:
    """Addresses of a host name.

    The resolver has no time limit of its own, so it is asked in a thread that is left behind when it
    does not answer within `limit_s`.
    """
    found: list[tuple[str, ...] | NotReached] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.append(tuple(dict.fromkeys(str(answer[4][0]) for answer in answers)))
        except socket.gaierror as problem:
            found.append(NotReached(why_no_address(problem)))
        except (OSError, UnicodeError) as problem:
            found.append(NotReached(f"its name could not be looked up ({_words(problem)})"))

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    asker.join(limit_s)
    return found[0] if found else NotReached(f"no answer about its name within {limit_s:g} s")


def why_no_address(problem: socket.gaierror) -> str:
    """A name that is not there is not one that nobody could be asked about."""
    if problem.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
        return "its name is not known"
    return f"its name could not be looked up ({_words(problem)})"


def _words(problem: Exception) -> str:
    return str(getattr(problem, "strerror", None) or problem).lower()


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet: not loopback, private, link-local or special.

    IPv4 inside IPv6 (mapped, 6to4, NAT64) is judged by the IPv4 address that it leads to.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or _nat64(parsed)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def is_loopback_name(host: str) -> bool:
    """Whether a host is this machine by its very name, so that no proxy may stand between."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False


def has_proxy_for(scheme: str, host: str) -> bool:
    """Whether the environment names a proxy for this host (which then resolves names itself)."""
    # Imported here: it brings http.client and email along, and most commands fetch nothing.
    import urllib.request

    named = {name for name in urllib.request.getproxies_environment() if name in (scheme, "all")}
    return bool(named) and not urllib.request.proxy_bypass(host) and not is_loopback_name(host)
