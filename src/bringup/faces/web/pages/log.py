"""The log of this machine: what happened, two moments compared, and what changed since it worked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from bringup.actions.log.entries import bring_up_to_date, get_entry, read_log, search
from bringup.actions.log.since import Comparison, compare_named, look_and_compare
from bringup.actions.log.timeline import (
    LAYERS,
    Item,
    item_of,
    outside_items,
    parse_since,
    read_timeline,
    this_machine,
)
from bringup.errors import BringupError, WrongUse
from bringup.faces.render.log import render_entry
from bringup.faces.web.html import Html, join, table, tag
from bringup.faces.web.pages.terminal import preformatted
from bringup.faces.web.widgets import choice, field, pill, tabs, trouble
from bringup.machine import clock
from bringup.machine.folders import our_folders

_LAST: Final = 200
_LINES_SHOWN: Final = 6
_PAGES: Final = (
    ("/log", "Timeline"),
    ("/log/compare", "Compare two moments"),
    ("/log/since", "Since it worked"),
)
_LOOKS: Final = {
    "fault-opened": "fault",
    "fault-closed": "fine",
    "package": "warn",
    "kernel": "warn",
    "dkms": "warn",
    "boot": "warn",
    "note": "fine",
}


def log_page(since: str, layer: str, words: str) -> Html:
    """The timeline, from a moment on, of a layer, or what holds some words."""
    layers = [("", "every layer"), *((name, name) for name in LAYERS)]
    fields = [
        field("Since", "since", since, example="7d, yesterday, 2026-11-01"),
        choice("Layer", "layer", layers, layer),
        field("Words", "q", words, example="nvidia"),
        tag("button", "Show", type="submit"),
    ]
    head = tag("form", fields, method="get", action="/log", class_="fields panel")
    show = (lambda: _found(words)) if words else (lambda: _timeline(since, layer))
    return join([tabs(_PAGES, "/log"), head, _guarded(show)])


def compare_page(first: str, second: str) -> Html:
    """Two moments and what lies between them."""
    hint = "an entry's number, first, now, 7d, yesterday, 2026-11-01"
    fields = [
        field("One moment", "first", first, example="first"),
        field("Another", "second", second, example="now"),
        tag("button", "Compare", type="submit"),
        tag("p", f"Each is {hint}.", class_="soft small"),
    ]
    head = tag("form", fields, method="get", action="/log/compare", class_="fields panel")
    return join(
        [tabs(_PAGES, "/log/compare"), head, _guarded(lambda: _compare(first or "first", second or "now"))]
    )


def since_page(what: str) -> Html:
    """What changed since it worked, the likeliest cause first."""
    fields = [
        field("Of what (empty: of what is broken now)", "what", what, example="a model, a fault, a layer"),
        tag("button", "Show", type="submit"),
        tag("p", "As the machine was last looked at; bringup doctor looks at it again.", class_="soft small"),
    ]
    head = tag("form", fields, method="get", action="/log/since", class_="fields panel")
    return join([tabs(_PAGES, "/log/since"), head, _guarded(lambda: _since(what or None))])


def entry_page(seq: int) -> Html | None:
    """Everything that is kept of one entry; `None` where there is none of that number."""
    try:
        entry, warning = get_entry(our_folders(), seq)
    except BringupError as problem:
        return join([tabs(_PAGES, ""), trouble(problem)])
    if entry is None:
        return None
    shown = preformatted(render_entry(entry), label=f"entry {seq}")
    compare = tag("a", "the machine then and now", href=f"/log/compare?first={seq}&second=now")
    return join([tabs(_PAGES, ""), _warned(warning), shown, tag("p", compare)])


def _guarded(show: Callable[[], Html]) -> Html:
    try:
        return show()
    except BringupError as problem:
        return trouble(problem)


def _warned(warning: str) -> Html:
    return tag("p", warning, class_="note warn") if warning else Html("")


def _timeline(since: str, layer: str) -> Html:
    if layer and layer not in LAYERS:
        raise WrongUse("no such layer", hint=f"Layers are {', '.join(LAYERS)}.")
    since_s = parse_since(since, now_s=clock.wall_s()) if since else None
    place = our_folders()
    warning = bring_up_to_date(place)
    found = read_timeline(place, this_machine(), since_s=since_s, layer=layer or None, last=_LAST)
    older = tag(
        "p", f"{found.n_left_out:,} older ones are left out: name a moment above.", class_="soft small"
    )
    return join(
        [
            _warned(warning or found.warning),
            _days(found.items),
            older if found.n_left_out else Html(""),
            *_unseen(found.unseen),
        ]
    )


def _found(words: str) -> Html:
    entries, warning = search(our_folders(), tuple(words.split()), last=_LAST)
    if not entries:
        return join(
            [_warned(warning), tag("section", tag("p", "No entry holds these words."), class_="panel")]
        )
    return join([_warned(warning), _days([item_of(entry) for entry in entries])])


def _unseen(unseen: Iterable[tuple[str, str]]) -> list[Html]:
    return [
        tag("p", f"could not be looked at: {source}: {why}", class_="note warn") for source, why in unseen
    ]


def _days(items: Iterable[Item]) -> Html:
    """What happened, newest first, day by day."""
    drawn: list[Html] = []
    day = ""
    for item in reversed(tuple(items)):
        at = clock.local_time_text(item.at_s)
        if at[:10] != day:
            day = at[:10]
            drawn.append(tag("h2", day, class_="day"))
        drawn.append(_line(item, at))
        if item.is_clock_set:
            drawn.append(tag("p", "The clock was set back here.", class_="soft small"))
    if not drawn:
        return tag("section", tag("p", "Nothing happened that is known of."), class_="panel")
    return tag("section", drawn, class_="panel")


def _line(item: Item, at: str) -> Html:
    lines = item.text.split("\n")
    shown = "\n".join(lines[:_LINES_SHOWN])
    rest = f"\nand {len(lines) - _LINES_SHOWN} lines more" if len(lines) > _LINES_SHOWN else ""
    who = tag("span", f" ({item.who})", class_="soft") if item.who else None
    number = tag("a", f"#{item.seq}", href=f"/log/entry/{item.seq}") if item.seq else tag("span", "")
    return tag(
        "div",
        tag("time", at[11:16], datetime=f"{at[:10]}T{at[11:19]}"),
        tag("span", pill(item.kind, _LOOKS.get(item.kind, ""))),
        tag("span", shown + rest, who, class_="text"),
        number,
        class_="line",
    )


def _compare(first: str, second: str) -> Html:
    outside, _ = outside_items(this_machine())
    place = our_folders()
    found, warning = read_log(place, lambda journal: compare_named(journal, first, second, outside=outside))
    return join([_warned(warning), *_comparison(found)])


def _since(what: str | None) -> Html:
    place = our_folders()
    warning = bring_up_to_date(place)
    found, later = look_and_compare(place, this_machine(), what, is_looking=False)
    return join([_warned(warning or later), *_comparison(found)])


def _comparison(found: Comparison) -> list[Html]:
    if found.is_nothing_broken:
        return [tag("p", "It works: the doctor finds nothing broken.", class_="panel")]
    broken = [
        tag("p", tag("a", fault.title, href=f"/explain/{fault.id}"), f" [{fault.id}]")
        for fault in found.broken
    ]
    then, now = found.then, found.now
    verdict = now.verdict.replace("-", " ") or "nobody judged it"
    drawn = [
        tag(
            "div",
            _moment("Then", then.seq, then.moment.at_s, tag("p", found.worked)),
            _moment("Now", now.seq, now.moment.at_s, join(broken) or tag("p", verdict)),
            class_="pair",
        )
    ]
    if found.runs:
        figures = table(
            ("", "then", "now"), found.runs, caption="the good run and the newest", right=frozenset()
        )
        drawn.append(tag("section", figures, class_="panel"))
    suspects = [_suspect(one.rank, _when(one.at_s) + one.text, one.who, one.reason) for one in found.suspects]
    nothing = tag("p", "Nothing that is known of changed in between.")
    title = tag("h2", "What changed in between, the likeliest cause first")
    drawn += [title, tag("section", suspects or nothing, class_="panel")]
    if found.changes:
        rows = [tag("li", words) for _, words in found.changes]
        drawn += [tag("h2", "Facts that differ"), tag("section", tag("ul", rows), class_="panel")]
    return [*drawn, *_unseen(found.unseen)]


def _when(at_s: float | None) -> str:
    return f"{clock.local_time_text(at_s)[:16]}  " if at_s is not None else ""


def _moment(title: str, seq: int, at_s: float, told: Html) -> Html:
    link = tag("a", f"entry {seq}", href=f"/log/entry/{seq}")
    head = tag(
        "header", tag("h2", title), tag("span", clock.local_time_text(at_s)[:16], " · ", link, class_="soft")
    )
    return tag("section", head, told, class_="panel")


def _suspect(rank: int, text: str, who: str, reason: str) -> Html:
    by = tag("span", f" ({who})", class_="soft") if who else None
    return tag(
        "div", tag("b", str(rank)), tag("div", text, by, tag("p", reason, class_="soft small")), class_="rank"
    )
