"""nvidia-smi's answers in pasted text: the sections of -q, and the tables of --query-gpu."""

from __future__ import annotations

import re
from typing import Final

from bringup.stack.lines import Line, Lines

_FIELDS: Final = ("pcie.link", "clocks_", "memory.", "utilization.", "temperature.", "power.", "ecc.")
"""Anchors: one of these stands in the header of every table."""


def find_in_section(lines: Lines, section: str, key: str, *, within: int = 8) -> tuple[Line, str] | None:
    """The value of a key below a heading of `nvidia-smi -q`, at most `within` lines further down.

    Raw lines: `Link Width`, then `Max : 16x`, `Current : 1x`.
    """
    if not lines.has(section.lower()):
        return None
    heading = re.compile(rf"^\s*{re.escape(section)}\s*$", re.IGNORECASE)
    entry = re.compile(rf"^\s*{re.escape(key)}\s*:\s*(.{{1,60}}?)\s*$", re.IGNORECASE)
    for index, line in enumerate(lines.lines):
        if heading.match(line.text):
            for other in lines.lines[index + 1 : index + 1 + within]:
                match = entry.match(other.text)
                if match is not None:
                    return other, match.group(1)
    return None


def parse_tables(lines: Lines) -> list[dict[str, str]]:
    """Rows of `nvidia-smi --query-gpu=... --format=csv`, each by field name without unit.

    Raw lines: `index, pcie.link.width.current, pcie.link.width.max`, then `1, 1, 16`.
    """
    return lines.once(_parse_tables)


def _parse_tables(lines: Lines) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    fields: list[str] = []
    if not lines.has_any(*_FIELDS):
        return rows
    for line in lines.lines:
        words = [word.strip() for word in line.text.split(",")]
        if len(words) >= 2 and any(
            re.fullmatch(r"[a-z_]+(?:\.[a-z_]+)+(?: \[\S{1,6}\])?", word) for word in words
        ):
            fields = [word.split(" [", 1)[0] for word in words]
        elif fields and len(words) == len(fields):
            rows.append(dict(zip(fields, words, strict=True)))
        else:
            fields = []
    return rows
