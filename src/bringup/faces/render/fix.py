"""A fix as a person reads it: the steps before any runs, each step's outcome, what is true at the end."""

from __future__ import annotations

import re
from typing import Final

from bringup.actions.fixing.fix import FixPlan, PlannedStep, Way
from bringup.actions.fixing.run import Looked
from bringup.faces.render.clean import Cleaner
from bringup.faces.render.console import READING_COLUMNS, Style, Styled
from bringup.faces.render.diagnosis import heading, labelled, render_step, wrapped
from bringup.faults._diagnose import Role
from bringup.faults._fault import Safety
from bringup.machine.effects import EffectEnd
from bringup.reading import Absent, Unreadable

Line = tuple[str | Styled, ...]

_BAR: Final = "  | "
_SHOWN_LINES: Final = 200


class Quotation:
    """Foreign output, cleaned, with a bar before each of its lines: none of them can pass for one of ours.

    Of a line that is written over and over (progress, by carriage returns) the last state stands.
    """

    def __init__(self) -> None:
        self._cleaner = Cleaner()
        self._is_at_start = True
        self._is_rewritten = False
        self._waits = ""

    def feed(self, piece: str) -> str:
        """The next piece, ready to be written."""
        piece = (self._waits + piece).replace("\r\n", "\n")
        self._waits = "\r" if piece.endswith("\r") else ""
        shown = ""
        line_began = 0 if self._is_at_start else None
        for part in re.split(r"([\n\r])", piece.removesuffix("\r")):
            text = self._cleaner.feed(part)
            if part == "\n":
                shown += (_BAR if self._is_at_start else "") + "\n"
                self._is_at_start, self._is_rewritten, line_began = True, False, len(shown)
            elif part == "\r":
                self._is_rewritten = True
            elif text:
                if self._is_rewritten and not self._is_at_start:
                    shown = shown[:line_began] if line_began is not None else shown + "\n"
                    self._is_at_start, line_began = True, len(shown)
                shown += (_BAR if self._is_at_start else "") + text
                self._is_at_start = self._is_rewritten = False
        return shown

    def answered(self) -> None:
        """A person ended the line by typing to the command."""
        self._is_at_start, self._is_rewritten = True, False

    def end(self) -> str:
        """What is lacking to the end of the last line."""
        return "" if self._is_at_start else "\n"


def render_plan(plan: FixPlan, width_columns: int = READING_COLUMNS) -> list[Line]:
    """Fault, evidence and every step, before anything is asked."""
    fault, evidence = plan.finding.fault, plan.finding.evidence
    lines: list[Line] = [*heading(fault.title, fault.id, width_columns)]
    lines += labelled("saw", evidence.saw, width_columns)
    lines += labelled("expected", evidence.expected, width_columns)
    lines += labelled("reason", fault.reason, width_columns)
    if plan.finding.role is Role.FOLLOWS:
        first = plan.finding.explained_by[0]
        lines += labelled("follows", f"from {first}: cure that first (bringup fix {first})", width_columns)
    lines.append(("",))
    for planned in plan.steps:
        lines += render_planned(planned, width_columns, is_root=plan.is_root)
    lines.append(("",))
    return lines


def render_planned(
    planned: PlannedStep, width_columns: int = READING_COLUMNS, *, is_root: bool
) -> list[Line]:
    """One step, and why it does not run here where it does not."""
    lines = render_step(planned.number, planned.step, planned.values, width_columns, is_root=is_root)
    return lines + [
        ("       ", Styled(line, Style.DIM)) for line in wrapped(_way(planned), width_columns - 7) if line
    ]


def _way(planned: PlannedStep) -> str:
    return {
        Way.HERE: "",
        Way.BY_HAND: "by hand: there is nothing to run",
        Way.NEEDS_ROOT: "needs root, which bringup never takes: type it yourself in another terminal",
        Way.UNFILLED: f"not run from here: {planned.why}",
        Way.NOT_INSTALLED: f"not run from here: {planned.why}",
        Way.DIALOGUE: "asks questions of its own: type it yourself in another terminal",
        Way.ELSEWHERE: "",
    }[planned.way]


def question(planned: PlannedStep, count: int) -> str:
    """What is asked before a step; no foreign word is in it."""
    word = "" if planned.step.safety in (Safety.LOOK, Safety.SAFE) else f" ({planned.step.safety.value})"
    return f"Step {planned.number} of {count}{word}. Type yes to run it, Enter to leave it out:"


def render_end(end: EffectEnd) -> Line:
    """How a command ended."""
    if end.exit_code == 0:
        return (Styled("  done", Style.GREEN), " (exit code 0)")
    if end.exit_code is not None:
        return (Styled("  failed", Style.RED), f" (exit code {end.exit_code})")
    if end.signal_number is not None:
        return (Styled("  failed", Style.RED), f" (ended by signal {end.signal_number})")
    return (Styled("  left", Style.YELLOW), ": it goes on running, and how it ends is not known")


def render_failure(planned: PlannedStep, width_columns: int = READING_COLUMNS) -> list[Line]:
    """What follows from a step that failed."""
    undo = f" To take back what it did: {planned.step.undo}." if planned.step.undo else ""
    text = f"The steps after it may need it: leave them out where in doubt.{undo}"
    return [(f"  {line}",) for line in wrapped(text, width_columns - 2)]


def render_look(looked: Looked) -> list[Line]:
    """What a look printed, bounded, and how it came out."""
    reading = looked.reading
    if isinstance(reading, Absent):
        return [(f"  could not look: {looked.argv[0]} is not in the system's folders",)]
    if isinstance(reading, Unreadable):
        return [(f"  could not look: {reading.why}",)]
    lines = Quotation().feed(reading.value.stdout + reading.value.stderr).rstrip("\n").split("\n")
    shown: list[Line] = [(line,) for line in lines[:_SHOWN_LINES] if line]
    if len(lines) > _SHOWN_LINES:
        shown.append((Styled(f"  ({len(lines) - _SHOWN_LINES:,} more lines)", Style.DIM),))
    code = reading.value.exit_code
    word = "its own check" if looked.is_verification else "looked"
    return [*shown, (f"  {word}: exit code {code}" + ("" if code == 0 else ", which says no"),)]


def render_judged(*, fault_gone: bool | None) -> Line:
    """What the doctor says after a step."""
    word = {True: "the fault is gone", False: "the fault is still there", None: "it cannot tell"}[fault_gone]
    return (f"  the doctor: {word}",)


def render_verdict(*, fault_gone: bool | None) -> Line:
    """What is true at the end of the walk."""
    if fault_gone is None:
        return (Styled("Cannot tell", Style.YELLOW), " whether the fault is gone: bringup doctor says why.")
    if fault_gone:
        return (Styled("The fault is gone.", Style.GREEN),)
    return (Styled("The fault is still there.", Style.YELLOW),)
