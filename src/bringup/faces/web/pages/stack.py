"""The stack as the layers it is: root faults marked, followers less bright, facts on a click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bringup.actions.diagnosis.doctor import Examination, Verdict
from bringup.actions.diagnosis.facts import Fact, Seen, list_facts
from bringup.actions.diagnosis.overview import PARTS_OF_LAYER, LayerView, State, view_layers
from bringup.actions.diagnosis.steps import quoted
from bringup.faces.render.diagnosis import safety_words, steps_of
from bringup.faces.render.facts import words
from bringup.faces.render.stack import LAYER_NAMES, summarise
from bringup.faces.web.html import Html, join, tag
from bringup.faces.web.pages.stack_parts import TERMS, StackPart, parts_of
from bringup.faces.web.widgets import command as command_to_copy
from bringup.faces.web.widgets import inline, more, pill
from bringup.faults._diagnose import Finding, Role
from bringup.faults._fault import Certainty, Layer, Safety

_MARKS: Final = {
    State.FINE: "ok",
    State.FAULT: "fault",
    State.FOLLOWS: "follows",
    State.UNSEEN: "unseen",
}
_PILLS: Final = {State.FINE: "fine", State.FAULT: "fault", State.FOLLOWS: "", State.UNSEEN: "warn"}
_FACTS_SHOWN: Final = 200
_STEPS_SHOWN: Final = 3
_SPACES: Final = (
    ("user space", frozenset(Layer) - {Layer.HARDWARE, Layer.KERNEL, Layer.MEMORY}),
    ("kernel space", frozenset({Layer.KERNEL, Layer.MEMORY})),
    ("hardware", frozenset({Layer.HARDWARE})),
)
"""From the top down: the kernel deals out main memory as it drives the card."""

_BORDERS: Final = ("system calls, /dev/nvidia*", "PCIe bus")
_VERDICTS: Final = {
    Verdict.HEALTHY: ("fine", "Healthy: nothing is wrong that the doctor knows of."),
    Verdict.CANNOT_TELL: ("", "No fault was found, and not everything could be seen."),
}


def stack_parts(examination: Examination | None, *, embedded: str | None = None) -> dict[str, Html]:
    """The page's one part; `embedded` is the version of an engine that needs no build."""
    if examination is None:
        return {"stack": tag("section", tag("p", "The doctor is looking at the machine."), class_="panel")}
    views = view_layers(examination)
    facts = list_facts(examination.stack)
    return {"stack": join([_verdict(examination), _picture(examination, views, facts, embedded)])}


def look_again() -> Html:
    """A button that has the doctor look again; it needs the script."""
    button = tag("button", "Look again", type="submit")
    return tag("form", button, action="/doctor", method="post", data_action=True, class_="needs-script right")


def _verdict(examination: Examination) -> Html:
    roots = examination.diagnosis.roots
    if not roots:
        look, words = _VERDICTS[examination.verdict]
        unseen = [tag("li", f"{one.what}: {one.why}") for one in examination.unseen]
        listed = tag("ul", unseen, class_="small soft") if unseen else Html("")
        return tag("section", tag("p", words, class_=f"verdict {look}".strip()), listed, class_="panel")
    items = [_root(root) for root in roots]
    head = tag("p", _count(examination), class_="verdict fault")
    return tag("section", head, tag("ol", items), class_="panel")


def _count(examination: Examination) -> str:
    """`1 root fault, 2 that follow, 1 foretold`."""
    roots = examination.diagnosis.roots
    ahead = sum(root.fault.is_ahead for root in roots)
    followers = len(examination.diagnosis.findings) - len(roots)
    open_ones = len(roots) - ahead
    words = [
        (open_ones, f"root fault{'s' if open_ones > 1 else ''}"),
        (followers, "that follow"),
        (ahead, "foretold: nothing fails yet" if not open_ones else "foretold"),
    ]
    return ", ".join(f"{count} {what}" for count, what in words if count)


def _root(root: Finding) -> Html:
    steps = steps_of(root)
    first = tag("p", f"First: {steps[0].say}", class_="soft") if steps else None
    link = tag("a", root.fault.title, href=f"#fault-{root.fault.id}")
    return tag("li", _rank(root), " ", link, first)


def _picture(
    examination: Examination, views: tuple[LayerView, ...], facts: tuple[Fact, ...], embedded: str | None
) -> Html:
    drawn: list[Html] = []
    for number, (name, layers) in enumerate(_SPACES):
        inside = [
            _layer(examination, view, facts, embedded) for view in reversed(views) if view.layer in layers
        ]
        if not inside:
            continue
        if number:
            drawn.append(tag("div", _BORDERS[number - 1], class_="divide"))
        drawn.append(tag("section", tag("h2", name), tag("div", inside), class_="space"))
    return join(drawn)


def _layer(examination: Examination, view: LayerView, facts: tuple[Fact, ...], embedded: str | None) -> Html:
    says = view.findings[0].fault.title if view.findings else view.problem
    says = says or summarise(view.layer, examination.stack) or "not looked at"
    parts = parts_of(view.layer, examination.stack)
    if view.layer is Layer.BUILD and embedded is not None:
        parts = (*parts, StackPart("embedded engine", embedded or "is here"))
    chips = [
        tag("span", tag("b", part.name), f" {part.state}", class_="chip" if part.is_there else "chip soft")
        for part in parts
    ]
    head = tag(
        "summary",
        tag("strong", LAYER_NAMES[view.layer]),
        pill(_MARKS[view.state], _PILLS[view.state]),
        tag(
            "span",
            tag("span", says) if view.findings or view.problem or not chips else None,
            tag("span", chips, class_="chips") if chips else None,
            class_="says",
        ),
    )
    mine = [fact for fact in facts if fact.layer in PARTS_OF_LAYER.get(view.layer, ())]
    name = view.layer.name.lower()
    seen = tag(
        "details",
        tag("summary", f"{len(mine)} facts with their sources"),
        _facts(mine),
        class_="more",
        id=f"facts-{name}",
        open=not view.findings,
    )
    term = tag("p", tag("a", "what this layer is", href=f"/explain/term/{TERMS[view.layer]}"), class_="small")
    inside = tag("div", [_finding(finding) for finding in view.findings], seen, term, class_="inside")
    return tag(
        "details",
        head,
        inside,
        class_=f"layer {view.state.value}",
        id=f"layer-{name}",
        open=view.state is State.FAULT,
    )


def _finding(finding: Finding) -> Html:
    fault, evidence = finding.fault, finding.evidence
    is_root = finding.role is Role.ROOT
    head = fault.title if is_root else f"{fault.title} (follows from {', '.join(finding.explained_by)})"
    told = (
        ("saw ", evidence.saw),
        ("expected ", evidence.expected),
        ("why ", fault.reason),
        ("where ", ", ".join(evidence.sources)),
        ("what would decide ", evidence.decides if evidence.certainty is not Certainty.SURE else ""),
    )
    rows = [tag("h3", _rank(finding), " ", head, id=f"fault-{fault.id}")]
    rows += [tag("p", tag("strong", name), words) for name, words in told if words]
    rows += _steps(finding) if is_root else []
    rows.append(tag("p", tag("a", f"the page of {fault.id}", href=f"/explain/{fault.id}")))
    return tag("div", rows, class_="finding" if is_root else "finding soft")


def _rank(finding: Finding) -> Html:
    if finding.role is not Role.ROOT:
        return pill("follows")
    if finding.fault.is_ahead:
        return pill("foretold", "warn")
    return pill("root fault" if finding.evidence.certainty is Certainty.SURE else "likely", "fault")


def _steps(finding: Finding) -> list[Html]:
    """The first steps, the others behind a click."""
    values = dict(finding.evidence.values)
    steps = []
    for step in steps_of(finding):
        command = quoted(step.command, values | dict(step.values)) if step.command else ""
        sudo = "sudo " if step.needs_root else ""
        typed = command_to_copy(f"{sudo}{command}") if command else None
        undo = f"; undo: {step.undo}" if step.undo and step.safety is not Safety.LOOK else ""
        steps.append(
            tag("li", *inline(step.say), typed, tag("p", f"{safety_words(step)}{undo}", class_="soft"))
        )
    if not steps:
        return []
    shown, rest = steps[:_STEPS_SHOWN], steps[_STEPS_SHOWN:]
    drawn = [tag("h4", "Steps, in order of cost"), tag("ol", shown)]
    if rest:
        others = tag("ol", rest, start=_STEPS_SHOWN + 1)
        drawn.append(more(f"{len(rest)} more steps", others, id_=f"steps-{finding.fault.id}"))
    return [*drawn, tag("p", "It is walked through by ", tag("code", f"bringup fix {finding.fault.id}"))]


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
