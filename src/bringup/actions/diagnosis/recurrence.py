"""The history of a fault on this machine, as an examination tells it."""

from __future__ import annotations

from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Time:
    """One time that the fault was there: Unix times, and what had changed when it came."""

    opened_s: float
    closed_s: float | None
    changed: str


@dataclass(frozen=True, slots=True)
class TriedStep:
    """A step that was taken: its number, its command, when, and whether the fault stayed or came back."""

    number: int
    command: str
    at_s: float
    did_not_hold: bool


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The history of one fault.

    Attributes:
        fault_id: which.
        times: each time, oldest first; the last one is open where it is there now.
        tried: steps that were taken, oldest first.
    """

    fault_id: str
    times: tuple[Time, ...]
    tried: tuple[TriedStep, ...]

    @property
    def next_step(self) -> int | None:
        """Number of the step to begin with: the one after the last that did not help or did not hold."""
        failed = [step.number for step in self.tried if step.did_not_hold]
        return max(failed) + 1 if failed else None
