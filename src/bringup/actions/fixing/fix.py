"""A fault's steps as this machine can take them: what would run, word for word, and what cannot and why."""

from __future__ import annotations

from enum import Enum

from bringup.actions.diagnosis.doctor import Examination
from bringup.actions.diagnosis.faults import get_fault
from bringup.errors import BringupError, CannotTell, Failure, WrongUse
from bringup.faults._command import fill_command, fill_values, missing_slots, restarts_machine
from bringup.faults._diagnose import Finding
from bringup.faults._fault import Fault, Slot, Step
from bringup.machine import rights
from bringup.machine.effects import find_system_program
from bringup.records import dataclass, replace


class Way(Enum):
    """How a step gets done."""

    HERE = "here"
    """Runs here, after a yes."""
    BY_HAND = "by-hand"
    """No command: a person acts."""
    NEEDS_ROOT = "needs-root"
    """For a person to type with `sudo`; we never take rights."""
    UNFILLED = "unfilled"
    """A fact that the command needs is not known, or not of the form that is allowed."""
    NOT_INSTALLED = "not-installed"
    """The program is not in the system's folders."""
    DIALOGUE = "dialogue"
    """The command asks questions of its own: for a person to type."""
    ELSEWHERE = "elsewhere"
    """The machine that was examined is not this one."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step.

    Attributes:
        number: from 1.
        step: as the fault has it.
        values: what fills its slots.
        argv: exactly what runs; empty where nothing can.
        verify: argv of the look after it; empty where there is none, or a fact for it is missing.
        way: how it gets done.
        why: for UNFILLED and NOT_INSTALLED: what is missing.
    """

    number: int
    step: Step
    values: dict[Slot, str]
    argv: tuple[str, ...]
    verify: tuple[str, ...]
    way: Way
    why: str = ""

    @property
    def restarts(self) -> bool:
        """Whether it restarts the machine."""
        return restarts_machine(self.argv)


@dataclass(frozen=True, slots=True)
class FixPlan:
    """What `bringup fix` would do for one fault.

    Attributes:
        finding: the fault, with its evidence and role.
        steps: in order of cost; those that are wanted.
        count: how many there are in all.
        subject: the machine, in words.
        is_root: whether commands run with root's rights already.
    """

    finding: Finding
    steps: tuple[PlannedStep, ...]
    count: int
    subject: str
    is_root: bool


def plan_fix(examination: Examination, fault_id: str, *, is_this_machine: bool) -> FixPlan:
    """The steps of a fault that was found.

    Raises:
        WrongUse: there is no such fault; the hint names near ones.
        Failure: it is not there (`fault-not-found`).
        CannotTell: it was not found, and not everything could be seen.
    """
    fault = get_fault(fault_id)
    finding = find_finding(examination, fault.id)
    if finding is None:
        raise _not_found(fault, examination)
    is_root = is_this_machine and rights.is_root()
    evidence = dict(finding.evidence.values)
    steps = tuple(
        _planned(number, step, fill_values(step, evidence), is_this_machine=is_this_machine, is_root=is_root)
        for number, step in enumerate(finding.evidence.steps or fault.steps, start=1)
    )
    return FixPlan(finding, steps, len(steps), examination.subject, is_root)


def choose_steps(plan: FixPlan, number: int | None) -> FixPlan:
    """The plan with one step only; all of them for `None`.

    Raises:
        WrongUse: there is no step of that number.
    """
    if number is None:
        return plan
    steps = tuple(planned for planned in plan.steps if planned.number == number)
    if not steps:
        raise WrongUse(f"there is no step {number}: {plan.finding.fault.id} has {plan.count} here")
    return replace(plan, steps=steps)


def find_finding(examination: Examination, fault_id: str) -> Finding | None:
    """What was found of a fault, root or follower."""
    return next((one for one in examination.diagnosis.findings if one.fault.id == fault_id), None)


def is_gone(examination: Examination, fault_id: str) -> bool | None:
    """Whether a fault is not found any more; `None` where not everything that decides could be seen."""
    if find_finding(examination, fault_id) is not None:
        return False
    return None if is_blind(examination) else True


def is_blind(examination: Examination) -> bool:
    """Whether something that would decide could not be seen."""
    return bool(examination.could_not_tell or examination.unseen or examination.diagnosis.crashed)


def _planned(
    number: int, step: Step, values: dict[Slot, str], *, is_this_machine: bool, is_root: bool
) -> PlannedStep:
    argv = fill_command(step.command, values)
    verify = fill_command(step.verify, values) or ()
    if not step.command:
        return PlannedStep(number, step, values, (), verify, Way.BY_HAND)
    if argv is None:
        names = ", ".join(slot.name for slot in missing_slots(step.command, values))
        return PlannedStep(
            number, step, values, (), verify, Way.UNFILLED, f"no fact of this machine for {names}"
        )
    if not is_this_machine:
        return PlannedStep(number, step, values, argv, verify, Way.ELSEWHERE)
    if find_system_program(argv[0]) is None:
        why = f"{argv[0]} is not in the system's folders"
        return PlannedStep(number, step, values, argv, verify, Way.NOT_INSTALLED, why)
    way = Way.DIALOGUE if step.asks else Way.NEEDS_ROOT if step.needs_root and not is_root else Way.HERE
    return PlannedStep(number, step, values, argv, verify, way)


def _not_found(fault: Fault, examination: Examination) -> BringupError:
    others = ", ".join(finding.fault.id for finding in examination.diagnosis.roots)
    context = (f"faults found there: {others}",) if others else ()
    page = f"bringup faults {fault.id} shows its page, with the steps."
    if is_blind(examination):
        unseen = tuple(f"{look.layer}: {look.problem}" for look in examination.could_not_tell)
        unseen += tuple(f"{one.what}: {one.why}" for one in examination.unseen)
        return CannotTell(
            f"{fault.id} was not found on {examination.subject}, and not everything could be seen",
            context=(*unseen, *context),
            hint=f"bringup doctor says how to see it. {page}",
        )
    return Failure(
        f"{fault.id} is not found on {examination.subject}, so there is nothing to fix",
        context=context,
        hint=page,
        reference="fault-not-found",
    )
