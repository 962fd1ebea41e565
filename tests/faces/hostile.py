"""Text that tries to drive a terminal, for every renderer's fuzz test."""

from __future__ import annotations

import random
import re

from hypothesis import strategies as st

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What promise 20 forbids in any output, once our own escape sequences are taken out."""

OUR_SGR = re.compile(r"\x1b\[(?:0|1|2|3[0-7])?m")


_PIECES = (
    "\x1b",
    "\x1b[",
    "\x1b]",
    "\x1bP",
    "\x1b_",
    "\x1b^",
    "\x1bX",
    "\x1b\\",
    "\x9b",
    "\x9c",
    "\x9d",
    "\x90",
    "\x07",
    "\x1b[31m",
    "\x1b[2J",
    "\x1b[?1049h",
    "\x1b]8;;http://evil.example\x07",
    "\x1b]52;c;AAAA\x07",
    "\x1b]0;t\x1b\\",
    "\x00",
    "\x08",
    "\r",
    "\n",
    "\t",
    "\x0b",
    "\x0c",
    "\x7f",
    "\x85",
    "\u202e",
    "\u2066",
    "\u2069",
    "\u200b",
    "\u200d",
    "\u2028",
    "\ufeff",
    "\ud800",
    "\udfff",
    "\U000e0041",
    "\u061c",
    "[bold]",
    "[link=http://evil.example]x[/link]",
    "**bold**",
    "[text](http://evil.example)",
    "```\n",
    "# title\n",
    "| a | b |\n|---|---|\n",
    ":smile:",
    "m",
    "H",
    ";",
    "1",
    "0",
    "a",
    "é",
    "日",
    "🙂",
    " ",
    "error: forged",
    "[wrong-use]",
    "%s",
    "{}",
    "\\",
)


def hostile_text(max_pieces: int = 24) -> st.SearchStrategy[str]:
    """Sequences, halves of sequences and any code point at all (surrogates too)."""
    piece = st.one_of(st.sampled_from(_PIECES), st.characters())
    return st.lists(piece, max_size=max_pieces).map("".join)


def hostile_texts(count: int, *, seed: int = 20) -> list[str]:
    """Many such texts at once, the same on every run."""
    source = random.Random(seed)
    return ["".join(source.choice(_PIECES) for _ in range(source.randint(1, 16))) for _ in range(count)]
