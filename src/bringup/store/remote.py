"""A remote file as a byte source, so that a header can be read before anything is downloaded.

Reads go through windows of growing size that are kept, so a header of 16 MB costs a handful of requests.
"""

from __future__ import annotations

import re
from typing import Final

from bringup.errors import DownloadError
from bringup.model.gguf import GgufHeader, read_header
from bringup.model.shards import Model, assemble
from bringup.records import dataclass
from bringup.store import hub
from bringup.store.prepare import DEFAULT_TIMING, PullPlan
from bringup.store.transfer import Remote
from bringup.store.web import Interrupted, Timing, Token, Web, refuse_encoding, site_of, without_query
from bringup.units import KIB, MIB

_FIRST_BYTES: Final = 512 * KIB
_LARGEST_BYTES: Final = 2 * MIB
_SMALLEST_BYTES: Final = 256 * KIB
_USUAL_BYTES: Final = 16_000_000
"""Headers with the largest vocabularies end shortly before this: windows shrink towards it."""
_TRIES: Final = 3
BUDGET_BYTES: Final = 64 * MIB
"""The most that one source fetches: no header of a known model needs a quarter of it."""


class RangeSource:
    """Bytes of a file on the web (`model.source.ByteSource`).

    Args:
        remote: where it is.
        web: the guarded client; stays open as long as the source is in use.
        size_bytes: its size, as the hub lists it.
    """

    def __init__(self, remote: Remote, web: Web, *, size_bytes: int) -> None:
        self._remote = remote
        self._web = web
        self._size_bytes = size_bytes
        self._windows: list[tuple[int, bytes]] = []
        self._next_bytes = _FIRST_BYTES
        self.fetched_bytes = 0
        self.n_requests = 0

    @property
    def size_bytes(self) -> int:
        """Size of the whole file in bytes."""
        return self._size_bytes

    @property
    def name(self) -> str:
        """Its address, for messages."""
        return without_query(self._remote.url)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`; fewer only where the file ends.

        Raises:
            DownloadError: the server does not serve ranges, or the header is larger than any known one.
        """
        end = min(offset + max(length, 0), self._size_bytes)
        found = bytearray()
        while offset + len(found) < end:
            at = offset + len(found)
            found += self._piece_at(at, end - at)
        return bytes(found)

    def _piece_at(self, offset: int, length: int) -> bytes:
        for start, data in reversed(self._windows):
            if start <= offset < start + len(data):
                return data[offset - start : offset - start + length]
        data = self._fetch(offset, max(length, self._window_bytes()))
        self._windows.append((offset, data))
        self._next_bytes = min(self._next_bytes * 2, _LARGEST_BYTES)
        return data[:length]

    def _window_bytes(self) -> int:
        """How much is fetched at once; near the usual end of a header a part of what is left up to it."""
        left = _USUAL_BYTES - self.fetched_bytes
        return min(self._next_bytes, max(_SMALLEST_BYTES, left * 3 // 5)) if left > 0 else self._next_bytes

    def _fetch(self, offset: int, length: int) -> bytes:
        length = min(length, self._size_bytes - offset)
        if self.fetched_bytes + length > BUDGET_BYTES:
            raise DownloadError(
                f"the header of {self.name} asks for more than {BUDGET_BYTES // MIB} MiB",
                reference="header-too-large",
            )
        for attempt in range(_TRIES):
            try:
                return self._fetch_once(offset, length)
            except Interrupted as problem:
                if attempt + 1 == _TRIES:
                    raise DownloadError(
                        f"{self._remote.host} does not send {self.name}: {problem}",
                        reference="download-interrupted",
                    ) from problem
        raise AssertionError("the last try either returns or raises")

    def _fetch_once(self, offset: int, length: int) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        self.n_requests += 1
        with self._web.get(self._remote.url, headers) as response:
            if response.status_code >= 500 or response.status_code in (408, 429):
                raise Interrupted(f"it answered {response.status_code}")
            refuse_encoding(response, self._remote.url)
            said = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
            if response.status_code != 206 or said is None or int(said[1]) != offset:
                raise DownloadError(
                    f"{self._remote.host} does not send parts of a file; its header cannot be read from afar",
                    context=(f"it answered {response.status_code}",),
                    reference="no-ranges",
                )
            data = bytearray()
            for piece in response.iter_raw():
                data += piece
                self.fetched_bytes += len(piece)
                if len(data) >= length:
                    return bytes(data[:length])
        raise Interrupted("the connection ended early")


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model that was looked into from afar, and what the look cost."""

    model: Model
    fetched_bytes: int
    n_requests: int
    sources: tuple[RangeSource, ...]

    def read_head(self, header: GgufHeader) -> bytes:
        """Bytes of one of its files up to the weights, out of what was fetched."""
        source = self.sources[self.model.headers.index(header)]
        return source.read_at(0, header.data_offset)


def load_remote_model(
    plan: PullPlan, *, token: str | None = None, timing: Timing = DEFAULT_TIMING
) -> RemoteModel:
    """The headers of a model that is not here, without fetching its weights.

    Raises:
        DownloadError: the source cannot be reached or serves no parts of files; or the model comes by pip.
        ModelFileError: what is there is no sound model.
    """
    if plan.is_by_pip:
        raise DownloadError(
            f"{plan.name} cannot be looked into before it is here",
            context=(plan.note,) if plan.note else (),
            hint=f"Fetch it first: bringup pull {plan.name}",
            reference="no-ranges",
        )
    secret = Token(site_of(hub.endpoint()), token) if token is not None else None
    with Web(timing=timing, typed_sites=plan.typed_sites, token=secret) as web:
        sources = [RangeSource(remote, web, size_bytes=one.size_bytes) for one, remote in plan.files]
        model = assemble(tuple(map(read_header, sources)))
    fetched = sum(one.fetched_bytes for one in sources)
    return RemoteModel(model, fetched, sum(one.n_requests for one in sources), tuple(sources))
