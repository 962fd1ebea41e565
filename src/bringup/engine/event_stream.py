"""Server-sent events, as llama.cpp's server sends them, from lines of bytes.

https://html.spec.whatwg.org/multipage/server-sent-events.html: fields a line each, an empty line ends an
event, a line that starts with a colon is a comment (llama.cpp sends one as a ping while it reads a prompt).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bringup.machine.http import HttpTrouble

_EVENT_LIMIT_CHARACTERS: Final = 16 * 1024**2


def event_data(lines: Iterable[bytes]) -> Iterator[str]:
    """The data of each event, its `data:` lines joined; an event cut off before its empty line counts too.

    Lines come without their line end. Bytes that are no UTF-8 become U+FFFD: a line is whole, so no
    character is split here.

    Raises:
        HttpTrouble: one event is longer than 16 Mi characters; also while lines are read.
    """
    parts: list[str] = []
    size = 0
    for line in lines:
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        if not text:
            if parts:
                yield "\n".join(parts)
            parts, size = [], 0
            continue
        size += len(text)
        if size > _EVENT_LIMIT_CHARACTERS:
            raise HttpTrouble("one event of the answer is longer than 16 Mi characters")
        name, _, value = text.partition(":")
        if name == "data":
            parts.append(value.removeprefix(" "))
        elif name == "error":
            # Before 2025 llama.cpp sent a failure in the middle of a stream as an `error:` field.
            parts.append(f'{{"error": {value}}}')
    if parts:
        yield "\n".join(parts)
