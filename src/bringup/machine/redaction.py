"""Takes out of a text what names a person, a machine or a secret, and leaves what a diagnosis needs.

Two sources of what to take out: values known to be private (the names of users and machine, our key), and
patterns (addresses, tokens, serials, UUIDs, URLs with credentials). Both are also found behind URL
encoding, JSON escapes and base64. Each value becomes the same pseudonym wherever it stands in one
recording; a pseudonym has the shape of what it stands for (a documentation address for an address), so
that parsers work on it. The map from values to pseudonyms lives in memory and is never written.

Kernel, driver and package versions, PCI addresses and ids, loopback addresses and the firmware's
well-known GUIDs stay.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from bringup.machine.protocol import Machine
from bringup.machine.redaction_patterns import COMMON_NAMES, PATTERNS
from bringup.machine.redaction_secrets import PRIVATE_KEY, SECRET_NAME, SECRET_OPTION, Pattern
from bringup.patterns import regex
from bringup.reading import Known, parse_json

_ANCHORED: Final = tuple((pattern, frozenset(pattern.anchors)) for pattern in PATTERNS)
_ANCHORS: Final = tuple(sorted({anchor for pattern in PATTERNS for anchor in pattern.anchors}))
"""What a text is asked for once, before any pattern is tried."""

_SHORTEST_NAME: Final = 2
_FIRST_PERSON: Final = 1000
_REMEMBERED_CHARACTERS: Final = 400
_REMEMBERED_TEXTS: Final = 20_000
"""Short texts of a recording repeat: half of them are asked for again."""

_PIECE_CHARACTERS: Final = 4096
_LONG: Final = 8
_FOUND_LIMIT: Final = 500
_BASE64: Final = regex(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}={0,2}(?![A-Za-z0-9+/=_-])")
_WORD: Final = regex(r"[^\s\"'<>]+")
_WHOLE_FILE: Final = regex(r"serial|asset_tag|machine-id|product_uuid|boot_id|hostname")
"""Names of files whose whole content is private."""

_SHAPES: Final[dict[str, Callable[[int], str]]] = {
    "user": lambda number: f"user{number}",
    "host": lambda number: f"host{number}",
    "email": lambda number: f"person{number}@example.org",
    "ipv4": lambda number: f"{('192.0.2', '198.51.100', '203.0.113')[number // 254 % 3]}.{number % 254 + 1}",
    "ipv6": lambda number: f"2001:db8::{number:x}",
    "mac": lambda number: ":".join(re.findall("..", f"02{number:010x}")),
    "uuid": lambda number: f"00000000-0000-4000-8000-{number:012x}",
    "serial": lambda number: f"serial-{number}",
    "secret": lambda number: f"secret-{number}",
}
_PSEUDONYM: Final = regex(
    r"user\d+|host\d+|person\d+@example\.org|(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+|2001:db8::[0-9a-f]+"
    r"|02:00(?::[0-9a-f]{2}){4}|00000000-0000-4000-8000-[0-9a-f]{12}|serial-\d+|secret-\d+"
)


class Redactor:
    """Replaces private values by pseudonyms, the same for the same value as long as it lives."""

    def __init__(self, known: Iterable[tuple[str, str]] = ()) -> None:
        """`known` are pairs of a kind (`user`, `host`, `serial`, `secret`) and a value that is private."""
        self._pseudonyms: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        self._know(known)

    def _know(self, known: Iterable[tuple[str, str]]) -> None:
        self._kinds = {value.casefold(): kind for kind, value in known if _is_telling(kind, value)}
        longest_first = sorted(self._kinds, key=len, reverse=True)
        words = "|".join(map(re.escape, longest_first))
        self._known = (
            re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])", re.IGNORECASE) if words else None
        )

    def with_found(self) -> Redactor:
        """A redactor that also takes out, wherever they stand, the long values that this one has found.

        Only what can be no word: secrets, serial numbers and full names of hosts. Pseudonyms stay the same.
        """
        again = Redactor()
        again._pseudonyms, again._counts = self._pseudonyms, self._counts
        found = [
            (kind, value)
            for kind, value in self._pseudonyms
            if (kind in ("secret", "serial") and len(value) >= _LONG)
            or (kind == "host" and value.count(".") > 1)
        ]
        again._know((*found[:_FOUND_LIMIT], *((kind, value) for value, kind in self._kinds.items())))
        return again

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many private values were replaced so far, by kind."""
        return tuple(sorted(self._counts.items()))

    def redact(self, text: str) -> str:
        """The text without private values; redacting it again changes nothing."""
        if "\0" in text:
            return "\0".join(self.redact_argv(tuple(text.split("\0"))))
        if len(text) > _REMEMBERED_CHARACTERS:
            return self._plain(self._behind_encodings(text))
        redacted = self._seen.get(text)
        if redacted is None:
            redacted = self._plain(self._behind_encodings(text))
            if len(self._seen) < _REMEMBERED_TEXTS:
                self._seen[text] = redacted
        return redacted

    def redact_bytes(self, data: bytes) -> bytes:
        """The same for a file's bytes; what is not UTF-8 in it stays as it is."""
        return self.redact(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def redact_file(self, path: str, data: bytes) -> bytes:
        """The same for a file's bytes where its name tells that all of it is private."""
        name = path.rpartition("/")[2]
        if _WHOLE_FILE.search(name) is None or not data.strip():
            return self.redact_bytes(data)
        value = data.decode("utf-8", "surrogateescape").strip()
        kind = "host" if name == "hostname" else "serial"
        return (
            self.redact_bytes(data)
            if value.lower() in COMMON_NAMES
            else f"{self._as(kind, value)}\n".encode()
        )

    def redact_argv(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The same for arguments: the one after `--token` and its like is a secret whatever it looks like."""
        kept: list[str] = []
        for place, argument in enumerate(argv):
            name, equals, value = argument.partition("=")
            if place and argument and SECRET_OPTION.fullmatch(argv[place - 1]):
                kept.append(self._as("secret", argument))
            elif equals and value and "file" not in name.lower() and SECRET_NAME.search(name):
                kept.append(f"{name}={self._as('secret', value)}")
            else:
                kept.append(self.redact(argument))
        return tuple(kept)

    def redact_variable(self, name: str, value: str) -> str:
        """The same for an environment variable: one with a secret's name is a secret as a whole."""
        return self._as("secret", value) if value and SECRET_NAME.search(name) else self.redact(value)

    def _as(self, kind: str, value: str) -> str:
        """The pseudonym of a value; a pseudonym stands for itself."""
        if _PSEUDONYM.fullmatch(value):
            return value
        key = (kind, value if kind == "secret" else value.casefold())
        if key not in self._pseudonyms:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._pseudonyms[key] = _SHAPES[kind](self._counts[kind])
        return self._pseudonyms[key]

    def _plain(self, text: str) -> str:
        if len(text) <= _PIECE_CHARACTERS:
            return self._plain_piece(text)
        if "PRIVATE KEY" in text:
            text = PRIVATE_KEY.shape.sub(partial(self._replaced, PRIVATE_KEY), text)
        return "".join(map(self._plain_piece, _pieces(text)))

    def _plain_piece(self, text: str) -> str:
        lowered = text.lower()
        present = [anchor for anchor in _ANCHORS if anchor in lowered]
        for pattern, anchors in _ANCHORED:
            if (not anchors or not anchors.isdisjoint(present)) and pattern.is_marked(text):
                text = pattern.shape.sub(partial(self._replaced, pattern), text)
        if self._known is not None:
            text = self._known.sub(lambda match: self._as(self._kinds[match[0].casefold()], match[0]), text)
        return text

    def _replaced(self, pattern: Pattern, match: re.Match[str]) -> str:
        if pattern.stays(match):
            return match[0]
        start, end = match.start("value") - match.start(), match.end("value") - match.start()
        return match[0][:start] + self._as(pattern.kind, match["value"]) + match[0][end:]

    def _behind_encodings(self, text: str) -> str:
        """Decode each word that is encoded; where something private is in it, encode its redacted form."""
        if "%" in text or "\\" in text:
            text = _WORD.sub(lambda match: self._decoded_word(match[0]), text)
        return _BASE64.sub(lambda match: self._decoded_base64(match[0]), text)

    def _decoded_word(self, word: str) -> str:
        if "%" in word:
            from urllib.parse import quote, unquote  # slow to import, and few texts need it

            decoded = unquote(word, errors="replace")
            redacted = self._plain(decoded)
            if decoded not in (word, redacted):
                # A byte that was no UTF-8 is a lone surrogate here, which has no encoding of its own.
                return quote(redacted, safe="/:?&=@,;+", errors="surrogatepass")
        if "\\" in word:
            try:
                decoded = str(parse_json(f'"{word}"'))
            except ValueError:
                return word
            redacted = self._plain(decoded)
            if decoded not in (word, redacted):
                return json.dumps(redacted)[1:-1]
        return word

    def _decoded_base64(self, word: str) -> str:
        standard = word.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            decoded = binascii.a2b_base64(standard + "=" * (-len(standard) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return word
        redacted = self._plain(decoded)
        return word if redacted == decoded else binascii.b2a_base64(redacted.encode(), newline=False).decode()


def _pieces(text: str) -> Iterator[str]:
    """A long text in pieces of whole lines, so that a word in one place does not cost the reading of all."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PIECE_CHARACTERS) + 1
        yield text[start : end or len(text)]
        start = end or len(text)


def redactor_for(machine: Machine, *, secrets: Iterable[str] = ()) -> Redactor:
    """A redactor that knows a machine's users, its own name and the given secrets (our key)."""
    known = [("secret", secret) for secret in secrets]
    for variable in ("USER", "LOGNAME", "SUDO_USER"):
        value = machine.environment(variable)
        known += [("user", value.value)] if isinstance(value, Known) else []
    home = machine.environment("HOME")
    known += [("user", home.value.rpartition("/")[2])] if isinstance(home, Known) else []
    for path in ("/etc/hostname", "/proc/sys/kernel/hostname"):
        name = machine.read_text(path)
        if isinstance(name, Known):
            full = name.value.strip()
            known += [("host", full), ("host", full.partition(".")[0])]
    identity = machine.read_text("/etc/machine-id")
    known += [("serial", identity.value.strip())] if isinstance(identity, Known) else []
    accounts = machine.read_text("/etc/passwd")
    known += parse_people(accounts.value) if isinstance(accounts, Known) else []
    return Redactor(known)


def parse_people(passwd: str) -> list[tuple[str, str]]:
    """Names of people in /etc/passwd: `alice:x:1000:1000:Alice Example,,,:/home/alice:/bin/bash`."""
    people: list[tuple[str, str]] = []
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2].isdecimal() and _FIRST_PERSON <= int(fields[2]) < 60_000:
            full = fields[4].partition(",")[0].strip()
            people += [("user", fields[0]), ("user", fields[5].rpartition("/")[2]), ("user", full)]
    return people


def _is_telling(kind: str, value: str) -> bool:
    """Whether a known value names somebody, so that replacing it everywhere is right."""
    if kind in ("secret", "serial"):
        return len(value) > _SHORTEST_NAME
    return len(value) >= _SHORTEST_NAME and value.lower() not in COMMON_NAMES and not value.isdecimal()
