"""The faults that the doctor knows, to search and to read."""

from __future__ import annotations

from bringup.actions.faults import get_fault, list_faults
from bringup.actions.steps import quoted
from bringup.errors import WrongUse
from bringup.faces.render.stack import LAYER_NAMES
from bringup.faces.web.html import Html, join, tag
from bringup.faults._fault import Fault, Layer


def fault_index(words: str) -> Html:
    """All faults that hold the words, by layer, under a search form."""
    field = tag("label", "Words", tag("input", name="q", value=words, type="search"))
    form = tag(
        "form", field, tag("button", "Search", type="submit"), method="get", action="/explain", role="search"
    )
    found = [fault for fault in list_faults() if _holds(fault, words)]
    parts = [form, tag("p", f"{len(found)} faults", role="status")]
    for layer in reversed(Layer):
        inside = [fault for fault in found if fault.layer is layer]
        if inside:
            items = [tag("li", tag("a", fault.title, href=f"/explain/{fault.id}")) for fault in inside]
            parts += [tag("h2", LAYER_NAMES[layer]), tag("ul", items)]
    return join(parts)


def _holds(fault: Fault, words: str) -> bool:
    text = f"{fault.id} {fault.title} {fault.symptom} {fault.reason}".lower()
    return all(word in text for word in words.lower().split())


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
