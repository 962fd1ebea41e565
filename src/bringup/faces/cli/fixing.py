"""The walk through a fix: show all, ask before each step, run, look, say what is true at the end."""

from __future__ import annotations

from bringup.actions.diagnosis.doctor import choose_machine, examine
from bringup.actions.diagnosis.faults import get_fault
from bringup.actions.fixing.fix import FixPlan, PlannedStep, Way, choose_steps, plan_fix
from bringup.actions.fixing.run import (
    Event,
    FixRun,
    Judged,
    Looked,
    NotNoted,
    Printed,
    Ran,
    hold_fixes,
    is_noted_as_root,
    keep_fix,
    look_again,
)
from bringup.actions.fixing.unfinished import UnfinishedFixes, list_unfinished
from bringup.actions.journal.fix_record import FixRecord
from bringup.errors import BringupError, WrongUse
from bringup.faces.render.console import Console, Reply
from bringup.faces.render.errors import render_error
from bringup.faces.render.fix import (
    Quotation,
    question,
    render_end,
    render_failure,
    render_judged,
    render_look,
    render_plan,
    render_planned,
    render_verdict,
)
from bringup.faces.render.fix_json import plan_json
from bringup.faces.render.unfinished import render_unfinished
from bringup.machine.effects import Answered
from bringup.records import dataclass

_EXIT = {True: 0, False: 1, None: 3}


@dataclass(frozen=True, slots=True)
class FixOptions:
    """What was typed: the fault's id, the step that is wanted, another machine to show it for."""

    fault: str
    number: int | None
    root: str | None
    recording: str | None
    dry_run: bool
    as_json: bool

    @property
    def is_here(self) -> bool:
        """Whether it is about this machine."""
        return self.root is None and self.recording is None


def fix(console: Console, options: FixOptions) -> int:
    """Show the steps, or walk through them.

    Raises:
        WrongUse: no such fault or step, no terminal to say yes at, options that contradict each other.
        Failure: the fault is not there, or another `bringup fix` runs.
        CannotTell: it was not found, and not everything could be seen.
    """
    only_show = options.dry_run or not options.is_here
    if options.as_json and not only_show:
        raise WrongUse("--json only shows, and runs nothing", hint="Add --dry-run.")
    fault = get_fault(options.fault)
    if only_show:
        return _show_plan(console, fault.id, options)
    if not (console.is_interactive and console.note_terminal.is_terminal):
        raise WrongUse(
            "without a terminal nobody can say yes, so nothing is run",
            hint="Type the command at a terminal, or add --dry-run to see the steps.",
            reference="no-terminal",
        )
    return walk_here(console, fault.id, options.number)


def _show_plan(console: Console, fault_id: str, options: FixOptions) -> int:
    machine, subject = choose_machine(root=options.root, recording=options.recording)
    plan = plan_fix(examine(machine, subject=subject), fault_id, is_this_machine=options.is_here)
    plan = choose_steps(plan, options.number)
    unfinished = list_unfinished() if options.is_here else None
    if options.as_json:
        console.answer_json(plan_json(plan, unfinished))
        return 0
    for line in render_unfinished(unfinished, console.reading_columns) if unfinished is not None else []:
        console.answer(*line)
    show_plan(console, plan)
    return 0


def show_plan(console: Console, plan: FixPlan) -> None:
    """All steps; nothing runs."""
    for line in render_plan(plan, console.reading_columns):
        console.answer(*line)


def walk_here(console: Console, fault_id: str, number: int | None) -> int:
    """The walk on this machine: what was cut short first, then all steps, then one after the other.

    Raises:
        Failure: the fault is not there, or another `bringup fix` runs.
        CannotTell: it was not found, and not everything could be seen.
    """
    with hold_fixes() as record:
        unfinished = list_unfinished()
        console.status("looking at the machine")
        examination = look_again()
        settle(console, record, unfinished, fault_id)
        plan = choose_steps(plan_fix(examination, fault_id, is_this_machine=True), number)
        show_plan(console, plan)
        console.answer("Nothing runs without a yes to it. Ctrl-D ends the walk.")
        return walk(console, FixRun(plan, record, look_again), plan.steps)


def walk(console: Console, run: FixRun, steps: tuple[PlannedStep, ...]) -> int:
    """Take the steps that a person says yes to; the exit code says whether the fault is gone."""
    has_run = False
    for planned in steps:
        reply = _offer(console, run, planned)
        if reply is Reply.END:
            console.line("No more answers: nothing more is run.")
            break
        if reply is Reply.YES and planned.way is Way.HERE:
            if is_noted_as_root() and not has_run:
                console.line("What is run is noted in root's own log: sudo bringup log shows it.")
            has_run = True
            if planned.restarts:
                console.answer("Once it has restarted, bringup doctor says whether the fault is gone.")
                return 0
    console.answer("")
    if not has_run:
        console.answer("Nothing was run.")
    console.answer(*render_verdict(fault_gone=run.fault_gone))
    return _EXIT[run.fault_gone]


def settle(console: Console, record: FixRecord, unfinished: UnfinishedFixes, fault_id: str) -> None:
    """Tell what is unknown of earlier fixes of this fault, and ask whether a person has looked."""
    for line in render_unfinished(unfinished, console.reading_columns):
        console.answer(*line)
    for fix in unfinished.fixes:
        if fix.fault_id != fault_id or fix.running_as:
            continue
        reply = console.ask_typed_yes(
            f"Step {fix.attempt.step}, begun {fix.began}: settled? Type yes, or Enter to be told again:"
        )
        if reply is Reply.YES:
            record.settle(fix.attempt)
            keep_fix(fix.attempt, end=None, fault_gone=None)


def _offer(console: Console, run: FixRun, planned: PlannedStep) -> Reply:
    """Show one step and ask; whether it was taken."""
    console.answer("")
    for line in render_planned(planned, console.reading_columns, is_root=run.plan.is_root):
        console.answer(*line)
    if planned.way is Way.HERE:
        reply = console.ask_typed_yes(question(planned, run.plan.count))
        return _take(console, run, planned) if reply is Reply.YES else reply
    can_be_done = planned.way in (Way.NEEDS_ROOT, Way.DIALOGUE)
    is_done_by_person = can_be_done or (planned.way is Way.BY_HAND and planned.verify)
    if is_done_by_person and not planned.restarts:
        reply = console.ask_typed_yes("Done by you? Type yes to look whether it worked, Enter to go on:")
        if reply is Reply.YES:
            for event in run.verify(planned):
                _show(console, event)
        return reply
    return Reply.NO


def _take(console: Console, run: FixRun, planned: PlannedStep) -> Reply:
    """Run it and show what comes; the end of answers where it was left running."""
    console.forget_typed()
    quotation = Quotation()
    reply = Reply.YES
    try:
        for event in run.take(planned, stdin=console.stdin):
            if isinstance(event, Printed):
                console.answer_piece(quotation.feed(event.text))
                continue
            if isinstance(event, Answered):
                quotation.answered()
                continue
            console.answer_piece(quotation.end())
            _show(console, event)
            if isinstance(event, Ran) and not event.end.is_known:
                reply = Reply.END
            elif isinstance(event, Ran) and not event.end.is_success:
                for line in render_failure(planned, console.reading_columns):
                    console.answer(*line)
    except BringupError as problem:
        console.answer_piece(quotation.end())
        for line in render_error(problem, console.note_terminal):
            console.line(*line)
    return reply


def _show(console: Console, event: Event) -> None:
    """One event that is not a piece of output."""
    if isinstance(event, Ran):
        console.answer(*render_end(event.end))
    elif isinstance(event, Looked):
        for line in render_look(event):
            console.answer(*line)
    elif isinstance(event, Judged):
        console.answer(*render_judged(fault_gone=event.fault_gone))
    elif isinstance(event, NotNoted):
        console.line("could not note it: ", event.why)
