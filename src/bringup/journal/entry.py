"""An entry of the journal, and the chain that makes a change to an old one visible.

Each entry's hash covers its own header, the digest of its body and the hash of the entry before it. The
body lies apart from the header, under a nonce of its own, so that a text can be forgotten on request and
the header still proves that something stood there.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Any, Final

from bringup.reading import parse_json
from bringup.records import dataclass, replace

RECORD_SCHEMA: Final = 1
"""Grows when what an entry's body holds changes its meaning."""

FIRST_PREVIOUS: Final = b"\0" * 32
_COMPRESS_ABOVE_BYTES: Final = 512
_UNPACKED_LIMIT_BYTES: Final = 64 * 1024**2


class Kind(Enum):
    """What an entry tells; the value is what is stored, never reused for something else."""

    STATE = "state"
    JUDGED = "judged"
    RUN = "run"
    PULL = "pull"
    SETUP = "setup"
    PLAN = "plan"
    FIX = "fix"
    BENCH = "bench"
    NOTE = "note"
    TERM_NOTE = "term-note"
    CHANGE = "change"
    BOOT = "boot"
    FORGOTTEN = "forgotten"
    MENDED = "mended"


@dataclass(frozen=True, slots=True)
class Moment:
    """When: the wall clock may lie, the time since the boot does not.

    Attributes:
        at_s: Unix time as the machine believed it.
        boot: a word that is the same within one boot; empty where it cannot be told.
        uptime_s: seconds since that boot, suspended time included.
    """

    at_s: float
    boot: str = ""
    uptime_s: float = 0.0

    def since_s(self, earlier: Moment) -> float | None:
        """Seconds from an earlier moment; `None` where a clock that was set is all that could tell."""
        if self.boot and self.boot == earlier.boot:
            return max(0.0, self.uptime_s - earlier.uptime_s)
        span_s = self.at_s - earlier.at_s
        return span_s if span_s >= 0 else None


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has a place.

    Attributes:
        kind: what it tells.
        subject: what it is about: a fault's id, a model, a term; redacted.
        text: what a person reads and searches; redacted.
        data: plain JSON values for programs; redacted.
        moment: when it happened.
        nonce: 16 random bytes; the same draft handed in twice is stored once.
    """

    kind: Kind
    subject: str
    text: str
    data: Mapping[str, Any]
    moment: Moment
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored entry. `text` and `data` are empty where the body was forgotten or not asked for."""

    seq: int
    kind: Kind
    subject: str
    moment: Moment
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    is_forgotten: bool = False

    def plain(self) -> dict[str, Any]:
        """All of it in plain JSON values, the moment spread out."""
        return {
            "seq": self.seq,
            "at_s": self.moment.at_s,
            "boot": self.moment.boot,
            "uptime_s": self.moment.uptime_s,
            "kind": self.kind.value,
            "subject": self.subject,
            "text": self.text,
            "data": dict(self.data),
            "is_forgotten": self.is_forgotten,
        }


@dataclass(frozen=True, slots=True)
class Header:
    """A stored header, every column as it is in the file. `kind` is text: an unknown one is kept, too."""

    seq: int
    at_s: float
    boot: str
    uptime_s: float
    kind: str
    subject: str
    digest: bytes
    previous: bytes
    hash: bytes

    @property
    def is_sound(self) -> bool:
        """Whether the header still has the hash that was computed when it was written."""
        return self.hash == hash_of(self)


@dataclass(frozen=True, slots=True)
class Body:
    """A stored body."""

    seq: int
    nonce: bytes
    body: bytes

    @property
    def digest(self) -> bytes:
        """What the header of this body holds."""
        from bringup.journal.digest import blake2b

        return blake2b(self.nonce + self.body, digest_size=32).digest()


_HALVES: Final = re.compile("[\ud800-\udfff]")


def storable(draft: Draft) -> Draft:
    """The same draft, its words in characters that can be stored: the name of a file may hold other bytes."""
    if not _HALVES.search(draft.subject + draft.text):
        return draft
    subject, text = (_HALVES.sub("\N{REPLACEMENT CHARACTER}", words) for words in (draft.subject, draft.text))
    return replace(draft, subject=subject, text=text)


def header_for(draft: Draft, body: Body, *, previous: bytes) -> Header:
    """The header that binds a draft to the entry before it."""
    moment = draft.moment
    unbound = Header(
        seq=body.seq,
        at_s=float(moment.at_s),
        boot=moment.boot,
        uptime_s=float(moment.uptime_s),
        kind=draft.kind.value,
        subject=draft.subject,
        digest=body.digest,
        previous=previous,
        hash=b"",
    )
    return replace(unbound, hash=hash_of(unbound))


def hash_of(header: Header) -> bytes:
    """The hash of a header: each part with its length before it, so that nothing can move between parts."""
    from bringup.journal.digest import blake2b

    state = blake2b(digest_size=32)
    parts = (header.at_s.hex(), header.boot, header.uptime_s.hex(), header.kind, header.subject)
    for part in (str(header.seq), *parts):
        data = part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "big") + data)
    state.update(header.digest + header.previous)
    return state.digest()


def pack_body(draft: Draft) -> bytes:
    """A body as stored: a mark (0 plain, 1 compressed) and JSON."""
    value = {"schema": RECORD_SCHEMA, "text": draft.text, "data": draft.data}
    data = json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()
    if len(data) > _COMPRESS_ABOVE_BYTES:
        return b"\1" + zlib.compress(data, 6)
    return b"\0" + data


def unpack_body(body: bytes) -> tuple[str, dict[str, Any]]:
    """Text and data of a stored body.

    Raises:
        ValueError: it is none.
    """
    data = body[1:]
    if body[:1] == b"\1":
        try:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(data, _UNPACKED_LIMIT_BYTES)
        except zlib.error as problem:
            raise ValueError(f"not compressed as it should be: {problem}") from problem
    value = parse_json(data)
    return str(value["text"]), dict(value["data"])


def words_of(kind: str, subject: str, text: str) -> str:
    """What the search looks through."""
    return f"{kind} {subject} {text}".casefold()
