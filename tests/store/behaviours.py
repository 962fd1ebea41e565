"""Ways in which a server can misbehave, for test_transfer.py and test_hub.py."""

from __future__ import annotations

import gzip
import time

from tests.store.conftest import FILE, QUICK, REPO, SIZE_BYTES
from tests.stubs.hub import Behave, Handler, StubFile, gguf_bytes

DATA = gguf_bytes(SIZE_BYTES)
HALF = SIZE_BYTES // 2
FINAL = f"{REPO}/{FILE}"


def first_times(count: int, odd: Behave) -> Behave:
    """Misbehave on the first requests, then serve well."""
    seen: list[int] = []

    def behave(handler: Handler, stub: StubFile) -> bool:
        seen.append(1)
        return odd(handler, stub) if len(seen) <= count else False

    return behave


def after_a_break(odd: Behave) -> Behave:
    """Break the first request in the middle, misbehave on the second, then serve well."""
    seen: list[int] = []

    def behave(handler: Handler, stub: StubFile) -> bool:
        seen.append(1)
        if len(seen) == 1:
            return cut(handler, stub)
        return odd(handler, stub) if len(seen) == 2 else False

    return behave


def cut_with(**extra: str) -> Behave:
    """Promise all, send half of what was asked for, hang up."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        start = handler.wanted_range(stub) or 0
        head(handler, 206 if start else 200, stub, start=start, **extra)
        handler.send_pieces(stub.data[start : start + HALF])
        handler.drop()
        return True

    return behave


def cut(handler: Handler, stub: StubFile) -> bool:
    """As `cut_with`, with the file's own headers."""
    return cut_with()(handler, stub)


def head(
    handler: Handler, status: int, stub: StubFile, *, start: int = 0, length: int | None = None, **extra: str
) -> None:
    """Status and headers of a file; `extra` adds or replaces (underscores are dashes, empty leaves out)."""
    handler.send_response(status)
    fields = {
        "ETag": stub.etag,
        "Content-Length": str(len(stub.data) - start if length is None else length),
        "Content-Type": "application/octet-stream",
    }
    if status == 206:
        fields["Content-Range"] = f"bytes {start}-{len(stub.data) - 1}/{len(stub.data)}"
    fields.update({name.replace("_", "-"): value for name, value in extra.items()})
    for name, value in fields.items():
        if value:
            handler.send_header(name, value)
    handler.end_headers()


def answer(status: int, body: bytes = b"", **headers: str) -> Behave:
    """One fixed answer."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        handler.plain(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return behave


def whole_again(etag: str = "") -> Behave:
    """Ignore the range: 200 and everything."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        head(handler, 200, stub, **({"ETag": etag} if etag else {}))
        handler.send_pieces(stub.data)
        return True

    return behave


def wrong_part(**extra: str) -> Behave:
    """A 206 that is not what was asked for."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        start = handler.wanted_range(stub) or 0
        head(handler, 206, stub, start=start, **extra)
        handler.send_pieces(stub.data[start:])
        return True

    return behave


def body_of(data: bytes, **extra: str) -> Behave:
    """A 200 with other bytes."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        head(handler, 200, stub, length=len(data), **extra)
        handler.send_pieces(data)
        return True

    return behave


def endless(first: bytes) -> Behave:
    """A body without a length that never ends by itself."""

    def behave(handler: Handler, stub: StubFile) -> bool:
        head(handler, 200, stub, Content_Length="", Connection="close")
        handler.close_connection = True
        handler.send_pieces(first)
        while True:
            handler.send_pieces(b"\0" * 65536)

    return behave


def stall(handler: Handler, stub: StubFile) -> bool:
    """Send a little, then nothing, with the connection open."""
    head(handler, 200, stub)
    handler.send_pieces(stub.data[:100_000])
    time.sleep(QUICK.stall_s * 4)
    handler.drop()
    return True


def trickle(handler: Handler, stub: StubFile) -> bool:
    """A byte now and then, for ever."""
    head(handler, 200, stub)
    for at in range(len(stub.data)):
        handler.wfile.write(stub.data[at : at + 1])
        handler.wfile.flush()
        time.sleep(QUICK.stall_s / 8)
    return True


def nonsense(handler: Handler, _: StubFile) -> bool:
    """Not HTTP at all."""
    handler.wfile.write(b"HTTP/9.9 banana\r\n\r\n")
    handler.drop()
    return True


def great_header(handler: Handler, _: StubFile) -> bool:
    """Headers of many megabytes."""
    handler.send_response(200)
    handler.wfile.write(b"X-Pad: " + b"x" * (12 * 1024 * 1024) + b"\r\n")
    handler.drop()
    return True


def redirect(to: str) -> Behave:
    """Send elsewhere; `{path}` is the path asked for."""

    def behave(handler: Handler, _: StubFile) -> bool:
        if handler.path.startswith("/cdn/"):
            return False
        handler.plain(302, b"", {"Location": to.format(path=handler.path)} if to else {})
        return True

    return behave


def flipped(data: bytes, at: int) -> bytes:
    """The same bytes but for one bit."""
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>" + b" " * 2000
GZIP_BOMB = gzip.compress(bytes(10**7), compresslevel=1)
RIGHT = "right"

BEHAVIOURS: dict[str, tuple[Behave, str]] = {
    "range ignored on resume": (after_a_break(whole_again()), RIGHT),
    "new etag on resume": (after_a_break(whole_again('"new"')), RIGHT),
    "part from another place": (
        after_a_break(wrong_part(Content_Range=f"bytes 0-{SIZE_BYTES - 1}/{SIZE_BYTES}")),
        RIGHT,
    ),
    "part of another size": (
        after_a_break(wrong_part(Content_Range=f"bytes {HALF}-9999999/10000000")),
        RIGHT,
    ),
    "part with another etag": (after_a_break(wrong_part(ETag='"other"')), RIGHT),
    "part without its range": (after_a_break(wrong_part(Content_Range="")), RIGHT),
    "part with an absurd range": (after_a_break(wrong_part(Content_Range="bytes -1--5/-7")), RIGHT),
    "416 on resume": (after_a_break(answer(416, Content_Range=f"bytes */{HALF}")), RIGHT),
    "breaks again and again, but moves": (first_times(1, cut), RIGHT),
    "stalls once": (first_times(1, stall), RIGHT),
    "503 twice": (first_times(2, answer(503)), RIGHT),
    "429 with a short pause": (first_times(1, answer(429, Retry_After="0")), RIGHT),
    "429 with a date": (first_times(1, answer(429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")), RIGHT),
    "not http once": (first_times(1, nonsense), RIGHT),
    "endless behind the right bytes": (endless(DATA), RIGHT),
    "redirect to another path": (redirect("/cdn{path}"), RIGHT),
    "weak etag": (first_times(1, cut_with(ETag='W/"x"')), RIGHT),
    "no etag": (first_times(1, cut_with(ETag="")), RIGHT),
    "a part that nobody asked for": (wrong_part(), "unexpected-answer"),
    "endless zeros": (endless(DATA[:100]), "checksum-mismatch"),
    "one bit flipped": (body_of(flipped(DATA, 99_999)), "checksum-mismatch"),
    "short for ever": (body_of(DATA[:-1], Content_Length=""), "download-interrupted"),
    "stalls for ever": (stall, "download-interrupted"),
    "a byte now and then": (trickle, "download-interrupted"),
    "500 for ever": (answer(500), "download-interrupted"),
    "not http": (nonsense, "download-interrupted"),
    "headers without end": (great_header, "download-interrupted"),
    "429 for hours": (answer(429, Retry_After="7200"), "server-busy"),
    "a web page, said so": (body_of(PAGE, Content_Type="text/html; charset=utf-8"), "web-page-instead"),
    "a web page of the right size": (body_of(PAGE.ljust(SIZE_BYTES)), "html-page"),
    "an LFS pointer": (body_of(LFS_POINTER.ljust(SIZE_BYTES, b"\n")), "lfs-pointer"),
    "compressed": (
        body_of(gzip.compress(DATA), Content_Encoding="gzip", Content_Length=""),
        "encoded-answer",
    ),
    "another size": (body_of(DATA + b"x"), "size-differs"),
    "absurd length": (body_of(DATA, Content_Length="-5"), "download-interrupted"),
    "401 with a foreign realm": (
        answer(401, WWW_Authenticate='Bearer realm="http://127.0.0.2/token",service="evil"'),
        "hub-token-needed",
    ),
    "403": (answer(403), "hub-token-needed"),
    "404": (answer(404), "no-such-file"),
    "a teapot": (answer(418), "unexpected-answer"),
    "redirects in a circle": (redirect("{path}"), "too-many-redirects"),
    "redirect to nowhere": (redirect(""), "bad-redirect"),
    "redirect to a file": (redirect("file:///etc/passwd"), "bad-redirect"),
    "redirect with a password": (redirect("http://me:pw@127.0.0.1/x"), "bad-redirect"),
    "redirect to a shapeless address": (redirect("http://[::1"), "download-interrupted"),
    "redirect to a private network": (redirect("http://10.1.2.3/x"), "redirect-to-private"),
    "redirect to another loopback port": (redirect("http://127.0.0.1:9/x"), "redirect-to-private"),
    "redirect to the cloud's metadata": (redirect("http://169.254.169.254/latest"), "redirect-to-private"),
    "redirect to mapped loopback": (redirect("http://[::ffff:127.0.0.1]/x"), "redirect-to-private"),
}
