"""What a snapshot holds, said before it is written."""

from __future__ import annotations

import re
from typing import Final

from bringup.actions.snapshot import Snapshot
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.diagnosis import wrapped
from bringup.faces.render.format import format_bytes

Line = tuple[str | Styled, ...]
SCHEMA: Final = 1
_WIDTH: Final = 78
_KINDS: Final = {
    "user": "names of users",
    "host": "names of this machine",
    "email": "mail addresses",
    "ipv4": "IPv4 addresses",
    "ipv6": "IPv6 addresses",
    "mac": "hardware addresses",
    "uuid": "UUIDs",
    "serial": "serial numbers",
    "secret": "secrets",
}


def render_contents(snapshot: Snapshot, *, with_list: bool) -> list[Line]:
    """A summary; with the list every file, command and variable by name."""
    total = sum(size for _, size in snapshot.files)
    count = sum(1 for _, size in snapshot.files if size)
    lines: list[Line] = [
        (Styled("This snapshot holds", Style.BOLD),),
        (f"  {count} files ({format_bytes(total)}) of what the doctor reads, from",),
        *_indented(", ".join(_tops(snapshot))),
        (f"  {len(snapshot.commands)} commands with what they printed",),
        (f"  {len(snapshot.variables)} environment variables that decide which card and library is used",),
    ]
    lines += [(f"  left out: {path} ({why})",) for path, why in snapshot.left_out]
    lines += [(line,) for line in wrapped(f"Replaced by stand-ins: {_hidden(snapshot)}", _WIDTH)]
    if with_list:
        lines += [("",), *_list(snapshot)]
    return lines


def snapshot_json(snapshot: Snapshot, path: str | None) -> dict[str, object]:
    """The same for programs; `path` is null where nothing was written."""
    return {
        "schema": SCHEMA,
        "path": path,
        "size_bytes": len(snapshot.data),
        "files": [{"path": name, "size_bytes": size} for name, size in snapshot.files],
        "commands": [list(argv) for argv in snapshot.commands],
        "variables": list(snapshot.variables),
        "left_out": [{"path": name, "why": why} for name, why in snapshot.left_out],
        "hidden": [{"kind": kind, "count": count} for kind, count in snapshot.hidden],
    }


def _hidden(snapshot: Snapshot) -> str:
    parts = (f"{count} {_KINDS.get(kind, kind)}" for kind, count in snapshot.hidden)
    return ", ".join(parts) or "nothing private was found"


def _tops(snapshot: Snapshot) -> list[str]:
    """The folders that the files lie in, two names deep."""
    tops = {"/".join(path.split("/")[:3]) for path, size in snapshot.files if size}
    return sorted({re.sub(r"^/proc/\d+$", "/proc/PID", top) for top in tops})


def _indented(text: str) -> list[Line]:
    return [("    ", Styled(line, Style.DIM)) for line in wrapped(text, _WIDTH - 4)]


def _list(snapshot: Snapshot) -> list[Line]:
    lines: list[Line] = [(f"  {format_bytes(size):>10}  {path}",) for path, size in snapshot.files if size]
    lines += [(f"  {'command':>10}  {' '.join(argv)}",) for argv in snapshot.commands]
    return lines + [(f"  {'variable':>10}  {name}",) for name in snapshot.variables]
