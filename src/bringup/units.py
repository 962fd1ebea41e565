"""Base units and how people type them.

Inside, everything is bytes, seconds and tokens as plain numbers. Formatting for people is in
`faces/render`; here is only what reads a person's figure.
"""

from __future__ import annotations

import re
from typing import Final

from bringup.patterns import regex

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3
TIB: Final = 1024**4

_SIZE = regex(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?b?)", re.IGNORECASE)
_COUNT = regex(r"(\d+(?:\.\d+)?)\s*([km]?)", re.IGNORECASE)
_DIGITS_LIMIT: Final = 40
_STEPS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str, *, bare_bytes: int = 1) -> int:
    """Bytes meant by `12G`, `12GiB`, `900 MB` or `4096`.

    A bare letter and the `iB` form count in 1024, the `B` form (`MB`) in 1000, as disks are sold; a number
    without a letter counts `bare_bytes`.

    Raises:
        ValueError: not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 12G, 900MB or 4096")
    number, letter, suffix = match.groups()
    if not letter and not suffix:
        return _whole(number, bare_bytes)
    step = 1000 if suffix.lower() == "b" and letter else 1024
    return _whole(number, step ** _STEPS[letter.lower()])


def parse_tokens(text: str) -> int:
    """Tokens meant by `8192`, `8k` or `128K` (k is 1024, as context sizes are spoken of).

    Raises:
        ValueError: not a count of tokens.
    """
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a number of tokens such as 8192 or 8k")
    number, letter = match.groups()
    return _whole(number, 1024 ** _STEPS[letter.lower()])


def parse_whole(text: str) -> int | None:
    """A number of plain digits; `None` for any other text, and for more digits than anybody means.

    `str.isdigit` is no test for it: it is true of `²`, and a number of 5,000 digits is refused by `int`.
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_LIMIT
    return int(text) if is_number else None


def _whole(number: str, unit: int) -> int:
    if len(number) > _DIGITS_LIMIT:
        raise ValueError(f"a number of {len(number):,} digits is none that anybody means")
    return int(float(number) * unit)
