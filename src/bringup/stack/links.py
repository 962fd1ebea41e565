"""Following a link to the file behind it, through the machine's own eyes."""

from __future__ import annotations

from typing import Final

from bringup.machine.protocol import FileKind, Machine
from bringup.reading import Absent, Known, Reading, Unreadable

_HOP_LIMIT: Final = 16


def follow_link(machine: Machine, path: str) -> Reading[str]:
    """The path of the file that a path leads to.

    Absent where the path, or the target of a link in the chain, is not there; links of folders on the way are
    the machine's own business and stay in the result as written.
    """
    place = path
    for _ in range(_HOP_LIMIT):
        found = machine.stat(place)
        if isinstance(found, Absent):
            return Absent(place)
        if isinstance(found, Unreadable):
            return found
        if found.value.kind is not FileKind.LINK or not found.value.link_target:
            return Known(place, path)
        place = join_link(place, found.value.link_target)
    return Unreadable(path, "links lead in a circle")


def join_link(path: str, target: str) -> str:
    """Where a link leads, `..` folded as text.

    Raw link: `/usr/local/cuda/bin` of a link `/usr/local/bin/nvcc` to `../cuda/bin/nvcc`.
    """
    start = [] if target.startswith("/") else path.split("/")[1:-1]
    for part in target.split("/"):
        if part == "..":
            del start[-1:]
        elif part not in ("", "."):
            start.append(part)
    return "/" + "/".join(start)
