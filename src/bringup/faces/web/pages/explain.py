"""The terms with this machine's figures, and the faults that the doctor knows: to search and to read."""

from __future__ import annotations

from bringup.actions.explain import explain_on
from bringup.actions.facts import Seen
from bringup.actions.faults import get_fault, list_faults
from bringup.actions.steps import quoted
from bringup.actions.terms_reader import find_term, load_terms
from bringup.errors import WrongUse
from bringup.faces.render.explain import LEVEL_TITLES
from bringup.faces.render.facts import words
from bringup.faces.render.stack import LAYER_NAMES
from bringup.faces.web.html import Html, join, table, tag
from bringup.faults._fault import Fault, Layer
from bringup.stack.stack import Stack


def index(typed: str) -> Html:
    """The terms and the faults that hold the words, under a search form."""
    field = tag("label", "Words", tag("input", name="q", value=typed, type="search"))
    head = tag(
        "form", field, tag("button", "Search", type="submit"), method="get", action="/explain", role="search"
    )
    terms = [
        term for term in load_terms() if _are_in(typed, f"{term.title} {' '.join(term.also)} {term.text}")
    ]
    found = [fault for fault in list_faults() if _holds(fault, typed)]
    parts = [head, tag("p", f"{len(terms)} terms, {len(found)} faults", role="status")]
    for level in dict.fromkeys(term.level for term in terms):
        items = [
            tag("li", tag("a", term.title, href=f"/explain/term/{term.id}"))
            for term in terms
            if term.level == level
        ]
        parts += [tag("h2", f"Terms: {LEVEL_TITLES[level]}"), tag("ul", items, class_="key")]
    for layer in reversed(Layer):
        inside = [fault for fault in found if fault.layer is layer]
        if inside:
            items = [tag("li", tag("a", fault.title, href=f"/explain/{fault.id}")) for fault in inside]
            parts += [tag("h2", f"Faults: {LAYER_NAMES[layer]}"), tag("ul", items)]
    return join(parts)


def term_page(name: str, stack: Stack) -> Html | None:
    """A term and what it is on this machine; `None` where there is no such term."""
    try:
        term = find_term(name)
    except WrongUse:
        return None
    found = explain_on(term, stack)
    parts = [tag("h2", term.title)]
    parts += [tag("p", f"also: {', '.join(term.also)}", class_="soft")] if term.also else []
    parts += [tag("p", piece) for piece in term.text.split("\n\n")]
    parts += [tag("p", f"Source: {term.source}", class_="soft"), tag("h3", "On this machine")]
    rows = [
        (
            f"{fact.layer} {fact.name}",
            words(fact.value, fact.name) if fact.seen is Seen.KNOWN else fact.why or "not there",
            fact.source,
        )
        for fact in found.facts
    ]
    if rows:
        parts.append(table(("fact", "value", "source"), rows, caption="what was read", right=frozenset()))
    parts += [tag("p", f"{missing}: nothing of it could be looked at here") for missing in found.missing]
    if term.look:
        parts.append(tag("p", "To see it yourself: ", tag("code", term.look)))
    faults = [tag("li", tag("a", title, href=f"/explain/{fault}")) for fault, title in found.faults]
    parts += [tag("h3", "What goes wrong with it"), tag("ul", faults)] if faults else []
    parts += [tag("h3", "Try it"), *(tag("p", piece) for piece in term.try_it.split("\n\n"))]
    see = [tag("li", tag("a", title, href=f"/explain/term/{other}")) for other, title in found.see]
    return join([*parts, tag("h3", "See also"), tag("ul", see, class_="key")])


def _are_in(words: str, text: str) -> bool:
    return all(word in text.lower() for word in words.lower().split())


def _holds(fault: Fault, words: str) -> bool:
    return _are_in(words, f"{fault.id} {fault.title} {fault.symptom} {fault.reason}")


def fault_page(name: str) -> Html | None:
    """All that one fault says of itself; `None` where there is no such fault."""
    try:
        fault = get_fault(name)
    except WrongUse:
        return None
    parts = [
        tag("h2", fault.title),
        tag("p", tag("strong", "what one sees "), fault.symptom),
        tag("p", tag("strong", "why "), fault.reason),
    ]
    parts += [tag("p", tag("strong", "limits "), fault.limits)] if fault.limits else []
    steps = []
    for step in fault.steps:
        sudo = "sudo " if step.needs_root else ""
        command = tag("pre", f"$ {sudo}{quoted(step.command, {})}") if step.command else None
        undo = f"; undo: {step.undo}" if step.undo else ""
        steps.append(tag("li", step.say, command, tag("p", f"{step.safety.value}{undo}", class_="soft")))
    parts += [tag("h3", "Steps"), tag("ol", steps), tag("p", tag("code", f"bringup fix {fault.id}"))]
    sources = [tag("li", tag("code", link)) for link in fault.sources]
    return join(
        [*parts, tag("h3", "Sources"), tag("ul", sources), tag("p", tag("a", "all faults", href="/explain"))]
    )
