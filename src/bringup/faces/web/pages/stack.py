"""The stack as the layers it is: root faults marked, followers less bright, facts on a click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bringup.actions.doctor import Examination
from bringup.actions.facts import Fact, Seen, list_facts
from bringup.actions.overview import PARTS_OF_LAYER, LayerView, State, view_layers
from bringup.actions.steps import quoted
from bringup.faces.render.diagnosis import steps_of
from bringup.faces.render.facts import words
from bringup.faces.render.stack import LAYER_NAMES, summarise
from bringup.faces.web.html import Html, join, tag
from bringup.faults._diagnose import Finding, Role
from bringup.faults._fault import Layer

_MARKS: Final = {
    State.FINE: "ok",
    State.FAULT: "fault",
    State.FOLLOWS: "follows",
    State.UNSEEN: "unseen",
}
_FACTS_SHOWN: Final = 200
_KERNEL_SPACE: Final = frozenset({Layer.HARDWARE, Layer.KERNEL})


def stack_parts(examination: Examination | None) -> dict[str, Html]:
    """The page's one part."""
    if examination is None:
        return {"stack": tag("p", "The doctor is looking at the machine.")}
    views = view_layers(examination)
    facts = list_facts(examination.stack)
    return {"stack": join([_verdict(examination), _picture(examination, views, facts)])}


def _verdict(examination: Examination) -> Html:
    roots = examination.diagnosis.roots
    if not roots:
        words = examination.verdict.name.lower().replace("_", " ")
        return tag("p", f"The doctor says of {examination.subject}: {words}.")
    items = [tag("li", tag("a", root.fault.title, href=f"#fault-{root.fault.id}")) for root in roots]
    return join([tag("p", f"Root faults of {examination.subject}:"), tag("ul", items)])


def _picture(examination: Examination, views: tuple[LayerView, ...], facts: tuple[Fact, ...]) -> Html:
    rows: list[Html] = []
    is_below = False
    for view in reversed(views):
        if view.layer in _KERNEL_SPACE and not is_below:
            rows.append(tag("div", "user space above, kernel space below", class_="border"))
            is_below = True
        rows.append(_layer(examination, view, facts))
    return tag("div", rows, class_="stack")


def _layer(examination: Examination, view: LayerView, facts: tuple[Fact, ...]) -> Html:
    says = view.findings[0].fault.title if view.findings else view.problem
    says = says or summarise(view.layer, examination.stack)
    head = tag(
        "summary",
        tag("strong", LAYER_NAMES[view.layer]),
        tag("span", _MARKS[view.state], class_="mark"),
        tag("span", says, class_="says"),
    )
    mine = [fact for fact in facts if fact.layer in PARTS_OF_LAYER.get(view.layer, ())]
    inside = [_finding(finding) for finding in view.findings] + [_facts(mine)]
    return tag(
        "details",
        head,
        inside,
        class_=f"layer {view.state.value}",
        id=f"layer-{view.layer.name.lower()}",
        open=view.state is State.FAULT,
    )


def _finding(finding: Finding) -> Html:
    fault, evidence = finding.fault, finding.evidence
    values = dict(evidence.values)
    steps = []
    for step in steps_of(finding):
        command = quoted(step.command, values | dict(step.values)) if step.command else ""
        sudo = "sudo " if step.needs_root else ""
        shown = tag("pre", f"$ {sudo}{command}") if command else None
        undo = f" Undo: {step.undo}." if step.undo else ""
        steps.append(tag("li", step.say, shown, tag("p", f"{step.safety.value}.{undo}", class_="soft")))
    head = fault.title if finding.role is Role.ROOT else f"{fault.title} (follows from another fault)"
    rows = [
        tag("h3", head, id=f"fault-{fault.id}"),
        tag("p", tag("strong", "saw "), evidence.saw),
        tag("p", tag("strong", "expected "), evidence.expected) if evidence.expected else Html(""),
        tag("p", tag("strong", "why "), fault.reason),
        tag("p", tag("strong", "where "), ", ".join(evidence.sources)) if evidence.sources else Html(""),
    ]
    if finding.role is Role.ROOT and steps:
        rows += [
            tag("ol", steps),
            tag("p", "It is walked through by ", tag("code", f"bringup fix {fault.id}")),
        ]
    rows.append(tag("p", tag("a", f"the page of {fault.id}", href=f"/explain/{fault.id}")))
    return join(rows)


def _facts(facts: Iterable[Fact]) -> Html:
    shown = list(facts)[:_FACTS_SHOWN]
    if not shown:
        return tag("p", "Nothing was looked at here.", class_="soft")
    rows = [
        tag("tr", tag("td", fact.name), tag("td", _value(fact)), tag("td", fact.source, class_="soft"))
        for fact in shown
    ]
    head = tag("tr", *(tag("th", title, scope="col") for title in ("fact", "value", "source")))
    inside = tag("table", tag("thead", head), tag("tbody", rows))
    return tag(
        "div", inside, class_="scroll", tabindex=0, role="region", aria_label="facts with their sources"
    )


def _value(fact: Fact) -> str:
    if fact.seen is Seen.UNREADABLE:
        return f"could not be looked at: {fact.why}"
    return "not there" if fact.seen is Seen.ABSENT else words(fact.value, fact.name)
