"""A device's memory as a bar, and what each piece of it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bringup.actions.planning.report import DeviceUse, Group
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import display_width, format_bytes, truncate
from bringup.records import dataclass

Line = tuple[str | Styled, ...]

_BAR_COLUMNS: Final = 100
_LIMIT_MARK: Final = "|"


@dataclass(frozen=True, slots=True)
class _Look:
    sign: str
    plain_sign: str
    style: Style


LOOKS: Final = {
    Group.WEIGHTS: _Look("█", "W", Style.BLUE),
    Group.CACHE: _Look("▓", "K", Style.GREEN),
    Group.COMPUTE: _Look("▒", "C", Style.YELLOW),
    Group.OVERHEAD: _Look("░", "O", Style.MAGENTA),
    Group.PROMPTS: _Look("▚", "P", Style.CYAN),
    Group.MARGIN: _Look("-", "-", Style.DIM),
    Group.OTHERS: _Look("x", "x", Style.RED),
    Group.FREE: _Look("·", ".", Style.DIM),
}

BLOCKS: Final = "".join(look.sign for look in LOOKS.values())
"""What an output has to be able to show; else letters stand for the parts."""


def device_lines(use: DeviceUse, *, width_columns: int, has_blocks: bool) -> list[Line]:
    """Title, bar and legend of one device."""
    device = use.device
    title = clean(device.title or device.name, keep_newlines=False)
    head = f"{device.name:<7} {title}, {format_bytes(device.total_bytes)}"
    lines: list[Line] = [(Styled(truncate(head, width_columns), Style.BOLD),)]
    lines.append(_bar(use, min(width_columns, _BAR_COLUMNS), has_blocks=has_blocks))
    if use.left_bytes < 0:
        over = f"{format_bytes(-use.left_bytes)} too little: what is behind the {_LIMIT_MARK} has no room"
        lines.append((Styled(truncate(over, width_columns), Style.RED),))
    return [*lines, *_legend(use, width_columns, has_blocks=has_blocks)]


def share_columns(sizes: Mapping[Group, int], width_columns: int) -> dict[Group, int]:
    """Columns of each group: at least one for what is there, all of them `width_columns` together."""
    total = sum(sizes.values())
    if not total:
        return {}
    exact = {group: size * width_columns / total for group, size in sizes.items() if size}
    columns = {group: max(1, int(share)) for group, share in exact.items()}
    order = sorted(exact, key=lambda group: columns[group] - exact[group])
    while sum(columns.values()) < width_columns:
        for group in order[: width_columns - sum(columns.values())]:
            columns[group] += 1
    while sum(columns.values()) > width_columns:
        widest = max(columns, key=lambda group: columns[group])
        if columns[widest] <= 1:
            break
        columns[widest] -= 1
    return columns


def _bar(use: DeviceUse, width_columns: int, *, has_blocks: bool) -> Line:
    # Other programs first: what has no room is then the end of the plan's own parts.
    groups = use.groups()
    ordered = {Group.OTHERS: groups.get(Group.OTHERS, 0), **groups}
    columns = share_columns(ordered, width_columns)
    pieces: list[str | Styled] = []
    limit = _limit_column(use, width_columns)
    at = 0
    for group, count in columns.items():
        look = LOOKS[group]
        sign = look.sign if has_blocks else look.plain_sign
        text = "".join(_LIMIT_MARK if place == limit else sign for place in range(at, at + count))
        pieces.append(Styled(text, look.style))
        at += count
    return tuple(pieces)


def _limit_column(use: DeviceUse, width_columns: int) -> int | None:
    """Where the memory ends in a bar that needs more."""
    if use.left_bytes >= 0:
        return None
    needed = use.held_bytes + use.planned_bytes
    return min(width_columns - 1, int(use.device.total_bytes * width_columns / needed))


def _legend(use: DeviceUse, width_columns: int, *, has_blocks: bool) -> list[Line]:
    lines: list[Line] = []
    pieces: list[str | Styled] = []
    used = 0
    for group, size in use.groups().items():
        look = LOOKS[group]
        text = f" {group.value} {format_bytes(size)}"
        width = 1 + display_width(text)
        gap = 3 if pieces else 0
        if pieces and used + gap + width > width_columns:
            lines.append(tuple(pieces))
            pieces, used, gap = [], 0, 0
        pieces += [" " * gap] if gap else []
        pieces += [Styled(look.sign if has_blocks else look.plain_sign, look.style), text]
        used += gap + width
    return [*lines, tuple(pieces)]
