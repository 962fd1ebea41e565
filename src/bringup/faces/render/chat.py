"""What the chat says beside the answers: the model that runs, the window, the commands."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill, wrap
from typing import Final

from bringup.engine.control_tokens import RawControl
from bringup.faces.cli.chat_commands import HELP
from bringup.faces.render.format import format_count, format_share, pad
from bringup.records import dataclass

_LEAST_COLUMNS: Final = 20


@dataclass(frozen=True, slots=True)
class WindowShare:
    """One filler of the context window: its name and tokens."""

    name: str
    n_tokens: int


def help_lines(width_columns: int) -> tuple[str, ...]:
    """The commands and keys of the chat; long meanings go on below themselves."""
    indent = max(len(keys) for keys, _ in HELP) + 3
    room = width_columns - indent - 1
    if room < _LEAST_COLUMNS:
        return _narrow_help(max(width_columns - 5, _LEAST_COLUMNS))
    lines = []
    for keys, meaning in HELP:
        first, *rest = wrap(meaning, room) or [""]
        lines.append(f" {pad(keys, indent - 1)}{first}".rstrip())
        lines += [" " * indent + line for line in rest]
    return tuple(lines)


def _narrow_help(room_columns: int) -> tuple[str, ...]:
    """Each meaning below its keys."""
    lines: list[str] = []
    for keys, meaning in HELP:
        lines += [f" {keys}".rstrip(), *(f"    {line}" for line in wrap(meaning, room_columns))]
    return tuple(lines)


def context_lines(shares: Sequence[WindowShare], *, n_ctx: int) -> tuple[str, ...]:
    """The context window's fillers, one a line, then what is free."""
    used = sum(share.n_tokens for share in shares)
    rows = [*shares, WindowShare("free", max(0, n_ctx - used))]
    name_width = max(len(row.name) for row in rows)
    count_width = max(len(format_count(row.n_tokens)) for row in rows)
    return (
        f"context window: {format_count(n_ctx)} tokens, {format_share(used / n_ctx)} used",
        *(
            f"  {pad(row.name, name_width)}  {pad(format_count(row.n_tokens), count_width, right=True)}"
            for row in rows
        ),
    )


def raw_control_line(raw: RawControl) -> str:
    """Said below an answer that holds words meant for the engine."""
    shown = ", ".join(raw.tokens[:4])
    return (
        f"The answer holds control tokens as text ({shown}), those of {raw.format_name}: the engine "
        "did not take it apart. bringup faults raw-control-tokens says why and what helps."
    )


def window_notice(reached_pct: int, *, n_ctx: int, width_columns: int) -> str:
    """Said once at 75 % and once at 90 %."""
    return fill(
        f"The context window is {reached_pct} % full ({format_count(n_ctx)} tokens). "
        "When it is full you choose: drop the oldest turns, start anew, or a larger window "
        "(/context TOKENS).",
        max(width_columns - 1, 20),
    )
