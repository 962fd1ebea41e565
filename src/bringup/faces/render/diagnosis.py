"""A diagnosis as people read it: the one root first, its reason, its cure in order of cost."""

from __future__ import annotations

import textwrap

from bringup.actions.diagnosis.doctor import Examination, Verdict
from bringup.actions.diagnosis.recurrence import Recurrence
from bringup.actions.diagnosis.steps import quoted, typed_command, values_of
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import format_duration
from bringup.faces.render.recurrence import history_words, next_words
from bringup.faults._diagnose import Finding, Role
from bringup.faults._fault import Certainty, Safety, Slot, Step

Line = tuple[str | Styled, ...]

_WIDTH = 78
_SAFETY = {
    Safety.LOOK: ("looks only", Style.DIM),
    Safety.SAFE: ("safe", Style.GREEN),
    Safety.DISRUPTIVE: ("disruptive", Style.YELLOW),
    Safety.RISKY: ("risky", Style.RED),
}


def render_examination(examination: Examination) -> list[Line]:
    """The whole answer, blocks apart by one empty line."""
    lines: list[Line] = []
    for finding in examination.diagnosis.roots:
        followers = [
            other.fault.title
            for other in examination.diagnosis.findings
            if other.role is Role.FOLLOWS and finding.fault.id in other.explained_by
        ]
        past = examination.histories.get(finding.fault.id)
        lines += [*_finding(finding, followers, past), ("",)]
    lines += _looks(examination)
    return lines


def _finding(finding: Finding, followers: list[str], past: Recurrence | None) -> list[Line]:
    fault, evidence = finding.fault, finding.evidence
    word = "" if evidence.certainty is Certainty.SURE else "likely: "
    lines = heading(f"{word}{fault.title}", fault.id)
    lines += labelled("saw", evidence.saw)
    lines += labelled("expected", evidence.expected)
    if evidence.sources:
        lines += labelled("where", ", ".join(evidence.sources))
    lines += labelled("reason", fault.reason)
    if evidence.decides:
        lines += labelled("decides", evidence.decides)
    if followers:
        lines += labelled("explains", "; ".join(followers))
    lines += _history(past, len(steps_of(finding)))
    lines.append(("",))
    values = dict(evidence.values)
    for number, step in enumerate(steps_of(finding), start=1):
        lines += render_step(number, step, values)
    return lines


def _history(past: Recurrence | None, n_steps: int) -> list[Line]:
    if past is None:
        return []
    told = (("history", history_words(past)), ("next", next_words(past, n_steps)))
    return [line for label, words in told if words for line in labelled(label, words)]


def heading(title: str, fault_id: str) -> list[Line]:
    """A fault's title and, where there is room beside it, its id; else the id below."""
    *above, last = wrapped(title, _WIDTH)
    lines: list[Line] = [(Styled(line, Style.BOLD),) for line in above]
    shown_id = Styled(f"[{fault_id}]", Style.DIM)
    if len(last) + len(shown_id.text) + 2 <= _WIDTH:
        return [*lines, (Styled(last, Style.BOLD), "  ", shown_id)]
    return [*lines, (Styled(last, Style.BOLD),), ("  ", shown_id)]


def wrapped(text: str, width_columns: int) -> list[str]:
    """A text in lines; one line at least. Ids and options are not cut at their hyphens."""
    return textwrap.wrap(text, width_columns, break_on_hyphens=False) or [""]


def steps_of(finding: Finding) -> tuple[Step, ...]:
    """The steps worked out from this machine's facts, else the fault's own."""
    return finding.evidence.steps or finding.fault.steps


def render_step(number: int, step: Step, values: dict[Slot, str], *, is_root: bool = False) -> list[Line]:
    """One step: what, how safe, the command, what it touches, undo, verification; `sudo` for who needs it."""
    values = values_of(step, values)
    word, style = _SAFETY[step.safety]
    first, *rest = wrapped(step.say, _WIDTH - 5)
    lines: list[Line] = [(f"  {number}. {first}",)]
    lines += [(f"     {line}",) for line in rest]
    if step.command:
        lines.append(("       ", Styled(f"$ {typed_command(step, values, is_root=is_root)}", Style.CYAN)))
    safety = f"{word}; touches {step.touches}" if step.touches else word
    first, *rest = wrapped(safety, _WIDTH - 7)
    lines.append(("       ", Styled(first[: len(word)], style), Styled(first[len(word) :], Style.DIM)))
    lines += [("       ", Styled(line, Style.DIM)) for line in rest]
    if step.undo and step.safety is not Safety.LOOK:
        lines += _dim("undo", step.undo)
    if step.verify:
        lines += _dim("verify", quoted(step.verify, values))
    return lines


def labelled(label: str, text: str) -> list[Line]:
    """A labelled text, wrapped beside its label."""
    first, *rest = wrapped(text, _WIDTH - 12)
    lines: list[Line] = [("  ", Styled(f"{label:9}", Style.DIM), " ", first)]
    return lines + [(" " * 12 + line,) for line in rest]


def _dim(label: str, text: str) -> list[Line]:
    return [("       ", Styled(line, Style.DIM)) for line in wrapped(f"{label}: {text}", _WIDTH - 9)]


def _looks(examination: Examination) -> list[Line]:
    lines: list[Line] = []
    if examination.verdict is Verdict.HEALTHY:
        where = f"on {examination.subject}" if examination.looks else f"in {examination.subject}"
        lines.append((Styled(f"No fault found {where}.", Style.GREEN),))
    elif examination.open_questions:
        told = f"Cannot tell: {examination.subject} says that something failed, and no line of it says why."
        lines += [(Styled(line, Style.YELLOW),) for line in wrapped(told, _WIDTH)]
    elif not examination.diagnosis.findings:
        lines.append(
            (
                Styled(
                    f"No fault found, but not everything on {examination.subject} could be seen.",
                    Style.YELLOW,
                ),
            )
        )
    for look in examination.could_not_tell:
        lines.append((f"  {look.layer}: could not be looked at: {look.problem}",))
    for unseen in examination.unseen:
        lines.append((f"  {unseen.what}: {unseen.why} ({unseen.source})",))
        if unseen.decides:
            lines.append(("    to see it: ", Styled(f"$ {unseen.decides}", Style.CYAN)))
    for crash in examination.diagnosis.crashed:
        lines.append((f"  {crash.fault_id}: our own rule failed ({crash.problem}); it says nothing",))
    for bad in examination.bad_builds:
        lines += [(Styled(line, Style.YELLOW),) for line in wrapped(bad.sentence(), _WIDTH)]
    if examination.looks:
        longest = max(look.took_s for look in examination.looks)
        names = ", ".join(look.layer for look in examination.looks)
        looked = wrapped(f"Looked at {names} in {format_duration(longest)}.", _WIDTH)
        lines += [(Styled(line, Style.DIM),) for line in looked]
    return lines
