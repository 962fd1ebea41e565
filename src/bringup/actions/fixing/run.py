"""Taking one step of a fix: noted first, run, noted again, looked at, and judged by the doctor."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, TextIO, TypeAlias

from bringup.actions.diagnosis.doctor import Examination, choose_machine
from bringup.actions.fixing.fix import FixPlan, PlannedStep, Way, find_finding, is_gone, plan_fix
from bringup.actions.journal.fix_record import Attempt, FixRecord
from bringup.actions.journal.writing import Note, record
from bringup.actions.log.kept_look import examine_and_keep
from bringup.errors import BringupError, Failure
from bringup.faults._fault import Safety, Slot
from bringup.machine import folders, paths, rights
from bringup.machine.effects import Answered, Effect, EffectEnd, look_by_command
from bringup.machine.live import LiveMachine
from bringup.machine.locks import Holder, try_lease
from bringup.machine.protocol import CommandResult
from bringup.machine.redaction import redactor_for
from bringup.reading import Reading
from bringup.records import dataclass

LOOK_LIMIT_S: Final = 60.0
"""How long a command that only looks may take."""

_NOT_STARTED: Final = 127
_PRIVATE_SLOTS: Final = (Slot.PATH, Slot.UNIT)


@dataclass(frozen=True, slots=True)
class Printed:
    """A piece of what the command prints: foreign text."""

    text: str


@dataclass(frozen=True, slots=True)
class Ran:
    """The command has ended, or was left."""

    end: EffectEnd


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look gave: the step's own (a step that only looks), or its verification."""

    argv: tuple[str, ...]
    reading: Reading[CommandResult]
    is_verification: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What the doctor says after the step; `None` where it cannot tell."""

    fault_gone: bool | None


@dataclass(frozen=True, slots=True)
class NotNoted:
    """The record could not be written; what was done is done."""

    why: str


Event: TypeAlias = Printed | Answered | Ran | Looked | Judged | NotNoted


@contextmanager
def hold_fixes() -> Iterator[FixRecord]:
    """The record of this user's fixes, for one walk at a time.

    Raises:
        Failure: another walk goes on.
        FileTrouble: the state folder cannot be written.
    """
    ours = folders.our_folders()
    lease = try_lease(paths.join(ours.state, "fix.lock"))
    if isinstance(lease, Holder):
        raise Failure(
            f"another bringup fix is at work (process {lease.pid})",
            hint="End it first: two at once would spoil each other's steps.",
            reference="fix-at-work",
        )
    with lease:
        yield FixRecord(ours)


def look_again() -> Examination:
    """The doctor's full look at this machine, kept in the journal where it differs from the last one."""
    machine, subject = choose_machine(root=None, recording=None)
    return examine_and_keep(machine, subject=subject)


def is_noted_as_root() -> bool:
    """Whether a user became root for this: what is noted then stands in root's log, and not in the user's."""
    return rights.is_root() and folders.variable("SUDO_USER") is not None


def keep_fix(attempt: Attempt, *, end: EffectEnd | None, fault_gone: bool | None) -> str:
    """Tell the journal of a step that was taken; a warning where that failed. No `end`: nobody saw it."""
    from bringup.journal.entry import Kind

    how = "its end is not known"
    if end is not None and end.is_known:
        how = f"signal {end.signal_number}" if end.exit_code is None else f"exit code {end.exit_code}"
    held = {
        True: "the fault is gone",
        False: "the fault is still there",
        None: "whether it is gone cannot be told",
    }
    if attempt.restarts:
        held[None] = "the look after the restart tells whether it is gone"
    data = {
        "attempt": attempt.key,
        "step": attempt.step,
        "command": attempt.command,
        "began_s": attempt.began_s,
        "exit_code": None if end is None else end.exit_code,
        "signal": None if end is None else end.signal_number,
        "fault_gone": fault_gone,
    }
    text = f"step {attempt.step} of {attempt.fault_id}: {attempt.command}; {how}; {held[fault_gone]}"
    return record(Note(Kind.FIX, attempt.fault_id, text, data))


class FixRun:
    """The steps of one plan, taken one by one after a yes to each."""

    def __init__(self, plan: FixPlan, record: FixRecord, examine_again: Callable[[], Examination]) -> None:
        """`examine_again` is the doctor's full look at this machine."""
        self.plan = plan
        self._record = record
        self._examine = examine_again
        self.fault_gone: bool | None = False

    def take(self, planned: PlannedStep, *, stdin: TextIO | None) -> Iterator[Event]:
        """Run a step that a person said yes to.

        Raises:
            FileTrouble: it could not be noted that the step begins, so it was not run.
            Failure: what it would act on is not there any more, or it cannot be started.
        """
        assert planned.way is Way.HERE
        if planned.step.safety is Safety.LOOK:
            yield _look(planned.argv, is_verification=False)
            return
        self._be_sure(planned)
        attempt = self._record.begin(
            fault_id=self.plan.finding.fault.id,
            step=planned.number,
            command=_written(planned, planned.argv),
            looks=(_written(planned, planned.verify),) if planned.verify else (),
            restarts=planned.restarts,
        )
        end = yield from self._run(planned, attempt, stdin)
        yield Ran(end)
        if end.is_known and not planned.restarts:
            yield from self.verify(planned, attempt, is_success=end.is_success)
        trouble = keep_fix(attempt, end=end, fault_gone=None if planned.restarts else self.fault_gone)
        if trouble:
            yield NotNoted(trouble)

    def verify(
        self, planned: PlannedStep, attempt: Attempt | None = None, *, is_success: bool = True
    ) -> Iterator[Event]:
        """Look whether a step worked: by its own look where it ended well, and by the doctor's check."""
        if planned.verify and is_success:
            yield _look(planned.verify, is_verification=True)
        self.fault_gone = is_gone(self._examine(), self.plan.finding.fault.id)
        if attempt is not None:
            yield from self._noted(lambda: self._record.note_verdict(attempt, fault_gone=self.fault_gone))
        yield Judged(self.fault_gone)

    def _run(
        self, planned: PlannedStep, attempt: Attempt, stdin: TextIO | None
    ) -> Generator[Event, None, EffectEnd]:

        with ExitStack() as stack:
            try:
                effect = stack.enter_context(Effect(planned.argv, stdin=stdin))
            except OSError as problem:
                yield from self._noted(lambda: self._record.note_end(attempt, _NOT_STARTED))
                reason = problem.strerror or str(problem)
                raise Failure(f"{planned.argv[0]} cannot be started: {reason}") from problem
            yield from self._noted(lambda: self._record.note_process(attempt, effect.identity))
            for piece in effect.output():
                if isinstance(piece, Answered):
                    yield piece
                elif piece:
                    yield Printed(piece)
        end = effect.end
        if end.is_known:
            code = end.exit_code if end.exit_code is not None else -(end.signal_number or 0)
            yield from self._noted(lambda: self._record.note_end(attempt, code))
        return end

    def _noted(self, write: Callable[[], None]) -> Iterator[Event]:
        """Write a line after the fact; a record that cannot be written changes nothing of what was done."""
        try:
            write()
        except BringupError as problem:
            yield NotNoted(problem.message)

    def _be_sure(self, planned: PlannedStep) -> None:
        """A process may have ended while a person read, and its number gone to another: look once more."""
        if Slot.PID not in planned.step.command:
            return
        again = self._examine()
        if find_finding(again, self.plan.finding.fault.id) is not None:
            now = plan_fix(again, self.plan.finding.fault.id, is_this_machine=True)
            if any(one.argv == planned.argv for one in now.steps):
                return
        raise Failure(
            f"process {planned.values[Slot.PID]} is not what it was a moment ago; nothing was done to it",
            hint="bringup fix again shows the steps as they are now.",
            reference="process-changed",
        )


def _look(argv: tuple[str, ...], *, is_verification: bool) -> Looked:
    return Looked(argv, look_by_command(argv, timeout_s=LOOK_LIMIT_S), is_verification)


def _written(planned: PlannedStep, argv: tuple[str, ...]) -> str:
    """A command as it is written down, without names of people and machines; only some slots hold such."""
    private = {planned.values[slot] for slot in _PRIVATE_SLOTS if slot in planned.values}
    if not private.intersection(argv):
        return shlex.join(argv)
    redactor = redactor_for(LiveMachine())
    return shlex.join(redactor.redact(word) if word in private else word for word in argv)
