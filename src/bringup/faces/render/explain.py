"""A term's page as lines, as JSON, and the map of all terms."""

from __future__ import annotations

from typing import Any, Final

from bringup.actions.diagnosis.facts import Fact, Seen
from bringup.actions.explaining.explain import Explanation, Figure
from bringup.actions.explaining.terms_reader import LEVELS, Term
from bringup.faces.render.clean import clean
from bringup.faces.render.console import READING_COLUMNS, Style, Styled
from bringup.faces.render.diagnosis import hanging, wrapped
from bringup.faces.render.facts import fact_title, words
from bringup.faces.render.format import truncate
from bringup.machine.clock import local_time_text

Line = tuple[str | Styled, ...]
SCHEMA: Final = 1
LEVEL_TITLES: Final = {
    "hardware": "the hardware",
    "kernel": "the kernel and its modules",
    "userspace": "the driver's libraries",
    "toolkit": "CUDA and containers",
    "build": "the engine",
    "model": "the model",
    "memory": "its memory",
    "context": "what it is sent",
    "runtime": "how it runs",
}


def render_explanation(found: Explanation, width_columns: int = READING_COLUMNS) -> list[Line]:
    """What it is, on this machine, what goes wrong, try it, see also."""
    term = found.term
    lines: list[Line] = [(Styled(term.title, Style.BOLD),)]
    if term.also:
        also = wrapped(f"also: {', '.join(term.also)}", width_columns)
        lines += [(Styled(line, Style.DIM),) for line in also]
    lines += [("",), *_text(term.text, width_columns)]
    lines.append((Styled(f"Source: {term.source}", Style.DIM),))
    lines += [("",), (Styled("On this machine", Style.BOLD),), *_here(found, width_columns)]
    lines += [("",), (Styled("What goes wrong with it", Style.BOLD),), *_wrong(found, width_columns)]
    lines += [("",), (Styled("Try it", Style.BOLD),), *_text(term.try_it, width_columns)]
    if found.notes:
        lines += [("",), (Styled("Your notes", Style.BOLD),)]
        for date, text in found.notes:
            lines += [(f"  {line}",) for line in wrapped(f"{date} {clean(text)}", width_columns - 2)]
    see = f"See also: {', '.join(title for _, title in found.see)}"
    lines += [("",), *((line,) for line in wrapped(see, width_columns))]
    return lines


def _text(text: str, width_columns: int) -> list[Line]:
    lines: list[Line] = []
    for paragraph in text.split("\n\n"):
        lines += [(line,) for line in wrapped(paragraph, width_columns)]
    return lines


def _here(found: Explanation, width_columns: int) -> list[Line]:
    lines: list[Line] = []
    room = max(width_columns - 8, 20)
    for fact in found.facts:
        lines += hanging(f"{fact_title(fact)}: {_seen(fact)}", width_columns)
        lines.append((Styled(f"    [{truncate(clean(fact.source, keep_newlines=False), room)}]", Style.DIM),))
    for name in found.missing:
        lines += hanging(f"{name}: nothing of it could be looked at here", width_columns)
    for figure in found.figures:
        lines += hanging(_figure(figure), width_columns)
        lines.append((Styled(f"    $ {figure.command}", Style.CYAN),))
    if found.term.look:
        lines += [("  to see it yourself:",), (Styled(f"    $ {found.term.look}", Style.CYAN),)]
    return lines


def _figure(figure: Figure) -> str:
    return f"{figure.name}: {figure.value}" if figure.value else f"{figure.name}: none yet"


def _seen(fact: Fact) -> str:
    if fact.seen is Seen.KNOWN:
        return truncate(clean(words(fact.value, fact.name), keep_newlines=False), 200)
    return "not there" if fact.seen is Seen.ABSENT else f"could not be seen: {fact.why}"


def _wrong(found: Explanation, width_columns: int) -> list[Line]:
    lines: list[Line] = []
    for episode in found.episodes:
        closed = episode.closed
        until = "still there" if closed is None else f"gone on {local_time_text(closed.moment.at_s)[:16]}"
        when = local_time_text(episode.opened.moment.at_s)[:16]
        text = f"here: {when} {episode.fault.title} ({until}), entry {episode.opened.seq}"
        lines += [
            (Styled(line, Style.YELLOW),)
            for piece in hanging(text, width_columns)
            for line in map(str, piece)
        ]
    for fault_id, title in found.faults:
        lines += hanging(f"{title} [{fault_id}]", width_columns)
    return lines or hanging("No fault that the doctor knows is about it.", width_columns)


def render_map(terms: tuple[tuple[Term, int], ...], width_columns: int = READING_COLUMNS) -> list[Line]:
    """All terms, bottom up; those that a fault of this machine touched are marked."""
    lines: list[Line] = []
    for level in LEVELS:
        names = []
        for term, count in terms:
            if term.level == level:
                names.append(f"{term.title} *" if count else term.title)
        lines.append((Styled(f"{LEVEL_TITLES[level]}", Style.BOLD),))
        lines += [(f"  {line}",) for line in wrapped(", ".join(names), width_columns - 2)]
    marked = any(count for _, count in terms)
    lines += [("",), ("* a fault of it was on this machine",)] if marked else []
    told = "bringup explain TERM says what one is, and what it is here."
    return [*lines, ("",), *((line,) for line in wrapped(told, width_columns))]


def explanation_json(found: Explanation) -> dict[str, Any]:
    """The same for programs."""
    term = found.term
    return {
        "schema": SCHEMA,
        "id": term.id,
        "title": term.title,
        "also": list(term.also),
        "level": term.level,
        "text": term.text,
        "source": term.source,
        "facts": [
            {
                "layer": fact.layer,
                "name": fact.name,
                "seen": fact.seen.value,
                "value": _seen(fact) if fact.seen is Seen.KNOWN else None,
                "source": fact.source,
                "why": fact.why,
            }
            for fact in found.facts
        ],
        "not_looked_at": list(found.missing),
        "figures": [
            {"name": one.name, "value": one.value or None, "command": one.command} for one in found.figures
        ],
        "look": term.look,
        "faults": [fault_id for fault_id, _ in found.faults],
        "entries": [
            {
                "fault": one.fault.id,
                "seq": one.opened.seq,
                "opened_s": one.opened.moment.at_s,
                "closed_s": None if one.closed is None else one.closed.moment.at_s,
            }
            for one in found.episodes
        ],
        "try_it": term.try_it,
        "notes": [{"date": date, "text": text} for date, text in found.notes],
        "see": [name for name, _ in found.see],
    }


def map_json(terms: tuple[tuple[Term, int], ...]) -> dict[str, Any]:
    """All terms for programs."""
    return {
        "schema": SCHEMA,
        "terms": [
            {"id": term.id, "title": term.title, "level": term.level, "faults_here": count}
            for term, count in terms
        ],
    }
