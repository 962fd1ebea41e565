"""The bytes of one file over HTTP: continued, watched for stalls, tried again with growing pauses.

Every answer is judged before its body is believed: the range that was asked for, the size that was
published, no compression, not a web page. Endless bodies end at the expected size.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bringup.errors import DownloadError
from bringup.machine import clock
from bringup.records import dataclass
from bringup.store.hub import TokenNeeded, retry_after_s
from bringup.store.landing import Landing
from bringup.store.progress import TransferState
from bringup.store.web import Interrupted, Timing, Web, refuse_encoding
from bringup.units import MIB

if TYPE_CHECKING:
    import httpx

_PROGRESS_BYTES: Final = MIB
_STRONG_ETAG: Final = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_HTTP_DATE: Final = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a file's bytes are asked for, with a query where it has one."""

    url: str

    @property
    def host(self) -> str:
        """For messages."""
        return urlsplit(self.url).hostname or self.url[:60]


def fill_from_web(landing: Landing, remote: Remote, web: Web, timing: Timing) -> None:
    """Bring the rest of a file.

    Each try that brings at least 1 MiB gives the next one the full number of tries again; what is there is
    kept in every case.

    Raises:
        DownloadError: given up, refused, or the server's file is another one.
        FileTrouble: the disk.
    """
    tries = 0
    while not landing.is_whole():
        before = landing.done_bytes
        landing.reporter.tell(TransferState.CONNECTING)
        try:
            _try_once(landing, remote, web, timing)
        except Interrupted as problem:
            tries = 0 if landing.done_bytes - before >= _PROGRESS_BYTES else tries
            if tries == len(timing.pauses_s):
                raise _given_up(landing, remote, problem) from problem
            _pause(landing, problem, timing.pauses_s[tries], timing)
            tries += 1


def _pause(landing: Landing, problem: Interrupted, pause_s: float, timing: Timing) -> None:
    asked_s = problem.retry_after_s
    if asked_s is not None and asked_s > timing.retry_after_limit_s:
        raise DownloadError(
            f"the server asks to wait {asked_s:,.0f} s before the next try; what came is kept",
            context=(str(problem),),
            hint="Give the same command again then; it continues where this one ended.",
            reference="server-busy",
        ) from problem
    pause_s = max(pause_s, asked_s or 0.0)
    landing.reporter.tell(TransferState.RETRYING, f"{problem}; trying again in {pause_s:g} s")
    clock.sleep_s(pause_s)


def _given_up(landing: Landing, remote: Remote, problem: Interrupted) -> DownloadError:
    return DownloadError(
        f"{remote.host} does not send {landing.wanted.name}: {problem}",
        context=(f"{landing.done_bytes:,} of {landing.wanted.size_bytes:,} bytes are here and kept",),
        hint="Give the same command again; it continues where this one ended.",
        reference="download-interrupted",
    )


def _try_once(landing: Landing, remote: Remote, web: Web, timing: Timing) -> None:
    headers = {}
    if landing.done_bytes and landing.etag is None and landing.wanted.sha256 is None:
        landing.restart()  # nothing would show that old and new bytes are of the same file
    if landing.done_bytes:
        headers["Range"] = f"bytes={landing.done_bytes}-"
        if landing.etag is not None:
            headers["If-Range"] = landing.etag
    with web.get(remote.url, headers) as response:
        _accept(landing, remote, response)
        landing.reporter.tell(TransferState.DOWNLOADING)
        _take(landing, response, timing)
    if not landing.is_whole():
        raise Interrupted("the connection ended before the file did")


def _take(landing: Landing, response: httpx.Response, timing: Timing) -> None:
    window_from_s, window_bytes = clock.monotonic_s(), 0
    for piece in response.iter_raw():
        missing = landing.wanted.size_bytes - landing.done_bytes
        landing.append(piece[:missing])
        if landing.is_whole():
            return  # whatever else an endless body would bring stays unread
        window_bytes += len(piece)
        now_s = clock.monotonic_s()
        if now_s - window_from_s >= timing.stall_s:
            if window_bytes < timing.stall_bytes:
                landing.reporter.tell(TransferState.STALLED, "almost nothing comes")
                raise Interrupted(f"only {window_bytes:,} bytes came in {timing.stall_s:g} s")
            window_from_s, window_bytes = now_s, 0


def _accept(landing: Landing, remote: Remote, response: httpx.Response) -> None:
    """Judge status and headers; afterwards the body's next byte is the file's next byte.

    Raises:
        Interrupted: worth another try.
        DownloadError: not the file that was asked for.
    """
    status = response.status_code
    if status == 206 and landing.done_bytes:
        _accept_part(landing, response)
    elif status == 200:
        _accept_whole(landing, remote, response)
    elif status == 416:
        # Nothing behind what we have: the server's file is shorter than the published size, or another one.
        landing.restart()
        raise Interrupted("the server has nothing behind what is here; starting anew")
    elif status == 206:
        raise DownloadError(
            f"{remote.host} sends a part where the whole file was asked for", reference="unexpected-answer"
        )
    else:
        _refuse(landing, remote, response)
    refuse_encoding(response, remote.url)
    landing.etag = _validator(response)


def _accept_part(landing: Landing, response: httpx.Response) -> None:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    size = landing.wanted.size_bytes
    if match is None or int(match[1]) != landing.done_bytes or match[3] not in (str(size), "*"):
        landing.restart()
        raise Interrupted("the server sent another part than was asked for; starting anew")
    etag = _validator(response)
    if landing.etag is not None and etag is not None and etag != landing.etag:
        landing.restart()
        raise Interrupted("the file changed at the server; starting anew")


def _accept_whole(landing: Landing, remote: Remote, response: httpx.Response) -> None:
    _refuse_page(landing, remote, response)
    said = response.headers.get("Content-Length", "")
    if re.fullmatch(r"\d{1,18}", said) and int(said) != landing.wanted.size_bytes:
        raise DownloadError(
            f"{remote.host} sends {int(said):,} bytes where the file has {landing.wanted.size_bytes:,}",
            context=(f"address: {landing.wanted.address[:300]}",),
            hint="The file is being replaced, or something answers in its place. Try again later.",
            reference="size-differs",
        )
    if landing.done_bytes:
        changed = landing.etag is not None and landing.etag != _validator(response)
        why = "the file changed at the server" if changed else "the server does not continue a file"
        landing.restart()
        landing.reporter.tell(TransferState.RETRYING, f"{why}; starting anew")


def _refuse_page(landing: Landing, remote: Remote, response: httpx.Response) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise DownloadError(
            f"{remote.host} sends a web page instead of {landing.wanted.name}",
            context=(f"address: {landing.wanted.address[:300]}",),
            hint="A login page, a captive portal or a moved file; open the address in a browser.",
            reference="web-page-instead",
        )


def _refuse(landing: Landing, remote: Remote, response: httpx.Response) -> None:
    status = response.status_code
    if status in (401, 403):
        raise TokenNeeded(
            f"{remote.host} refuses {landing.wanted.name}",
            context=(f"it answered {status}",),
            hint="If it is private or gated, `bringup pull --use-token` sends your token to the hub alone.",
        )
    if status in (408, 425, 429) or status >= 500:
        asked = retry_after_s(response.headers.get("Retry-After"))
        raise Interrupted(f"{remote.host} answered {status}", retry_after_s=asked)
    if status in (404, 410):
        raise DownloadError(
            f"{remote.host} has no such file",
            context=(f"address: {landing.wanted.address[:300]}",),
            hint="It may have been renamed or removed; its page shows what there is.",
            reference="no-such-file",
        )
    raise DownloadError(f"{remote.host} answered {status}", reference="unexpected-answer")


def _validator(response: httpx.Response) -> str | None:
    """What If-Range can name the exact bytes by: a strong ETag, else the date of the last change.

    Weak and shapeless ones are worth nothing for a range.
    """
    etag = response.headers.get("ETag", "").strip()
    if _STRONG_ETAG.fullmatch(etag):
        return str(etag)
    date = response.headers.get("Last-Modified", "").strip()
    return str(date) if not etag and _HTTP_DATE.fullmatch(date) else None
