"""The order of Debian's package versions: `[epoch:]upstream[-revision]`.

The rule is Debian Policy, section 5.6.12 (https://www.debian.org/doc/debian-policy/ch-controlfields.html#version):
runs without digits and numbers take turns; a tilde stands before the end, the end before letters, and letters
before every other sign.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass

_PAIR: Final = regex(r"([^0-9]*)([0-9]*)")
_END: Final = ((0,), 0)

_Key = tuple[tuple[tuple[int, ...], int], ...]


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class DebianVersion:
    """A version as dpkg writes it: `2:570.172.08-0ubuntu0.24.04.1`; equal is what dpkg holds for equal."""

    text: str

    @property
    def key(self) -> tuple[int, _Key, _Key]:
        """Sorting key: epoch, upstream version, revision; a missing epoch or revision counts as 0."""
        epoch, mark, rest = self.text.partition(":")
        if not mark or not re.fullmatch(r"[0-9]+", epoch):
            epoch, rest = "0", self.text
        upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
        return int(epoch), _part(upstream), _part(revision)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebianVersion) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: DebianVersion) -> bool:
        return self.key < other.key

    def __str__(self) -> str:
        return self.text


def _part(text: str) -> _Key:
    pairs = [(words, number) for words, number in _PAIR.findall(text) if words or number]
    return (*(((*map(_weight, words), 0), int(number or 0)) for words, number in pairs), _END)


def _weight(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isascii() and sign.isalpha() else ord(sign) + 256
