"""The log as lines: timeline, one entry, a comparison."""

from __future__ import annotations

import json
import textwrap
from typing import Final

from bringup.actions.journal.verification import Checked
from bringup.actions.log.ranking import Suspect
from bringup.actions.log.since import Comparison
from bringup.actions.log.timeline import Item, Timeline
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import truncate
from bringup.journal.entry import Entry
from bringup.machine.clock import local_time_text

Line = tuple[str | Styled, ...]
_KIND_COLUMNS: Final = 12
_LEAST_ROOM: Final = 24
_SUSPECTS: Final = 8
_CHANGES: Final = 20
_STYLES: Final = {
    "fault-opened": Style.RED,
    "fault-closed": Style.GREEN,
    "package": Style.YELLOW,
    "boot": Style.CYAN,
    "note": Style.BOLD,
}


def render_timeline(timeline: Timeline, *, width_columns: int) -> list[Line]:
    """One line an item, newest last; further lines of a text stand below its first."""
    lines: list[Line] = []
    if timeline.n_left_out:
        lines.append((Styled(f"({timeline.n_left_out} older ones: --last, --since)", Style.DIM),))
    for item in timeline.items:
        if item.is_clock_set:
            lines.append((Styled("-- the clock was set back here --", Style.DIM),))
        lines += _item_lines(item, width_columns)
    if timeline.n_old_rules:
        states = (
            "1 older state is" if timeline.n_old_rules == 1 else f"{timeline.n_old_rules:,} older states are"
        )
        lines.append((Styled(f"({states} still judged by the former rules)", Style.DIM),))
    if not timeline.items:
        lines.append(("Nothing happened that is known of.",))
    lines += [
        (Styled(f"could not be looked at: {source}: {why}", Style.YELLOW),) for source, why in timeline.unseen
    ]
    return lines


def _item_lines(item: Item, width_columns: int) -> list[Line]:
    first, *rest = clean(item.text).split("\n")
    number = f"{item.seq:>6}" if item.seq else " " * 6
    when = local_time_text(item.at_s)[:16]
    kind = Styled(f"{item.kind:{_KIND_COLUMNS}}", _STYLES.get(item.kind, Style.PLAIN))
    who = f"  ({clean(item.who, keep_newlines=False)})" if item.who else ""
    indent = " " * (6 + 1 + 16 + 2 + _KIND_COLUMNS + 1)
    if width_columns < len(indent) + _LEAST_ROOM:
        return _narrow_lines(number.strip(), (f"{when}  ", kind), first + who, width_columns)
    room = width_columns - len(indent)
    shown = truncate(first + who, room)
    lines: list[Line] = [(Styled(number, Style.DIM), f" {when}  ", kind, f" {shown}")]
    lines += [(f"{indent}{truncate(line, room)}",) for line in rest[:6]]
    if len(rest) > 6:
        lines.append((f"{indent}and {len(rest) - 6} more: bringup log show {item.seq}",))
    return lines


def _narrow_lines(number: str, head: tuple[str | Styled, ...], text: str, width_columns: int) -> list[Line]:
    """On a narrow terminal: when and what on one line, the words whole below it."""
    words = wrapped(text, max(10, width_columns - 2))
    named = (Styled(f"{number} ", Style.DIM),) if number else ()
    return [(*named, *head), *((f"  {line}",) for line in words[:8])]


def render_entry(entry: Entry) -> list[Line]:
    """Everything that is kept of one entry; of a machine's state the names of its parts."""
    boot = f", boot {entry.moment.boot}" if entry.moment.boot else ""
    lines: list[Line] = [
        (Styled(f"entry {entry.seq}", Style.BOLD), f"  {entry.kind.value}  {entry.subject}"),
        (
            Styled(
                f"  {local_time_text(entry.moment.at_s)}{boot}, up {entry.moment.uptime_s:,.0f} s", Style.DIM
            ),
        ),
    ]
    if entry.is_forgotten:
        return [*lines, ("  forgotten on request",)]
    lines += [("",), *((f"  {line}",) for line in clean(entry.text).split("\n"))]
    data = dict(entry.data)
    difference = data.pop("difference", None)
    if difference is not None:
        n_parts = len(difference.get("parts", ()))
        whole = (
            "the whole machine" if difference.get("whole") else f"a difference to entry {data.get('base')}"
        )
        lines.append((Styled(f"  holds {whole}: {n_parts} facts and answers", Style.DIM),))
    shown = json.dumps(data, indent=2, ensure_ascii=True).split("\n")
    return [*lines, ("",), *((Styled(f"  {line}", Style.DIM),) for line in shown)]


def render_comparison(found: Comparison) -> list[Line]:
    """What worked, what is broken, the suspects, and every fact that differs."""
    if found.is_nothing_broken:
        since = local_time_text(found.now.moment.at_s)[:16]
        return [
            (f"It works: the doctor finds nothing broken (entry {found.now.seq}, so since {since}).",),
            (Styled("A model that ran better before: bringup log since-it-worked MODEL", Style.DIM),),
            (Styled("Two moments side by side: bringup log compare first now", Style.DIM),),
        ]
    then, now = found.then, found.now
    worked = f": {found.worked}" if found.worked else ""
    lines: list[Line] = [
        (f"then  {local_time_text(then.moment.at_s)[:16]}  entry {then.seq}{clean(worked)}",),
        (f"now   {local_time_text(now.moment.at_s)[:16]}  entry {now.seq}: {_verdict(found)}",),
    ]
    lines += [(f"{name}: {old} -> {new}",) for name, old, new in found.runs]
    if found.suspects:
        lines += [("",), (Styled("What changed in between, the likeliest cause first", Style.BOLD),)]
        for suspect in found.suspects[:_SUSPECTS]:
            lines += _suspect_lines(suspect)
        if len(found.suspects) > _SUSPECTS:
            lines.append((Styled(f"  and {len(found.suspects) - _SUSPECTS} more: --json", Style.DIM),))
    else:
        lines += [("",), ("Nothing that is known of changed in between.",)]
    if found.changes:
        lines += [("",), (Styled("Facts that differ", Style.BOLD),)]
        for _, words in found.changes[:_CHANGES]:
            lines += [(f"  {line}",) for line in wrapped(clean(words, keep_newlines=False), 76)]
        if len(found.changes) > _CHANGES:
            lines.append((Styled(f"  and {len(found.changes) - _CHANGES} more: --json", Style.DIM),))
    lines += [
        (Styled(f"could not be looked at: {source}: {why}", Style.YELLOW),) for source, why in found.unseen
    ]
    return lines


def wrapped(text: str, width_columns: int) -> list[str]:
    """A text in lines, one at least; versions and options are not cut at their hyphens."""
    return textwrap.wrap(text, width_columns, break_on_hyphens=False) or [""]


def _verdict(found: Comparison) -> str:
    if found.broken:
        return "; ".join(f"{fault.title} [{fault.id}]" for fault in found.broken)
    return "no fault" if found.now.verdict == "healthy" else "not everything could be seen"


def _suspect_lines(suspect: Suspect) -> list[Line]:
    when = f"{local_time_text(suspect.at_s)[:16]}  " if suspect.at_s is not None else ""
    who = f"  ({suspect.who})" if suspect.who else ""
    text = clean(f"{when}{suspect.text}{who}", keep_newlines=False)
    first, *rest = wrapped(text, 74) or [""]
    lines: list[Line] = [(f"{suspect.rank:>3}. {first}",), *((f"     {line}",) for line in rest)]
    return [*lines, ("     ", Styled(suspect.reason, Style.DIM))]


def render_verified(found: Checked) -> list[Line]:
    """What a check of the whole journal found."""
    lines: list[Line] = [(f"{found.n_entries:,} entries in {found.path}",)]
    lines += [(Styled(f"  {problem}", Style.RED),) for problem in found.problems]
    if found.lost:
        lines.append((f"  {len(found.lost)} entries were lost to damage, as said when it was mended",))
    if found.forgotten:
        lines.append(
            (f"  forgotten on request, or lost with a damaged page: {len(found.forgotten)} of their texts",)
        )
    if not found.problems:
        lines.append((Styled("Everything is as it was written.", Style.GREEN),))
        lines.append((Styled(f"head {found.head}", Style.DIM),))
        lines.append(
            (Styled("Noted elsewhere, the head shows later that nothing before it was changed.", Style.DIM),)
        )
    lines += [(Styled(f"set aside: {name}", Style.YELLOW),) for name in found.aside]
    return lines
