"""What a snapshot holds, said before it is written."""

from __future__ import annotations

import re
from typing import Final

from bringup.actions.diagnosis.doctor import Examination
from bringup.actions.diagnosis.snapshot import Snapshot
from bringup.faces.render.console import READING_COLUMNS, Style, Styled
from bringup.faces.render.diagnosis import hanging, wrapped
from bringup.faces.render.format import format_bytes

Line = tuple[str | Styled, ...]
SCHEMA: Final = 1
_KINDS: Final[dict[str, tuple[str, str]]] = {
    "user": ("name of a user", "names of users"),
    "host": ("name of a machine", "names of machines"),
    "email": ("mail address", "mail addresses"),
    "ipv4": ("IPv4 address", "IPv4 addresses"),
    "ipv6": ("IPv6 address", "IPv6 addresses"),
    "mac": ("hardware address", "hardware addresses"),
    "uuid": ("UUID", "UUIDs"),
    "serial": ("serial number", "serial numbers"),
    "secret": ("secret", "secrets"),
}


def render_contents(
    snapshot: Snapshot, width_columns: int = READING_COLUMNS, *, with_list: bool
) -> list[Line]:
    """A summary; with the list every file, command and variable by name."""
    total = sum(size for _, size in snapshot.files)
    count = sum(1 for _, size in snapshot.files if size)
    lines: list[Line] = [
        (Styled("This snapshot holds", Style.BOLD),),
        *hanging(f"{count} files ({format_bytes(total)}) of what the doctor reads, from", width_columns),
        *_indented(", ".join(_tops(snapshot)), width_columns),
        *hanging(f"{len(snapshot.commands)} commands with what they printed", width_columns),
        *hanging(
            f"{len(snapshot.variables)} environment variables that decide which card and library is used",
            width_columns,
        ),
    ]
    for path, why in snapshot.left_out:
        lines += hanging(f"left out: {path} ({why})", width_columns)
    lines += [(line,) for line in wrapped(f"Replaced by stand-ins: {_hidden(snapshot)}", width_columns)]
    lines += [(line,) for line in wrapped(_verdict(snapshot), width_columns)]
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
        "verdict": snapshot.examination.verdict.name.lower().replace("_", "-"),
        "roots": [finding.fault.id for finding in snapshot.examination.diagnosis.roots],
        "is_faithful": snapshot.is_faithful,
        "hidden": [{"kind": kind, "count": count} for kind, count in snapshot.hidden],
    }


def _verdict(snapshot: Snapshot) -> str:
    """What a reader of the file will find; a difference is said, never hidden."""
    here, there = _roots(snapshot.examination), _roots(snapshot.found_again)
    if snapshot.is_faithful:
        return f"Read back, it gives the verdict of this machine: {here}."
    return f"Careful: read back, it gives another verdict ({there}) than here ({here}). Say so where it goes."


def _roots(examination: Examination) -> str:
    ids = [finding.fault.id for finding in examination.diagnosis.roots]
    return ", ".join(ids) or {0: "no fault", 3: "cannot tell"}[examination.verdict.value]


def _hidden(snapshot: Snapshot) -> str:
    parts = (f"{count} {_KINDS.get(kind, (kind, kind))[count != 1]}" for kind, count in snapshot.hidden)
    return ", ".join(parts) or "nothing private was found"


def _tops(snapshot: Snapshot) -> list[str]:
    """The folders that the files lie in, two names deep."""
    tops = {"/".join(path.split("/")[:3]) for path, size in snapshot.files if size}
    return sorted({re.sub(r"^/proc/\d+$", "/proc/PID", top) for top in tops})


def _indented(text: str, width_columns: int) -> list[Line]:
    return [("    ", Styled(line, Style.DIM)) for line in wrapped(text, width_columns - 4)]


def _list(snapshot: Snapshot) -> list[Line]:
    lines: list[Line] = [(f"  {format_bytes(size):>10}  {path}",) for path, size in snapshot.files if size]
    lines += [(f"  {'command':>10}  {' '.join(argv)}",) for argv in snapshot.commands]
    return lines + [(f"  {'variable':>10}  {name}",) for name in snapshot.variables]
