"""The terms with this machine's figures, and the faults that the doctor knows: to search and to read."""

from __future__ import annotations

from bringup.actions.diagnosis.facts import Seen
from bringup.actions.diagnosis.faults import get_fault, list_faults
from bringup.actions.diagnosis.steps import quoted
from bringup.actions.explaining.explain import Explanation, explain_on, explain_seen
from bringup.actions.explaining.terms_reader import find_term, load_terms
from bringup.errors import WrongUse
from bringup.faces.render.diagnosis import safety_words
from bringup.faces.render.explain import LEVEL_TITLES
from bringup.faces.render.facts import fact_title, words
from bringup.faces.render.stack import LAYER_NAMES
from bringup.faces.web.html import Html, join, table, tag
from bringup.faces.web.widgets import command, field, inline, panel, prose
from bringup.faults._fault import Fault, Layer, Safety
from bringup.machine.clock import local_time_text
from bringup.machine.folders import Folders
from bringup.stack.stack import Stack


def index(typed: str) -> Html:
    """The search form, and below it what it finds."""
    search = tag("button", "Search", type="submit", class_="main needs-no-script")
    head = tag(
        "form",
        field("Search terms and faults", "q", typed, example="kv cache, version mismatch, Xid", wide=True),
        search,
        method="get",
        action="/explain",
        role="search",
        class_="fields panel",
        data_follow="found",
        data_from="/explain/result",
    )
    return join([head, tag("div", found(typed), id="found")])


def found(typed: str) -> Html:
    """The terms and the faults that hold the words."""
    terms = [
        term for term in load_terms() if _are_in(typed, f"{term.title} {' '.join(term.also)} {term.text}")
    ]
    faults = [fault for fault in list_faults() if _holds(fault, typed)]
    drawn = [tag("p", f"{len(terms)} terms, {len(faults)} faults", role="status", class_="soft")]
    blocks = []
    for level in dict.fromkeys(term.level for term in terms):
        items = [
            tag("li", tag("a", term.title, href=f"/explain/term/{term.id}"))
            for term in terms
            if term.level == level
        ]
        blocks.append(panel(_headed(LEVEL_TITLES[level]), tag("ul", items, class_="terms"), below=True))
    drawn += [tag("h2", "Terms, from the card up"), *blocks] if blocks else []
    blocks = []
    for layer in Layer:
        inside = [fault for fault in faults if fault.layer is layer]
        if inside:
            items = [tag("li", tag("a", fault.title, href=f"/explain/{fault.id}")) for fault in inside]
            blocks.append(panel(_headed(LAYER_NAMES[layer]), tag("ul", items, class_="plain"), below=True))
    drawn += [tag("h2", "Faults that the doctor knows"), tag("div", blocks, class_="pair")] if blocks else []
    return join(drawn)


def term_title(name: str) -> str:
    """The title of a term's page; empty where there is no such term."""
    try:
        return find_term(name).title
    except WrongUse:
        return ""


def term_page(name: str, stack: Stack, place: Folders | None, now: Html) -> Html | None:
    """A term and what it is on this machine; `None` where there is no such term.

    Args:
        name: of the term.
        stack: the machine as it was last looked at.
        place: our folders, for figures of runs and notes; `None` for another machine.
        now: what it is at this moment, the part that follows along; empty for none.
    """
    try:
        term = find_term(name)
    except WrongUse:
        return None
    told = explain_seen(term, stack, place) if place is not None else explain_on(term, stack)
    parts = [tag("p", f"also: {', '.join(term.also)}", class_="soft")] if term.also else []
    parts += prose(term.text)
    parts += [tag("p", f"Source: {term.source}", class_="soft small")]
    faults = [tag("li", tag("a", title, href=f"/explain/{fault}")) for fault, title in told.faults]
    see = [tag("li", tag("a", title, href=f"/explain/term/{other}")) for other, title in told.see]
    notes = [tag("p", tag("span", date, class_="soft"), f" {text}") for date, text in told.notes]
    head = tag("section", parts, class_="panel prose")
    drawn = [tag("div", head, now, class_="pair") if now else head]
    drawn.append(panel("On this machine", *_here(told)))
    beside = [panel("What goes wrong with it", *_episodes(told), tag("ul", faults))] if faults else []
    beside.append(panel("Try it", *prose(term.try_it)))
    drawn.append(tag("div", beside, class_="pair"))
    drawn += [panel("Your notes", *notes)] if notes else []
    drawn.append(panel("See also", tag("ul", see, class_="key")))
    return join([*drawn, tag("p", tag("a", "all terms and faults", href="/explain"))])


def _here(told: Explanation) -> list[Html]:
    rows = [
        (
            fact_title(fact),
            words(fact.value, fact.name) if fact.seen is Seen.KNOWN else fact.why or "not there",
            fact.source,
        )
        for fact in told.facts
    ]
    rows += [(one.name, one.value or "none yet", one.command) for one in told.figures]
    drawn = (
        [table(("fact", "value", "source"), rows, caption="what was read", right=frozenset())] if rows else []
    )
    drawn += [
        tag("p", f"{missing}: nothing of it could be looked at here", class_="soft")
        for missing in told.missing
    ]
    drawn += [tag("p", "To see it yourself:"), command(told.term.look)] if told.term.look else []
    return drawn or [tag("p", "It is no figure that a look at the machine would give.", class_="soft")]


def _episodes(told: Explanation) -> list[Html]:
    drawn = []
    for one in told.episodes:
        when = local_time_text(one.opened.moment.at_s)[:16]
        closed = (
            "still there" if one.closed is None else f"gone on {local_time_text(one.closed.moment.at_s)[:16]}"
        )
        entry = tag("a", f"entry {one.opened.seq}", href=f"/log/entry/{one.opened.seq}")
        drawn.append(tag("p", f"here: {when} {one.fault.title} ({closed}), ", entry, class_="note warn"))
    return drawn


def _headed(title: str) -> str:
    """A title with a capital, but for a name that has none."""
    return title if "." in title else title[:1].upper() + title[1:]


def _are_in(words: str, text: str) -> bool:
    return all(word in text.lower() for word in words.lower().split())


def _holds(fault: Fault, words: str) -> bool:
    return _are_in(words, f"{fault.id} {fault.title} {fault.symptom} {fault.reason}")


def fault_title(name: str) -> str:
    """The title of a fault's page; empty where there is no such fault."""
    try:
        return get_fault(name).title
    except WrongUse:
        return ""


def fault_page(name: str) -> Html | None:
    """All that one fault says of itself; `None` where there is no such fault."""
    try:
        fault = get_fault(name)
    except WrongUse:
        return None
    parts = [
        tag("p", tag("strong", "What one sees. "), *inline(fault.symptom)),
        tag("p", tag("strong", "Why. "), *inline(fault.reason)),
    ]
    parts += [tag("p", tag("strong", "Limits. "), *inline(fault.limits))] if fault.limits else []
    steps = []
    for step in fault.steps:
        sudo = "sudo " if step.needs_root else ""
        shown = command(f"{sudo}{quoted(step.command, {})}") if step.command else None
        undo = f"; undo: {step.undo}" if step.undo and step.safety is not Safety.LOOK else ""
        steps.append(
            tag("li", *inline(step.say), shown, tag("p", f"{safety_words(step)}{undo}", class_="soft small"))
        )
    walk = tag("p", "It is walked through by ", tag("code", f"bringup fix {fault.id}"))
    sources = [tag("li", tag("code", link)) for link in fault.sources]
    return join(
        [
            tag("section", parts, class_="panel prose"),
            panel("Steps, in order of cost", tag("ol", steps), walk),
            panel("Sources", tag("ul", sources)),
            tag("p", tag("a", "all terms and faults", href="/explain")),
        ]
    )
