"""A diagnosis as people read it: the one root first, its reason, its cure in order of cost."""

from __future__ import annotations

import textwrap
from typing import Final

from bringup.actions.diagnosis.doctor import Examination, Verdict
from bringup.actions.diagnosis.recurrence import Recurrence
from bringup.actions.diagnosis.steps import quoted, typed_command, values_of
from bringup.faces.render.console import READING_COLUMNS, Style, Styled
from bringup.faces.render.format import format_duration
from bringup.faces.render.recurrence import history_words, next_words
from bringup.faults._diagnose import Finding, Role
from bringup.faults._fault import Certainty, Safety, Slot, Step

Line = tuple[str | Styled, ...]

_LEAST_COLUMNS: Final = 12
_SAFETY = {
    Safety.LOOK: ("looks only", Style.DIM),
    Safety.SAFE: ("safe", Style.GREEN),
    Safety.DISRUPTIVE: ("disruptive", Style.YELLOW),
    Safety.RISKY: ("risky", Style.RED),
}


def render_examination(examination: Examination, width_columns: int = READING_COLUMNS) -> list[Line]:
    """The whole answer, blocks apart by one empty line."""
    lines: list[Line] = []
    for finding in examination.diagnosis.roots:
        followers = [
            other.fault.title
            for other in examination.diagnosis.findings
            if other.role is Role.FOLLOWS and finding.fault.id in other.explained_by
        ]
        past = examination.histories.get(finding.fault.id)
        lines += [*_finding(finding, followers, past, width_columns), ("",)]
    lines += _looks(examination, width_columns)
    return lines


def _finding(
    finding: Finding, followers: list[str], past: Recurrence | None, width_columns: int
) -> list[Line]:
    fault, evidence = finding.fault, finding.evidence
    word = "" if evidence.certainty is Certainty.SURE else "likely: "
    lines = heading(f"{word}{fault.title}", fault.id, width_columns)
    lines += labelled("saw", evidence.saw, width_columns)
    lines += labelled("expected", evidence.expected, width_columns)
    if evidence.sources:
        lines += labelled("where", ", ".join(evidence.sources), width_columns)
    lines += labelled("reason", fault.reason, width_columns)
    if evidence.decides:
        lines += labelled("decides", evidence.decides, width_columns)
    if followers:
        lines += labelled("explains", "; ".join(followers), width_columns)
    lines += _history(past, len(steps_of(finding)), width_columns)
    lines.append(("",))
    values = dict(evidence.values)
    for number, step in enumerate(steps_of(finding), start=1):
        lines += render_step(number, step, values, width_columns)
    return lines


def _history(past: Recurrence | None, n_steps: int, width_columns: int) -> list[Line]:
    if past is None:
        return []
    told = (("history", history_words(past)), ("next", next_words(past, n_steps)))
    return [line for label, words in told if words for line in labelled(label, words, width_columns)]


def heading(title: str, fault_id: str, width_columns: int = READING_COLUMNS) -> list[Line]:
    """A fault's title and, where there is room beside it, its id; else the id below."""
    *above, last = wrapped(title, width_columns)
    lines: list[Line] = [(Styled(line, Style.BOLD),) for line in above]
    shown_id = Styled(f"[{fault_id}]", Style.DIM)
    if len(last) + len(shown_id.text) + 2 <= width_columns:
        return [*lines, (Styled(last, Style.BOLD), "  ", shown_id)]
    return [*lines, (Styled(last, Style.BOLD),), ("  ", shown_id)]


def wrapped(text: str, width_columns: int) -> list[str]:
    """A text in lines; one line at least. Ids and options are not cut at their hyphens."""
    width_columns = max(width_columns, _LEAST_COLUMNS)
    return textwrap.wrap(text, width_columns, break_on_hyphens=False) or [""]


def steps_of(finding: Finding) -> tuple[Step, ...]:
    """The steps worked out from this machine's facts, else the fault's own."""
    return finding.evidence.steps or finding.fault.steps


def render_step(
    number: int,
    step: Step,
    values: dict[Slot, str],
    width_columns: int = READING_COLUMNS,
    *,
    is_root: bool = False,
) -> list[Line]:
    """One step: what, how safe, the command, what it touches, undo, verification; `sudo` for who needs it."""
    values = values_of(step, values)
    word, style = _SAFETY[step.safety]
    lead = f"  {number}. "
    first, *rest = wrapped(step.say, width_columns - len(lead))
    lines: list[Line] = [(f"{lead}{first}",)]
    lines += [(f"{' ' * len(lead)}{line}",) for line in rest]
    if step.command:
        lines.append(("       ", Styled(f"$ {typed_command(step, values, is_root=is_root)}", Style.CYAN)))
    first, *rest = wrapped(safety_words(step), width_columns - 7)
    lines.append(("       ", Styled(first[: len(word)], style), Styled(first[len(word) :], Style.DIM)))
    lines += [("       ", Styled(line, Style.DIM)) for line in rest]
    if step.undo and step.safety is not Safety.LOOK:
        lines += _dim("undo", step.undo, width_columns)
    if step.verify:
        lines += _dim("verify", quoted(step.verify, values), width_columns)
    return lines


def safety_words(step: Step) -> str:
    """`disruptive; touches all running programs: they end`; `looks only`."""
    word, _ = _SAFETY[step.safety]
    return f"{word}; touches {step.touches}" if step.touches else word


def labelled(label: str, text: str, width_columns: int = READING_COLUMNS) -> list[Line]:
    """A labelled text, wrapped beside its label."""
    first, *rest = wrapped(text, width_columns - 12)
    lines: list[Line] = [("  ", Styled(f"{label:9}", Style.DIM), " ", first)]
    return lines + [(" " * 12 + line,) for line in rest]


def hanging(text: str, width_columns: int = READING_COLUMNS) -> list[Line]:
    """An item of a list: its further lines stand below its words."""
    first, *rest = wrapped(text, width_columns - 4)
    return [(f"  {first}",), *((f"    {line}",) for line in rest)]


def _dim(label: str, text: str, width_columns: int) -> list[Line]:
    laid = wrapped(f"{label}: {text}", width_columns - 9)
    return [("       ", Styled(line, Style.DIM)) for line in laid]


def _looks(examination: Examination, width_columns: int) -> list[Line]:
    lines: list[Line] = []
    if examination.verdict is Verdict.HEALTHY:
        where = f"on {examination.subject}" if examination.looks else f"in {examination.subject}"
        lines.append((Styled(f"No fault found {where}.", Style.GREEN),))
    elif examination.open_questions:
        told = f"Cannot tell: {examination.subject} says that something failed, and no line of it says why."
        lines += [(Styled(line, Style.YELLOW),) for line in wrapped(told, width_columns)]
    elif not examination.diagnosis.findings:
        told = f"No fault found, but not everything on {examination.subject} could be seen."
        lines += [(Styled(line, Style.YELLOW),) for line in wrapped(told, width_columns)]
    for look in examination.could_not_tell:
        lines += hanging(f"{look.layer}: could not be looked at: {look.problem}", width_columns)
    for unseen in examination.unseen:
        lines += hanging(f"{unseen.what}: {unseen.why} ({unseen.source})", width_columns)
        if unseen.decides:
            lines.append(("    to see it: ", Styled(f"$ {unseen.decides}", Style.CYAN)))
    for crash in examination.diagnosis.crashed:
        told = f"{crash.fault_id}: our own rule failed ({crash.problem}); it says nothing"
        lines += hanging(told, width_columns)
    for bad in examination.bad_builds:
        lines += [(Styled(line, Style.YELLOW),) for line in wrapped(bad.sentence(), width_columns)]
    if examination.looks:
        longest = max(look.took_s for look in examination.looks)
        names = ", ".join(look.layer for look in examination.looks)
        looked = wrapped(f"Looked at {names} in {format_duration(longest)}.", width_columns)
        lines += [(Styled(line, Style.DIM),) for line in looked]
    return lines
