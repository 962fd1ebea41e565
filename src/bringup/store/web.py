"""HTTP to hosts that are not this machine's own engine, under guard.

Redirects are followed by us, one by one: at most ten, never from https to http, never to a loopback,
private or link-local address unless the user typed that host, and a token goes to the one host that it
is for. Proxy variables of the environment are honoured for remote hosts and never for loopback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from bringup.errors import DownloadError
from bringup.machine import reach
from bringup.records import dataclass
from bringup.units import MIB

if TYPE_CHECKING:
    import ssl

    import httpx

ANSWER_LIMIT_BYTES: Final = 8 * MIB
_REDIRECT_LIMIT: Final = 10
_OWNER: Final = "That is for the owner of the server to mend; another source may have the file."
_REDIRECTS: Final = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient we are, in seconds. Tests are less so.

    `stall_s`: a connection that brings less than `stall_bytes` in this time has stalled. `pauses_s`: before
    each next try; when they are used up without progress, it is over. `retry_after_limit_s`: the longest
    pause that a server may ask for. `connect_s`: to give up on a host.
    """

    connect_s: float = 3.0
    stall_s: float = 30.0
    stall_bytes: int = 32 * 1024
    pauses_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    retry_after_limit_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Token:
    """A secret for one site (`scheme://host:port`); never part of a text."""

    site: str
    secret: str = field(repr=False)


class Interrupted(Exception):
    """The connection or the server failed in a way that another try may not: `args[0]` says how.

    `retry_after_s` is the pause that the server asked for, `None` where it did not.
    """

    def __init__(self, why: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class HostUnreachable(DownloadError):
    """No connection to a host at all."""

    default_reference = "host-unreachable"

    def __init__(self, host: str, why: str) -> None:
        super().__init__(
            f"{host} cannot be reached: {why}",
            hint="Check the network (and HTTPS_PROXY, if you need a proxy). Models on this disk need none.",
        )
        self.host = host


def site_of(url: str) -> str:
    """`scheme://host:port`, lower case, the port always written."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    return f"{address.scheme}://{(address.hostname or '').lower()}:{port}"


def without_query(url: str) -> str:
    """An address as it may be shown and kept: signatures and secrets live in the query."""
    return url.partition("#")[0].partition("?")[0]


class Web:
    """A guarded client for one errand.

    `typed_sites` are those that the user named (the hub counts as named): they may be private ones. Errors
    that arise while a caller reads a body inside `get` are mapped like those of the request.
    """

    def __init__(
        self, *, timing: Timing, typed_sites: frozenset[str] = frozenset(), token: Token | None = None
    ) -> None:
        self._timing = timing
        self._typed_sites = typed_sites
        self._token = token
        self._reached: set[str] = set()
        self._clients: dict[tuple[str, bool], httpx.Client] = {}

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()

    @contextmanager
    def get(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """GET, redirects followed under guard; the body is not read yet.

        Raises:
            Interrupted: the connection broke; another try may work.
            HostUnreachable: no connection within the limit.
            DownloadError: a redirect that is refused.
        """
        for _ in range(_REDIRECT_LIMIT + 1):
            with self._one(url, headers) as response:
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                url = _redirect_target(url, response.headers.get("Location"))
        raise DownloadError(
            f"{urlsplit(url).hostname} redirects more than {_REDIRECT_LIMIT} times",
            hint=_OWNER,
            reference="too-many-redirects",
        )

    def get_bounded(self, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and whole body of an answer of at most 8 MiB.

        Raises:
            Interrupted, HostUnreachable, DownloadError: as `get`; also when the answer is larger.
        """
        with self.get(url, headers) as response:
            refuse_encoding(response, url)
            body = bytearray()
            for piece in response.iter_raw():
                body += piece
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise DownloadError(
                        f"{urlsplit(url).hostname} answers with more than 8 MiB where a short answer was due",
                        reference="answer-too-large",
                    )
            return response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body)

    @contextmanager
    def _one(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        site, address = site_of(url), urlsplit(url)
        host = address.hostname or ""
        proxied = reach.has_proxy_for(address.scheme, host)
        self._check_host(url, site, proxied=proxied)
        sent = {"Accept-Encoding": "identity", "User-Agent": _user_agent(), **headers}
        if self._token is not None and self._token.site == site:
            sent["Authorization"] = f"Bearer {self._token.secret}"
        with (
            _broken_connection(host),
            self._client(address.scheme, proxied=proxied).stream("GET", url, headers=sent) as response,
        ):
            if not proxied and site not in self._typed_sites:
                _check_peer(response, host)
            yield response

    def _check_host(self, url: str, site: str, *, proxied: bool) -> None:
        address = urlsplit(url)
        host = address.hostname or ""
        if site in self._reached:
            return
        if proxied:
            # The proxy resolves names; only an address written out can be judged here.
            if site not in self._typed_sites and (reach.is_loopback_name(host) or _is_private_literal(host)):
                raise _inner_host(host)
        else:
            self._check_reach(site, host, address.port or (443 if address.scheme == "https" else 80))
        self._reached.add(site)

    def _check_reach(self, site: str, host: str, port: int) -> None:
        limit_s = self._timing.connect_s
        known = reach.resolve(host, limit_s=limit_s)
        if isinstance(known, reach.NotReached):
            raise HostUnreachable(host, known.why)
        if site not in self._typed_sites and not all(map(reach.is_public, known)):
            raise _inner_host(host)
        refused = reach.connect_to_any(known, port, limit_s=limit_s)
        if refused is not None:
            raise HostUnreachable(host, refused.why)

    def _client(self, scheme: str, *, proxied: bool) -> httpx.Client:
        import httpx

        key = (scheme, proxied)
        if key not in self._clients:
            limits = httpx.Timeout(self._timing.stall_s, connect=max(self._timing.connect_s, 3.0))
            self._clients[key] = httpx.Client(
                timeout=limits, trust_env=proxied, verify=_trusted(scheme), follow_redirects=False
            )
        return self._clients[key]


def _trusted(scheme: str) -> ssl.SSLContext:
    """Certificates of SSL_CERT_FILE or certifi, and those that an administrator gave to the system.

    Reading them takes a tenth of a second, so a client for plain http trusts none at all.
    """
    import ssl

    import httpx

    if scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def _user_agent() -> str:
    from bringup import __version__

    return f"bringup/{__version__}"


def refuse_encoding(response: httpx.Response, url: str) -> None:
    """Refuse a compressed answer: we asked for none, lengths and ranges would mean something else.

    Raises:
        DownloadError: the answer is encoded.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise DownloadError(
            f"{urlsplit(url).hostname} sends the file compressed ({encoding[:40]}), against what we asked",
            hint=_OWNER,
            reference="encoded-answer",
        )


def _redirect_target(url: str, location: str | None) -> str:
    if not location:
        raise DownloadError(
            f"{urlsplit(url).hostname} redirects to nowhere", hint=_OWNER, reference="bad-redirect"
        )
    try:
        target = urljoin(url, location)
        address = urlsplit(target)
        host, _ = address.hostname, address.port
    except ValueError as problem:
        raise DownloadError(
            f"{urlsplit(url).hostname} redirects to something that is no address",
            hint=_OWNER,
            reference="bad-redirect",
        ) from problem
    if address.scheme not in ("http", "https") or not host or address.username is not None:
        raise DownloadError(
            f"{urlsplit(url).hostname} redirects to something that is no address",
            hint=_OWNER,
            reference="bad-redirect",
        )
    if urlsplit(url).scheme == "https" and address.scheme == "http":
        raise DownloadError(
            f"{urlsplit(url).hostname} redirects from https to http; refused",
            context=(f"to: {without_query(target)[:200]}",),
            reference="redirect-to-http",
        )
    return target


def _inner_host(host: str) -> DownloadError:
    return DownloadError(
        f"refused to follow a redirect to {host}: it leads into this machine or a private network",
        hint="If that is where the file is, give its address yourself.",
        reference="redirect-to-private",
    )


def _is_private_literal(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return not reach.is_public(host.strip("[]"))


def _check_peer(response: httpx.Response, host: str) -> None:
    """Judge the address that was really connected to: a name can mean two things within a second."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer and not reach.is_public(str(peer[0])):
        raise _inner_host(host)


def _words(problem: Exception) -> str:
    """A transport error in a person's words; the library's own where it is something rare."""
    text = str(problem)
    if "peer closed" in text or "disconnected" in text:
        return "the connection broke off"
    if "Protocol" in type(problem).__name__:
        return f"what it answers is no proper HTTP ({text[:100]})"
    return text[:200] or type(problem).__name__


@contextmanager
def _broken_connection(host: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.ConnectTimeout as problem:
        raise HostUnreachable(host, "no connection in time") from problem
    except httpx.ReadTimeout as problem:
        raise Interrupted("no byte came for a while") from problem
    except httpx.TransportError as problem:
        if "certificate" in str(problem).lower():
            raise DownloadError(
                f"the certificate of {host} is not trusted",
                context=(str(problem)[:300],),
                hint="Behind a company proxy, point SSL_CERT_FILE to its certificate bundle.",
                reference="certificate-untrusted",
            ) from problem
        raise Interrupted(_words(problem)) from problem
    except httpx.InvalidURL as problem:
        raise DownloadError(f"not a web address: {str(problem)[:200]}", reference="bad-redirect") from problem
